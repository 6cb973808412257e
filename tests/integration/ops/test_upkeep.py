"""Indexes are rebuilt and tables vacuumed while others read and write; what was left half-done goes."""

import asyncio
import json
import os
import subprocess
import sys

import psycopg
import pytest

from context_client.errors import CommandFailed
from context_common.postgres.migrate import maintenance_key
from context_ops.upkeep import tend

NEAREST = "SELECT item_id FROM retrieval.chunks ORDER BY embedding <=> %s::halfvec(384) LIMIT 5"
OURS = "-c search_path=retrieval,public -c enable_seqscan=off"


@pytest.fixture
def worn(database: str) -> str:
    """A database whose vector index has many more holes than vectors."""
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("ALTER TABLE retrieval.chunks NO FORCE ROW LEVEL SECURITY")
        owner.execute("""
            INSERT INTO retrieval.documents (namespace, item_id, change_id)
            SELECT 'worn', 'ADR-' || n, 1 FROM generate_series(1, 1500) n""")
        owner.execute("""
            INSERT INTO retrieval.chunks (namespace, item_id, ordinal, text, token_count, digest, model_id, embedding)
            SELECT 'worn', 'ADR-' || n, 0, '', 1, '', 'm',
                (SELECT array_agg(sin(n * k)) FROM generate_series(1, 384) k)::halfvec(384)
            FROM generate_series(1, 1500) n""")
        owner.execute("DELETE FROM retrieval.documents WHERE namespace = 'worn'")
    return database


async def test_nobody_waits_while_indexes_are_rebuilt(worn: str) -> None:
    done, asked, written = asyncio.Event(), 0, 0
    vector = str([0.1] * 384)

    async def ask() -> None:
        nonlocal asked
        async with await psycopg.AsyncConnection.connect(worn, autocommit=True, options=OURS) as connection:
            await connection.execute("SET statement_timeout = '10s'")
            await connection.execute("SET hnsw.iterative_scan = relaxed_order")  # as the service does
            while not done.is_set():
                assert len(await (await connection.execute(NEAREST, (vector,))).fetchall()) == 5
                asked += 1

    async def write() -> None:
        nonlocal written
        async with await psycopg.AsyncConnection.connect(worn, autocommit=True, options=OURS) as connection:
            await connection.execute("SET statement_timeout = '10s'")
            while not done.is_set():
                await connection.execute("UPDATE documents SET access_count = access_count + 1")
                written += 1
                await asyncio.sleep(0.01)

    busy = [asyncio.create_task(ask()), asyncio.create_task(write())]
    steps = {step.name: step for step in await asyncio.to_thread(lambda: list(tend(worn, ["hnsw", "gin"], "64MB")))}
    during = asked, written
    done.set()
    await asyncio.gather(*busy)
    assert all(during)
    graph = steps["retrieval.chunks_embedding"]
    assert graph.step == "reindex"
    assert graph.after < graph.before / 2, "what was deleted takes no room any more"
    assert steps["retrieval.documents_lexemes"].step == "reindex"
    assert {"retrieval.chunks", "knowledge.items"} <= {name for name, step in steps.items() if step.step == "vacuum"}
    with psycopg.connect(worn) as connection:
        assert connection.execute("SELECT count(*) FROM pg_index WHERE NOT indisvalid").fetchone() == (0,)


def test_what_a_rebuild_left_that_was_killed_is_dropped(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("CREATE INDEX chunks_embedding_ccnew ON retrieval.chunks (model_id)")
        owner.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'retrieval.chunks_embedding_ccnew'::regclass"
        )
        steps = list(tend(database, [], "64MB"))
        assert ("drop unfinished", "retrieval.chunks_embedding_ccnew") in [(step.step, step.name) for step in steps]
        assert "reindex" not in {step.step for step in steps}
        assert owner.execute("SELECT to_regclass('retrieval.chunks_embedding_ccnew')").fetchone() == (None,)


def test_migrations_and_upkeep_keep_out_of_each_others_way(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as migrator:
        migrator.execute("SELECT pg_advisory_lock(%s)", (maintenance_key("retrieval"),))
        with pytest.raises(CommandFailed, match="somebody migrates or looks after retrieval already"):
            list(tend(database, [], "64MB"))


def test_the_command_tells_each_step(database: str) -> None:
    environ = {**os.environ, "MIGRATION_DATABASE_URL": database, "BACKUP_DATABASE_URL": "host=/nowhere"}
    command = [sys.executable, "-m", "context_client", "db", "upkeep", "--method", "gin", "--json"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    steps = json.loads(done.stdout)["steps"]
    assert {step["step"] for step in steps} == {"reindex", "vacuum"}
    assert "retrieval.chunks_embedding" not in {step["name"] for step in steps}
