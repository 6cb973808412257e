"""What `contextctl db` finds in a database that has been used."""

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from context_client.errors import CommandFailed
from context_ops import backup, manifest
from context_ops.growth import growth
from context_ops.manifest import Dump
from context_ops.store import connect, look
from tests.support.backups import Make, contextctl, quiet

IMAGE = "pgvector/pgvector:pg17"
SECRET = "in-no-list-of-statements"


def test_connections_are_counted_by_pool_and_state(database: str) -> None:
    with psycopg.connect(database, application_name="knowledge") as other, connect(database) as connection:
        other.execute("SELECT 1")
        found = look.connections(connection)
    (pool,) = [row for row in found["sessions"] if row["pool"] == "knowledge" and row["database"] in database]
    assert (pool["state"], pool["connections"]) == ("idle in transaction", 1)
    assert found["free"] == found["most"] - found["reserved"] - found["used"]
    assert found["used"] >= 2


def test_indexes_that_cannot_be_used_or_are_missing_are_named(database: str) -> None:
    with connect(database) as connection:
        assert look.indexes(connection)["broken"] == []
        connection.execute("ALTER TABLE retrieval.terms ADD COLUMN twice int DEFAULT 1")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("CREATE UNIQUE INDEX CONCURRENTLY terms_twice ON retrieval.terms (twice)")
        connection.execute("DROP INDEX retrieval.chunks_embedding")
        found = look.indexes(connection)
    assert found["broken"] == ["retrieval.terms_twice", "the vector index"]
    assert {row["name"] for row in found["indexes"]} > {"knowledge.items_search", "retrieval.documents_lexemes"}


def test_large_indexes_that_nobody_uses_or_that_are_mostly_air_are_named(database: str) -> None:
    grow = """
        INSERT INTO retrieval.terms
        SELECT 'large', md5(n::text) || md5((-n)::text), 1 FROM generate_series(1, 120000) n"""
    with connect(database) as connection:
        connection.execute(grow)
        connection.execute("CREATE INDEX terms_unused ON retrieval.terms (lexeme)")
        connection.execute("DELETE FROM retrieval.terms WHERE namespace = 'large' AND right(lexeme, 1) <> '0'")
        connection.execute("VACUUM ANALYZE retrieval.terms")
        found = {row["index"]: row["finding"] for row in look.indexes(connection)["findings"]}
    assert found["retrieval.terms_unused"].startswith("unused")
    assert found["retrieval.terms_pkey"].startswith("bloated")


def test_growth_is_against_a_backup_of_a_week_ago(database: str, make_settings: Make) -> None:
    settings = make_settings(database)
    dump = backup.backup(settings, quiet).dump
    (path,) = Path(settings.to).glob("*.json")
    when = datetime.now(UTC) - timedelta(days=8)
    items = replace(dump.tables["knowledge.items"], bytes=dump.tables["knowledge.items"].bytes - 4096)
    tables = {**dump.tables, "knowledge.items": items}
    path.write_bytes(manifest.write(replace(Dump.read(path.read_bytes()), taken_at=when, tables=tables)))
    with connect(database) as connection:
        found = growth(look.sizes(connection), settings)
        alone = growth(look.sizes(connection), replace(settings, to=""))
    grown = {row["name"]: row["grown"] for row in found["tables"]}
    assert (grown["knowledge.items"], grown["retrieval.chunks"]) == (4096, 0)
    assert found["since"] == when.isoformat(timespec="seconds")
    assert {row["grown"] for row in alone["tables"]} == {None}


def test_slow_says_how_to_switch_on_what_it_needs(database: str) -> None:
    with connect(database) as connection, pytest.raises(CommandFailed, match="shared_preload_libraries") as refused:
        look.slow(connection, "total", 10, 1)
    assert refused.value.code == 4


@pytest.fixture(scope="module")
def counting() -> Iterator[str]:
    """A server that counts statements: the embedded one cannot."""
    if (
        not shutil.which("docker")
        or subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True, check=False).returncode
    ):
        pytest.skip(f"Docker with the image {IMAGE} is needed: the embedded Postgres has no pg_stat_statements")
    from testcontainers.community.postgres import PostgresContainer
    from testcontainers.core.config import testcontainers_config

    testcontainers_config.ryuk_disabled = True  # an image of its own, which need not be there; the block cleans up
    container = PostgresContainer(IMAGE, driver=None).with_command("-c shared_preload_libraries=pg_stat_statements")
    with container as running:
        yield running.get_connection_url()


def test_slow_statements_are_shown_without_values_and_without_those_that_hold_secrets(counting: str) -> None:
    with connect(counting) as connection:
        with pytest.raises(CommandFailed, match="not installed in this database"):
            look.slow(connection, "total", 10, 1)
        connection.execute("CREATE EXTENSION pg_stat_statements SCHEMA public")
        connection.execute(f"CREATE ROLE somebody LOGIN PASSWORD '{SECRET}'")
        connection.execute(f"SELECT pg_sleep(0.01), '{SECRET}'::text AS found")
        found = look.slow(connection, "mean", 20, 1)
    assert not [row for row in found if SECRET in row["query"]]
    assert [row["calls"] for row in found if row["query"] == "SELECT pg_sleep($1), $2::text AS found"] == [1]
    assert not [row for row in found if "ROLE" in row["query"]]


@pytest.mark.parametrize("command", ["connections", "indexes", "size"])
def test_the_commands_print_tables_for_people_and_json_for_programs(database: str, command: str) -> None:
    for option, start in (([], ""), (["--json"], "{")):
        ran = contextctl({"DATABASE_URL": database}, "db", command, *option)
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout.startswith(start)
        assert "retrieval" in ran.stdout or command == "connections"
