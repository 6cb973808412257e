"""Reads go to replicas that have what was acknowledged, on real streaming replicas: late, frozen, dead, foreign."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import psycopg
import pytest
from prometheus_client import REGISTRY

from context_common import postgres
from context_common.errors import Unavailable
from context_common.postgres.reads import Reads, Target
from tests.support.streaming import Server, Streaming, streaming

CHANNEL = "noted"
OPTIONS = postgres.Options("public")
WHERE = "SELECT pg_is_in_recovery() AS replica, coalesce(max(value), 0) AS value FROM notes WHERE namespace = %s"


@pytest.fixture(scope="module")
def servers() -> Iterator[Streaming]:
    """A primary with two replicas, and a table of notes."""
    with streaming(replicas=2) as running:
        running.primary.run("CREATE TABLE notes (namespace text, value int)")
        yield running


@pytest.fixture(autouse=True)
def healthy(servers: Streaming) -> Iterator[None]:
    """Both replicas as they were, whatever a test did to them."""
    yield
    for replica in servers.replicas:
        replica.delay(0)
    servers.caught_up()


@asynccontextmanager
async def process(*servers: Server, max_lag: float = 30.0) -> AsyncIterator[tuple[postgres.Pool, Reads]]:
    """What one process of a service has: its pool, and where it reads. The first server is the primary."""
    primary, *replicas = servers
    settings = postgres.ReplicaSettings(tuple(replica.url for replica in replicas), pool_size=4, max_lag=max_lag)
    async with (
        postgres.open_pool(primary.url, OPTIONS, name="test", size=6) as pool,
        postgres.open_reads(pool, primary.url, OPTIONS, channel=CHANNEL, replicas=settings) as reads,
    ):
        yield pool, reads


async def write(pool: postgres.Pool, reads: Reads, namespace: str, value: int) -> None:
    """Write as a service does, until it may be acknowledged."""
    async with postgres.transaction(pool, postgres.Reach((namespace,))) as connection:
        await connection.execute("INSERT INTO notes VALUES (%s, %s)", (namespace, value))
        await connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, namespace))
    await reads.settle()


async def read(reads: Reads, namespace: str) -> tuple[bool, int]:
    """Whether a replica answered, and the last value of `namespace`."""
    (row,) = await reads.target(namespace).fetch(WHERE, (namespace,))
    return row["replica"], row["value"]


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 20.0) -> None:
    """Wait for `condition`."""
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.01)


def fallbacks(reason: str) -> float:
    """How many reads were done again on the primary, and why."""
    samples = (sample for metric in REGISTRY.collect() for sample in metric.samples)
    return sum(
        sample.value
        for sample in samples
        if sample.name == "context_db_replica_fallbacks_total" and sample.labels["reason"] == reason
    )


async def from_replica(reads: Reads, namespace: str = "quiet") -> bool:
    return (await read(reads, namespace))[0]


async def replicas_target(reads: Reads) -> Target:
    """Where a question is read from, once that is a replica: for a moment it is none where the process was held up."""
    async with asyncio.timeout(20.0):
        while True:
            target = reads.target("quiet")
            if target._replica:
                return target
            await asyncio.sleep(0.01)


async def test_what_was_acknowledged_is_read_in_every_process_while_replicas_are_a_second_late(
    servers: Streaming,
) -> None:
    for replica in servers.replicas:
        replica.delay(1)
    async with AsyncExitStack() as stack:
        processes = [await stack.enter_async_context(process(servers.primary, *servers.replicas)) for _ in range(3)]
        for _, reads in processes:
            await until(lambda reads=reads: from_replica(reads))  # type: ignore[misc]
        landed = 0
        for value in range(1, 40):
            pool, written = processes[value % 3]
            await write(pool, written, "busy", value)
            for _, reads in processes:
                assert (await read(reads, "busy"))[1] == value
                landed += await from_replica(reads)
        assert landed > 60, "reads of a namespace in which nobody writes stay on replicas"
        await until(lambda: from_replica(processes[0][1], "busy"))
        assert (await read(processes[0][1], "busy"))[1] == 39


async def test_a_namespace_waits_for_the_replica_and_the_others_do_not(servers: Streaming) -> None:
    async with process(servers.primary, servers.replicas[0]) as (pool, reads):
        await until(lambda: from_replica(reads))
        servers.replicas[0].pause()
        await write(pool, reads, "waits", 7)
        for _ in range(20):
            assert await read(reads, "waits") == (False, 7)
            await until(lambda: from_replica(reads))
            await asyncio.sleep(0.02)
        servers.replicas[0].resume()
        await until(lambda: from_replica(reads, "waits"))
        assert await read(reads, "waits") == (True, 7)


async def test_a_write_that_names_no_namespace_concerns_them_all(servers: Streaming) -> None:
    async with process(servers.primary, servers.replicas[0]) as (_, reads):
        await until(lambda: from_replica(reads))
        servers.replicas[0].pause()
        servers.primary.run("NOTIFY noted")
        await reads.settle()
        assert not await from_replica(reads)
        servers.replicas[0].resume()
        await until(lambda: from_replica(reads))


async def test_a_replica_that_is_too_old_is_not_read(servers: Streaming) -> None:
    async with process(servers.primary, servers.replicas[0], max_lag=0.5) as (_, reads):
        await until(lambda: from_replica(reads))
        servers.replicas[0].pause()
        servers.primary.run("INSERT INTO notes VALUES ('another', 1)")

        async def on_primary() -> bool:
            return not await from_replica(reads)

        await until(on_primary)
        servers.replicas[0].resume()
        await until(lambda: from_replica(reads))


async def test_reads_are_shared_out_and_go_on_without_a_failure_when_replicas_die_and_come_back(
    servers: Streaming,
) -> None:
    async with process(servers.primary, *servers.replicas) as (_, reads):
        await until(lambda: from_replica(reads))
        done = asyncio.Event()
        seen: list[bool] = []

        async def ask() -> None:
            while not done.is_set():
                seen.append(await from_replica(reads))
                await asyncio.sleep(0.001)

        asking = [asyncio.create_task(ask()) for _ in range(6)]
        for replica in servers.replicas:
            await asyncio.to_thread(replica.kill)
        seen.clear()
        await asyncio.sleep(0.3)
        assert seen
        assert not any(seen)
        for replica in servers.replicas:
            await asyncio.to_thread(replica.start)
        await until(lambda: from_replica(reads))
        done.set()
        await asyncio.gather(*asking)


async def test_a_replica_that_freezes_holds_up_nobody_for_long(servers: Streaming) -> None:
    async with process(servers.primary, servers.replicas[0]) as (_, reads):
        await until(lambda: from_replica(reads))
        servers.replicas[0].freeze()
        try:
            start = time.monotonic()
            answers = await asyncio.gather(*(from_replica(reads) for _ in range(3)))
            assert not any(answers)
            assert time.monotonic() - start < 15, "far below what a statement may take"
            assert not await from_replica(reads)
        finally:
            servers.replicas[0].thaw()
        await until(lambda: from_replica(reads))


async def test_what_a_replica_does_not_have_yet_is_read_from_the_primary(servers: Streaming) -> None:
    async with process(servers.primary, servers.replicas[0]) as (_, reads):
        await until(lambda: from_replica(reads))
        servers.replicas[0].pause()
        servers.primary.run("CREATE TABLE later (id int)")
        failed = fallbacks("error")
        target = await replicas_target(reads)
        assert await target.fetch("SELECT count(*) AS found FROM later", ()) == [{"found": 0}]
        assert fallbacks("error") == failed + 1
        assert reads._replicas[0].up, "it is well otherwise"
        servers.replicas[0].resume()


async def test_the_server_that_answers_says_itself_how_far_it_is(servers: Streaming) -> None:
    """As behind an address that spreads connections over several replicas, of which another was asked before."""
    async with process(servers.primary, servers.replicas[0]) as (_, reads):
        target = await replicas_target(reads)
        target._needs = 2**60
        behind = fallbacks("behind")
        assert [row["replica"] for row in await target.fetch(WHERE, ("quiet",))] == [False]
        target = await replicas_target(reads)
        target._needs = 2**60

        async def where(connection: postgres.Connection) -> bool:
            row = await (await connection.execute("SELECT pg_is_in_recovery() AS replica")).fetchone()
            return bool(row and row["replica"])

        assert not await target.run(where)
        assert fallbacks("behind") == behind + 2
        assert await (await replicas_target(reads)).run(where)


async def test_what_is_no_replica_of_ours_is_not_read(servers: Streaming) -> None:
    with streaming(replicas=0) as foreign:
        foreign.primary.run("CREATE TABLE notes (namespace text, value int)")
        for wrong in (foreign.primary, servers.primary):
            async with process(servers.primary, wrong) as (_, reads):
                for _ in range(30):
                    assert not await from_replica(reads)
                    await asyncio.sleep(0.02)
                assert REGISTRY.get_sample_value("context_db_replica_up", {"replica": "1"}) == 0


async def test_a_replica_that_became_a_primary_is_not_read(servers: Streaming) -> None:
    with streaming(replicas=1) as own:
        own.primary.run("CREATE TABLE notes (namespace text, value int)")
        async with process(own.primary, own.replicas[0]) as (_, reads):
            await until(lambda: from_replica(reads))
            own.replicas[0].run("SELECT pg_promote()")
            for _ in range(50):
                assert not await from_replica(reads)
                await asyncio.sleep(0.01)


async def test_a_statement_that_takes_too_long_is_not_tried_again(servers: Streaming) -> None:
    async with process(servers.primary, servers.replicas[0]) as (_, reads):
        await until(lambda: from_replica(reads))

        async def slow(connection: postgres.Connection) -> None:
            await connection.execute("SET LOCAL statement_timeout = '50ms'")
            await connection.execute("SELECT pg_sleep(5)")

        with pytest.raises(Unavailable, match="too long"):
            await reads.target("quiet").run(slow)


async def test_the_primary_alone_is_read_where_it_cannot_be_followed(servers: Streaming) -> None:
    async with process(servers.primary, servers.replicas[0]) as (_, reads):
        await until(lambda: from_replica(reads))
        with psycopg.connect(servers.primary.url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'reads'"
            )
        await reads.settle()
        assert not await from_replica(reads)
        await until(lambda: from_replica(reads))
