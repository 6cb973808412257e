"""What comes back is what was backed up, with the rights that keep namespaces apart; a drill finds what is not."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from context_client.errors import CommandFailed
from context_ops import backup, drill, manifest, restore
from context_ops.manifest import Dump
from context_ops.scratch import scratch_server
from context_ops.settings import Settings
from context_ops.storage import open_storage
from tests.support.backups import Make, contextctl, quiet
from tests.support.postgres import scratch_database

ANY = sql.SQL("SELECT count(*) > 0 FROM {}")
READ = {"retrieval": ("documents", "visible_documents", "chunks"), "knowledge": ("feedback", "feedback_votes")}
VIEWS = """
SELECT relname, pg_get_userbyid(relowner) FROM pg_class
WHERE relkind = 'v' AND relnamespace::regnamespace::text IN ('knowledge', 'retrieval')"""

OPEN = """
DROP VIEW retrieval.visible_documents;
CREATE VIEW retrieval.visible_documents AS SELECT * FROM retrieval.documents;
GRANT SELECT ON retrieval.visible_documents TO context_retrieval"""


@pytest.fixture
def settings(database: str, make_settings: Make) -> Settings:
    return make_settings(database)


@pytest.fixture
def dump(settings: Settings) -> Dump:
    return backup.backup(settings, quiet).dump


def test_a_new_server_gets_tables_roles_owners_and_policies(dump: Dump, settings: Settings) -> None:
    with scratch_server() as server:
        done = restore.restore(open_storage(settings), dump, server, settings, quiet)
        assert done.differences == {}
        assert {"context_knowledge", "context_retrieval", "context_views", "context_backup"} <= set(done.roles_made)
        with psycopg.connect(server, autocommit=True) as owner:
            assert {row[1] for row in owner.execute(VIEWS)} == {"context_views"}
            for namespaces, seen in (("{}", False), ("{other}", False), ("{records}", True)):
                with owner.transaction():
                    owner.execute("SELECT set_config('context.namespaces', %s, true)", (namespaces,))
                    for schema, relations in READ.items():
                        owner.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(f"context_{schema}")))
                        for relation in relations:
                            row = owner.execute(ANY.format(sql.Identifier(schema, relation))).fetchone()
                            assert row == (seen,), (relation, namespaces)
                        owner.execute("RESET ROLE")
        _migrate_finds_nothing_to_do(server)


def _migrate_finds_nothing_to_do(server: str) -> None:
    """What comes next in the procedure: it makes the logins, and knows what ran."""
    for name in ("knowledge", "retrieval"):
        environ = {
            **os.environ,
            "MIGRATION_DATABASE_URL": server,
            "SERVICE_SECRET": "x" * 8 + "0123456789abcdefghijklmnop",
        }
        environ["DATABASE_URL"] = server.replace("postgres@", f"{name}_login@")
        ran = subprocess.run(
            [sys.executable, "-m", f"context_{name}", "migrate"],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert "login_made" in ran.stdout
        assert '"migrated"' not in ran.stdout


def test_what_holds_something_is_left_alone_unless_told_otherwise(
    dump: Dump, settings: Settings, postgres_url: str
) -> None:
    storage = open_storage(settings)
    with scratch_database(postgres_url) as target:
        restore.restore(storage, dump, target, settings, quiet)
        with psycopg.connect(target, autocommit=True) as connection:
            connection.execute("DELETE FROM knowledge.items")
            with pytest.raises(CommandFailed, match="not empty") as refused:
                restore.restore(storage, dump, target, settings, quiet)
            assert refused.value.code == 4
            assert connection.execute("SELECT count(*) FROM knowledge.items").fetchone() == (0,)
            done = restore.restore(storage, dump, target, settings, quiet, restore.How(force=True))
        assert done.differences == {}


def test_keys_that_were_revoked_since_are_told_of_or_all_revoked(
    database: str, settings: Settings, postgres_url: str
) -> None:
    live = "SELECT count(*) FROM knowledge.keys WHERE revoked_at IS NULL"
    revoke = "UPDATE knowledge.keys SET revoked_at = now() WHERE id = 'one'"
    with psycopg.connect(database, autocommit=True) as owner:
        for name, expires in (("one", "infinity"), ("two", "infinity"), ("past", "-infinity")):
            owner.execute(
                "INSERT INTO knowledge.keys (id, digest, prefix, name, scopes, namespaces, read_namespaces, provenance,"
                " created_by, expires_at) VALUES (%s, sha256(%s), '', '', '{}', '{}', '{}', 'human', '', %s)",
                (name, name.encode(), expires),
            )
        backup.backup(settings, quiet)
        owner.execute(revoke)
    environ = {"BACKUP_TO": settings.to}
    with scratch_database(postgres_url) as target, psycopg.connect(target, autocommit=True) as connection:
        told = contextctl(environ, "restore", "latest", "--into", target)
        said = " ".join(told.stdout.split())
        assert "2 API keys are live as they were then" in said, told.stdout + told.stderr
        assert "--revoke-keys" in said
        assert connection.execute(live).fetchone() == (3,)
        ended = contextctl(environ, "restore", "latest", "--into", target, "--force", "--revoke-keys", "--json")
        assert ended.returncode == 0, ended.stderr
        assert (json.loads(ended.stdout)["live_keys"], json.loads(ended.stdout)["revoked"]) == (2, True)
        assert connection.execute(live).fetchone() == (1,), "what had ended by itself is left as it was"
        line = connection.execute("SELECT detail FROM knowledge.audit WHERE action = 'revoke_keys'").fetchone()
        assert line == ("2 keys, after a restore",)


def test_a_damaged_dump_is_refused_before_anything_is_dropped(dump: Dump, settings: Settings, database: str) -> None:
    with (Path(settings.to) / dump.file_name).open("r+b") as file:
        file.seek(dump.file.size // 2)
        file.write(b"\0\0\0\0")
    with pytest.raises(CommandFailed, match="checksum"):
        restore.restore(open_storage(settings), dump, database, settings, quiet, restore.How(force=True))
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT count(*) > 10 FROM knowledge.items").fetchone() == (True,)


def test_a_drill_passes_and_leaves_nothing(dump: Dump, settings: Settings, postgres_url: str) -> None:
    databases = "SELECT datname FROM pg_database WHERE datname LIKE 'drill%'"
    own = drill.drill(settings, quiet)
    there = drill.drill(settings, quiet, server=postgres_url)
    assert own.good, own.checks
    assert there.good, there.checks
    assert len(own.checks) == 5
    assert own.dump == dump
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute(databases).fetchall() == []


def test_a_drill_that_is_told_to_end_leaves_neither_a_server_nor_copies(dump: Dump, settings: Settings) -> None:
    command = [sys.executable, "-m", "context_client", "drill", dump.name, "--from", settings.to]
    with tempfile.TemporaryDirectory() as made:
        with subprocess.Popen(command, env={**os.environ, "TMPDIR": made}) as process:
            until = time.monotonic() + 60
            while not (started := [*Path(made).glob("*/postgres/postmaster.pid")]) or not started[0].read_text():
                assert process.poll() is None
                assert time.monotonic() < until
                time.sleep(0.01)
            server = int(started[0].read_text().split()[0])
            process.terminate()
        assert process.returncode == 128 + signal.SIGTERM
        assert [*Path(made).iterdir()] == []
        assert not Path(f"/proc/{server}").exists()


def test_a_drill_removes_what_one_left_that_was_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as made:  # whose name is short enough for a socket's
        Path(made).chmod(0o711)
        monkeypatch.setattr(tempfile, "tempdir", made)
        for name, age in (("context-drill-old", 3), ("context-drill-new", 1), ("another-old", 3)):
            (path := Path(made) / name).mkdir()
            os.utime(path, (when := time.time() - age * 24 * 3600, when))
        with scratch_server():
            left = {path.name for path in Path(made).iterdir()}
    assert {"context-drill-new", "another-old"} < left
    assert "context-drill-old" not in left


@pytest.mark.parametrize("what", ["rows", "digest"])
def test_a_drill_fails_where_a_table_is_not_what_it_was(
    dump: Dump, settings: Settings, what: str, postgres_url: str
) -> None:
    items = dump.tables["knowledge.items"]
    changed = replace(items, rows=items.rows + 1) if what == "rows" else replace(items, digest="1")
    bent = replace(dump, tables={**dump.tables, "knowledge.items": changed})
    (Path(settings.to) / f"{dump.name}.json").write_bytes(manifest.write(bent))
    verdict = drill.drill(settings, quiet, server=postgres_url)
    assert not verdict.good
    assert "knowledge.items" in "".join(verdict.checks.values())


@pytest.mark.parametrize(
    ("harm", "check"),
    [
        ("DROP INDEX retrieval.chunks_embedding", "a vector index that is valid"),
        ("UPDATE retrieval.documents SET lexemes = ''", "a search"),
        ("REVOKE SELECT ON retrieval.visible_documents FROM context_retrieval", "a search"),
        (OPEN, "rows without a namespace are hidden"),
    ],
)
def test_a_drill_fails_where_the_index_does_not_answer(
    database: str, make_settings: Make, postgres_url: str, harm: str, check: str
) -> None:
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute(harm.encode())
    settings = make_settings(database)
    backup.backup(settings, quiet)
    verdict = drill.drill(settings, quiet, server=postgres_url)
    assert any(name.startswith(check) and wrong for name, wrong in verdict.checks.items()), verdict.checks


def test_there_is_no_drill_without_a_backup(make_settings: Make) -> None:
    with pytest.raises(CommandFailed, match="no backup") as missing:
        drill.drill(make_settings(), quiet)
    assert missing.value.code == 3
