"""Recovery to a named moment between two writes, from a base backup and archived WAL, on a real server."""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from context_client.errors import CommandFailed
from context_ops import base, catalogue, contents, manifest, pitr, wal
from context_ops.manifest import Base
from context_ops.settings import S3, Settings
from context_ops.storage import open_storage
from tests.support import loopback
from tests.support.archiving import archive_rest, passable, scratch, server
from tests.support.backups import contextctl, quiet
from tests.support.stack import Stack, run_stack

pytestmark = pytest.mark.timeout(300)  # servers and stacks start several times, and the machine may be busy
SCRIPT = Path(__file__).parents[3] / "deploy" / "ops" / "wal.sh"
BY_SCRIPT = f'sh {SCRIPT} archive "%p" "%f"'
BY_PROGRAM = f'{sys.executable} -m context_ops archive "%p" "%f"'


def environ_of(settings: Settings) -> dict[str, str]:
    return {
        "BACKUP_TO": settings.to, "AWS_ENDPOINT_URL_S3": settings.s3.endpoint, "AWS_REGION": settings.s3.region,
        "AWS_ACCESS_KEY_ID": settings.s3.key_id, "AWS_SECRET_ACCESS_KEY": settings.s3.secret,
    }  # fmt: skip


@contextmanager
def primary(folder: Path, settings: Settings, command: str) -> Iterator[str]:
    python = Path(sys.executable).resolve()
    settled = {"archive_mode": "on", "archive_command": command}
    with passable(python), server(folder / "primary", environ_of(settings), **settled) as url:
        yield url


def moment(url: str) -> datetime:
    """The server's time, between what was written before and what comes after."""
    time.sleep(0.05)
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT clock_timestamp()").fetchone()
    time.sleep(0.05)
    assert row
    found: datetime = row[0]
    return found


@pytest.fixture(params=["directory, by wal.sh", "bucket, by context-wal"])
def archive(request: pytest.FixtureRequest) -> Iterator[tuple[Path, Settings, str]]:
    """Where to work, where backups go, and what archives the WAL."""
    with scratch() as folder:
        settings = Settings(programs={"PATH": os.environ["PATH"]})
        if request.param.startswith("directory"):
            (folder / "archive").mkdir()
            (folder / "archive").chmod(0o777)
            yield folder, replace(settings, to=str(folder / "archive")), BY_SCRIPT
            return
        s3: S3 = request.getfixturevalue("s3")
        yield folder, replace(settings, to=f"s3://backups/{os.urandom(4).hex()}", s3=s3), BY_PROGRAM


def test_what_came_before_the_moment_is_there_and_what_came_after_is_not(archive: tuple[Path, Settings, str]) -> None:
    folder, settings, command = archive
    with primary(folder, settings, command) as url:
        settings = replace(settings, database_url=url)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE notes (name text)")
            done = base.base_backup(settings, quiet)
            assert done.archives
            assert done.not_noted  # no migrations ran here: said, and no reason to fail
            connection.execute("INSERT INTO notes VALUES ('A')")
            between = moment(url)
            connection.execute("INSERT INTO notes VALUES ('B')")
        archive_rest(url)
    prepared = pitr.prepare(settings, between, folder / "restored", quiet)
    assert prepared.base == done.base
    assert not (folder / "restored" / "recovery.conf").exists()
    with server(folder / "restored", {}) as recovered, psycopg.connect(recovered, autocommit=True) as connection:
        assert connection.execute("SELECT name FROM notes").fetchall() == [("A",)]
        connection.execute("INSERT INTO notes VALUES ('C')")  # promoted: it takes writes, on a timeline of its own
        assert connection.execute("SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)").fetchone() == ("00000002",)


def test_recovery_is_refused_where_it_could_not_end_well(archive: tuple[Path, Settings, str]) -> None:
    folder, settings, command = archive
    with primary(folder, settings, command) as url:
        settings = replace(settings, database_url=url)
        before = moment(url)
        base.base_backup(settings, quiet)
        for _ in range(4):
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("CREATE TABLE IF NOT EXISTS notes (name text); INSERT INTO notes VALUES ('A')")
            archive_rest(url)
        after = moment(url)
    storage = open_storage(settings)
    with pytest.raises(CommandFailed, match="ended before"):
        pitr.prepare(settings, before, folder / "too-early", quiet)
    with pytest.raises(CommandFailed, match="not empty"):
        pitr.prepare(settings, after, folder / "primary", quiet)
    segments = [name for name in wal.names(storage) if wal.SEGMENT.fullmatch(name)]
    storage.delete(f"{wal.FOLDER}{segments[-2]}{wal.SUFFIX}")
    with pytest.raises(CommandFailed, match=f"missing from {segments[-2]}"):
        pitr.prepare(settings, after, folder / "gap", quiet)


@pytest.fixture(scope="module")
def taken() -> Iterator[tuple[Settings, Base]]:
    """A base backup in a directory."""
    with scratch() as folder:
        settings = Settings(to=str(folder), programs={"PATH": os.environ["PATH"]})
        with server(folder / "primary", {}) as url:
            done = base.base_backup(replace(settings, database_url=url), quiet)
        assert not done.archives
        yield settings, done.base


