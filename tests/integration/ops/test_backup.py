"""A backup is whole, consistent and proven, or it is none; and only a proven one lets old ones go."""

import hashlib
import os
import re
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from context_client.errors import CommandFailed
from context_ops import backup, catalogue, manifest, restore
from context_ops.directory import Directory
from context_ops.manifest import Dump, File
from context_ops.settings import S3
from context_ops.storage import open_storage
from tests.support.backups import Make, contextctl, folder, keep_old, old, quiet
from tests.support.postgres import scratch_database

COUNT = sql.SQL("SELECT count(*) FROM {}")


@contextmanager
def program(where: Path, name: str, script: str) -> Iterator[str]:
    """A PATH on which `name` is a shell script that says it is of a recent version."""
    where.mkdir()
    path = where / name
    path.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "{name} (PostgreSQL) 99.0" && exit 0\n{script}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    yield f"{where}:{os.environ['PATH']}"


def test_a_backup_says_what_is_in_it_and_the_database_knows_of_it(database: str, make_settings: Make) -> None:
    settings = make_settings(database)
    done = backup.backup(settings, quiet)
    assert re.fullmatch(r"context_engineering_\d{8}_\d{6}", done.dump.name)
    content = (folder(settings) / done.dump.file_name).read_bytes()
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder(settings).iterdir() if path.is_file()} == {0o640}
    assert done.dump.file == File(len(content), hashlib.sha256(content).hexdigest())
    assert Dump.read((folder(settings) / f"{done.dump.name}.json").read_bytes()) == done.dump
    with psycopg.connect(database) as connection:
        for name, table in done.dump.tables.items():
            if name != "knowledge.backups":
                found = connection.execute(COUNT.format(sql.Identifier(*name.split(".")))).fetchone()
                assert found == (table.rows,), name
        noted = connection.execute("SELECT kind, name, bytes FROM knowledge.backups").fetchall()
    assert noted == [("dump", done.dump.name, len(content))]
    assert done.dump.tables["knowledge.items"].rows > 10
    assert {done.dump.tables[f"knowledge.{name}"].rows for name in ("feedback", "feedback_votes")} == {1}
    assert {role.name for role in done.dump.roles} >= {"context_knowledge", "context_retrieval", "context_views"}
    assert done.dump.migrations["knowledge"][0] == "0001_items.sql"
    assert [dump.name for dump in catalogue.dumps(open_storage(settings))] == [done.dump.name]


def test_what_is_written_meanwhile_is_in_neither_the_dump_nor_its_counts(
    database: str, make_settings: Make, postgres_url: str
) -> None:
    settings, over = make_settings(database), threading.Event()
    insert = "INSERT INTO retrieval.terms VALUES ('busy', %s, 1)"

    def write() -> None:
        with psycopg.connect(database, autocommit=True) as connection:
            number = 0
            while not over.is_set():
                connection.execute(insert, (str(number := number + 1),))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        dump = backup.backup(settings, quiet).dump
    finally:
        over.set()
        writer.join()
    with scratch_database(postgres_url) as target:
        assert restore.restore(open_storage(settings), dump, target, settings, quiet).differences == {}


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (
            'for a; do case $a in --file=*) echo half > "${a#--file=}";; esac; done; echo "disk is full"; exit 1',
            "disk is full",
        ),
        ('for a; do case $a in --file=*) : > "${a#--file=}";; esac; done', "pg_restore failed"),
        ('for a; do case $a in --file=*) echo nonsense > "${a#--file=}";; esac; done', "pg_restore failed"),
    ],
    ids=["fails", "empty", "nonsense"],
)
def test_a_dump_that_fails_is_not_stored_and_removes_nothing(
    database: str, make_settings: Make, tmp_path: Path, script: str, said: str
) -> None:
    settings = make_settings(database)
    kept = keep_old(settings, backup.backup(settings, quiet).dump, 90, 80, 70, 60)
    before = sorted(path.name for path in folder(settings).iterdir())
    with program(tmp_path / "bin", "pg_dump", script) as path, pytest.raises(CommandFailed, match=said):
        backup.backup(make_settings(database, PATH=path), quiet)
    assert sorted(path.name for path in folder(settings).iterdir()) == before
    assert {f"{name}.dump" for name in kept} < set(before)


