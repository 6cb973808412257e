"""The process itself: migrate, serve, stop; and the schema that migrations build."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from google.protobuf.duration_pb2 import Duration

from context.v1 import knowledge_pb2 as pb
from context.v1 import knowledge_pb2_grpc as rpc
from context_common import caller
from context_common.client import call, connect
from tests.support.items import adr
from tests.support.trust import SECRET, admin, service, trust

SERVICE = pb.DESCRIPTOR.services_by_name["KnowledgeService"]


async def start(*arguments: str, **environ: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "context_knowledge",
        *arguments,
        env={**os.environ, **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def port_of(process: asyncio.subprocess.Process) -> int:
    assert process.stdout
    async for line in process.stdout:
        event: dict[str, Any] = json.loads(line)
        if event["message"] == "listening":
            return int(event["port"])
    raise AssertionError("it never listened")


async def test_it_migrates_serves_and_stops_while_a_worker_waits(make_database: Callable[[], str]) -> None:
    url = make_database()
    for _ in range(2):
        migrating = await start("migrate", DATABASE_URL=url)
        assert await migrating.wait() == 0
    with psycopg.connect(url) as connection:  # what an erasure leaves behind
        connection.execute("INSERT INTO knowledge.cut_chains VALUES ('web', 'ADR-009', 'owner:me')")
    process = await start(
        DATABASE_URL=url, LISTEN="127.0.0.1:0", METRICS_LISTEN="", POOL_SIZE="4", SERVICE_SECRET=SECRET
    )
    try:
        channel = connect(f"127.0.0.1:{await port_of(process)}", SERVICE, trust=trust("retrieval"), to="knowledge")
        stub = rpc.KnowledgeServiceStub(channel)
        caller.bind(admin())
        created = await call(stub.CreateItem, pb.CreateItemRequest(item=adr()), within=10)
        assert created.recorded.item.id == "ADR-001"
        caller.bind(service("retrieval"))
        request = pb.LeaseChangesRequest(worker="w", wait=Duration(seconds=50))
        await call(stub.LeaseChanges, request, within=10)
        waiting = asyncio.create_task(call(stub.LeaseChanges, request, within=60))
        await asyncio.sleep(0.5)
        with psycopg.connect(url, autocommit=True) as connection:
            async with asyncio.timeout(10):
                while connection.execute("SELECT FROM knowledge.cut_chains").fetchall():
                    await asyncio.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert len((await waiting).changes) == 0
        assert await process.wait() == 0
        await channel.close()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize(
    ("arguments", "environ", "complaint"),
    [
        ([], {"DATABASE_URL": "", "POOL_SIZE": "many"}, b"missing: DATABASE_URL"),
        ([], {"DATABASE_URL": "x", "LOG_LEVEL": "loud", "LISTEN": "here"}, b"LISTEN must be host:port"),
        (["mirgate"], {"DATABASE_URL": "x"}, b"usage"),
    ],
)
async def test_it_says_what_is_wrong_and_does_not_start(
    arguments: list[str], environ: dict[str, str], complaint: bytes
) -> None:
    process = await start(*arguments, **environ)
    _, said = await process.communicate()
    assert process.returncode == 1
    assert complaint in said
    assert b"Traceback" not in said


def test_every_table_has_the_namespace_first_in_its_key(database_url: str) -> None:
    query = """
        SELECT t.relname, (
            SELECT a.attname FROM pg_index x JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = x.indkey[0]
             WHERE x.indrelid = t.oid AND x.indisprimary) AS first
          FROM pg_class t WHERE t.relnamespace = 'knowledge'::regnamespace AND t.relkind = 'r'
    """
    with psycopg.connect(database_url) as connection:
        keys: dict[str, str] = dict(connection.execute(query).fetchall())
    assert keys.pop("migrations") == "name"
    assert keys.pop("backups") == "kind"  # of the whole database
    assert keys.pop("keys") == "id"  # opens several, and is found before anybody knows which
    assert set(keys) >= {"counters", "items", "item_versions", "relationships", "changes", "access_counts", "audit"}
    assert set(keys) >= {"feedback", "feedback_votes"}
    assert set(keys.values()) == {"namespace"}


INDEXED = {
    "author": "items_author",
    "severity": "items_severity",
    "pattern": "items_pattern",
    "app_name": "items_app_name",
    "tags": "items_folded_tags",
    "search": "items_search",
    "status": "items_status",
    "source_uri": "items_source_uri",
    "item_date": "items_newest",
}


def test_every_filter_has_an_index(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'knowledge'"
        ).fetchall()
    found: dict[str, str] = dict(rows)
    assert {column: index for column, index in INDEXED.items() if column not in found.get(index, "")} == {}