def test_a_base_backup_that_differs_from_its_list_is_found(taken: tuple[Settings, Base], tmp_path: Path) -> None:
    settings, whole = taken
    source = Path(settings.to) / whole.folder
    for name in whole.files:
        (tmp_path / name).write_bytes((source / name).read_bytes())
    assert contents.verify(tmp_path, whole.segment_size) == whole.first_wal
    text = (tmp_path / contents.LIST).read_text()
    checksum = json.loads(text)["Files"][0]["Checksum"]
    (tmp_path / contents.LIST).write_text(text.replace(checksum, "0" * 64))
    with pytest.raises(CommandFailed, match="damaged"):
        contents.verify(tmp_path, whole.segment_size)
    (tmp_path / contents.LIST).write_text(text)
    (tmp_path / contents.WAL_ARCHIVE).write_bytes((source / contents.ARCHIVE).read_bytes())
    with pytest.raises(CommandFailed, match=r"WAL [0-9A-F]+ is missing"):
        contents.verify(tmp_path, whole.segment_size)
    (tmp_path / contents.ARCHIVE).write_bytes((source / contents.WAL_ARCHIVE).read_bytes())
    with pytest.raises(CommandFailed, match="files differ"):
        contents.verify(tmp_path, whole.segment_size)
    (tmp_path / contents.ARCHIVE).write_bytes(b"nonsense")
    with pytest.raises(CommandFailed, match="is damaged"):
        contents.verify(tmp_path, whole.segment_size)


def test_base_backups_are_kept_for_every_moment_of_the_last_days(taken: tuple[Settings, Base]) -> None:
    settings, newest = taken
    storage, now = open_storage(settings), datetime.now(UTC)
    for days, first_wal in ((50, "0000000100000000000000F2"), (40, "0000000100000000000000F3"), (20, "F" * 24)):
        when = now - timedelta(days=days)
        older = replace(newest, name=when.strftime(manifest.STAMP), finished_at=when, first_wal=first_wal)
        for name in older.files:
            storage.write(older.folder + name, b"".join(storage.read(newest.folder + name)))
        storage.write(f"{older.folder}base.json", manifest.write(older))
    gone, oldest = catalogue.rotate_bases(storage, 30, now)
    # That of 40 days stays, for moments between 30 and 20 days ago.
    assert {name.split("/")[1] for name in gone} == {(now - timedelta(days=50)).strftime(manifest.STAMP)}
    assert oldest.first_wal == "0000000100000000000000F3"
    assert len(catalogue.bases(storage)) == 3


def test_the_services_start_on_a_recovered_cluster_and_answer(model_dir: Path) -> None:
    model = {"MODEL_DIR": str(model_dir)}
    with scratch() as folder:
        (folder / "archive").mkdir()
        (folder / "archive").chmod(0o777)
        settings = Settings(to=str(folder / "archive"))
        operator = {"BACKUP_TO": settings.to, "DATABASE_URL": ""}
        with primary(folder, settings, BY_SCRIPT) as url:
            operator["BACKUP_DATABASE_URL"] = url
            with run_stack(url, **model) as stack:
                taken = contextctl(operator, "backup", "base", "--json")
                assert json.loads(taken.stdout)["noted"], taken.stderr
                _record(stack.url, "We keep orders in Postgres")
                between = moment(url)
                _record(stack.url, "We move orders to a spreadsheet")
            archive_rest(url)
            goes = contextctl(operator, "wal", "status", "--json")
            assert (goes.returncode, json.loads(goes.stdout)["missing"]) == (0, []), goes.stderr
        restored = folder / "restored"
        prepared = contextctl(
            operator, "restore", "pitr", "--target-time", between.isoformat(), "--into", str(restored)
        )
        assert prepared.returncode == 0, prepared.stderr
        with server(restored, {}) as recovered, run_stack(recovered, **model) as stack:
            titles = [item["title"] for item in _ask(stack, "where do orders live?")["key_decisions"]]
            assert titles == ["We keep orders in Postgres"]
            assert _record(stack.url, "We add a read replica") == "ADR-002"


def _record(url: str, title: str) -> str:
    fields = {"title": title, "decision": f"{title}.", "context": "Orders need a home."}
    answer = loopback.post(f"{url}/api/adr", json=fields, timeout=30)
    assert answer.status_code == 201, answer.text
    assert answer.json()["indexed"], answer.text
    return str(answer.json()["id"])


def _ask(stack: Stack, question: str) -> Any:
    """The bundle; a machine that is busy just now is asked again, as Retry-After says."""
    answers: list[httpx2.Response] = []

    def answered() -> bool:
        answers.append(loopback.post(f"{stack.url}/api/context/query", json={"query": question}, timeout=30))
        return answers[-1].status_code != 503

    stack.wait_until(answered)
    assert answers[-1].status_code == 200, answers[-1].text
    return answers[-1].json()