def test_a_dump_that_is_stored_damaged_is_no_backup(
    database: str, make_settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings(database)
    first = backup.backup(settings, quiet).dump
    kept = keep_old(settings, first, 90, 80, 70, 60)
    for path in folder(settings).glob(f"{first.name}.*"):
        path.unlink()  # the next one may come within the second
    put = Directory.put

    def damaging(storage: Directory, path: Path, name: str) -> None:
        put(storage, path, name)
        with (folder(settings) / name).open("r+b") as file:  # as a bad disk would
            file.seek(100)
            file.write(b"\0\1\2\3")

    monkeypatch.setattr(Directory, "put", lambda *given: (damaging if given[2].endswith(".dump") else put)(*given))
    with pytest.raises(CommandFailed, match="something else"):
        backup.backup(settings, quiet)
    assert [dump.name for dump in catalogue.dumps(open_storage(settings))] == sorted(kept)


def test_old_backups_go_once_a_new_one_is_proven_but_never_the_last_good_ones(
    database: str, make_settings: Make
) -> None:
    settings = make_settings(database)
    first = backup.backup(settings, quiet).dump
    kept = keep_old(settings, first, 29, 31, 45, 60)
    (folder(settings) / "context_engineering_20200101_000000.dump").write_bytes(b"left of an unfinished one")
    (folder(settings) / f"{first.name}.json").unlink()
    (folder(settings) / first.file_name).unlink()
    done = backup.backup(settings, quiet)
    # The new one, that of 29 days, and one that is older, since three stay.
    assert {dump.name for dump in catalogue.dumps(open_storage(settings))} == {done.dump.name, kept[0], kept[1]}
    assert "context_engineering_20200101_000000.dump" in done.removed


def test_a_login_that_policies_hold_is_told_so_and_a_backup_login_does(
    database: str, make_settings: Make, postgres_url: str
) -> None:
    with psycopg.connect(database, autocommit=True) as owner:
        for statement in (
            "DROP ROLE IF EXISTS held_login, backup_login",
            "CREATE ROLE held_login LOGIN",
            "GRANT pg_read_all_data, context_backup TO held_login",
            "CREATE ROLE backup_login LOGIN BYPASSRLS REPLICATION",
            "GRANT pg_read_all_data, context_backup TO backup_login",
        ):
            owner.execute(statement)
    with pytest.raises(CommandFailed, match="row-level security holds held_login") as refused:
        backup.backup(make_settings(database.replace("postgres@", "held_login@")), quiet)
    assert refused.value.code == 4
    settings = make_settings(database.replace("postgres@", "backup_login@"))
    assert list(folder(settings).iterdir()) == []
    done = backup.backup(settings, quiet)
    assert done.not_noted == ""
    with scratch_database(postgres_url) as target:
        assert restore.restore(open_storage(settings), done.dump, target, settings, quiet).differences == {}


def test_a_bucket_holds_backups_as_a_directory_does(
    database: str, make_settings: Make, s3: S3, postgres_url: str
) -> None:
    settings = replace(make_settings(database), to="s3://backups/nightly/", s3=s3)
    done = backup.backup(settings, quiet)
    storage = open_storage(settings)
    assert catalogue.newest(storage) == done.dump
    assert storage.names()[done.dump.file_name] == done.dump.file.size
    with scratch_database(postgres_url) as target:
        assert restore.restore(storage, done.dump, target, settings, quiet).differences == {}
    for entry in (old(done.dump, days) for days in (90, 80, 70, 60)):
        storage.write(f"{entry.name}.json", manifest.write(entry))
        storage.write(entry.file_name, b"".join(storage.read(done.dump.file_name)))
    again = replace(done.dump, name="context_engineering_29990101_000000")
    storage.write(again.file_name, b"".join(storage.read(done.dump.file_name)))
    storage.write(f"{again.name}.json", manifest.write(again))
    assert len(catalogue.rotate_dumps(storage, 30, datetime.now(UTC))) == 6
    assert len(catalogue.dumps(storage)) == 3


@pytest.mark.parametrize("url", ["mysql://u:hunter2@127.0.0.1/db", "postgresql://u:hunter2%zz@db/x", "host=db hunter2"])
def test_a_malformed_address_is_refused_without_its_password(tmp_path: Path, url: str) -> None:
    for command in (["backup"], ["db", "connections", "--database", url]):
        done = contextctl({"BACKUP_TO": str(tmp_path), "BACKUP_DATABASE_URL": url}, *command)
        assert done.returncode == 2
        assert "database's address is malformed" in done.stderr
        assert "hunter2" not in done.stdout + done.stderr


def test_the_command_line_completes_counts_and_tells_age(database: str, make_settings: Make) -> None:
    to = make_settings().to
    environ = {"BACKUP_TO": to, "DATABASE_URL": database}
    assert contextctl(environ, "backup", "status").returncode == 3
    made = contextctl(environ, "backup")
    assert made.returncode == 0, made.stderr
    assert made.stdout.endswith("Backup completed.\n")
    assert "verified" in made.stderr
    assert contextctl(environ, "backup", "status", "--max-age", "1h").returncode == 0
    for path in Path(to).glob("*.json"):
        entry = old(Dump.read(path.read_bytes()), 2)
        (Path(to) / f"{entry.name}.json").write_bytes(manifest.write(entry))
        path.rename(path.with_suffix(".gone"))
        (Path(to) / f"{path.stem}.dump").rename(Path(to) / entry.file_name)
    aged = contextctl(environ, "backup", "status", "--json")
    assert (aged.returncode, '"good": false' in aged.stdout) == (1, True)
    assert contextctl(environ, "backup", "--to", "/nowhere/at/all").returncode == 5
