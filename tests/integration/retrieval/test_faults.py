"""The database dies, comes back, fills up or takes no writes: retrieval goes on answering where it can, and mends."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from context_common.errors import Unavailable
from tests.support import items
from tests.support.breakable import Breakable, breakable_server
from tests.support.retrieval import Retrieval, ids, running

COMES_BACK = 30.0  # seconds; far more than it should take
TABLES = ("documents", "chunks", "terms", "receipts")


@pytest.fixture
async def server() -> AsyncIterator[Breakable]:
    async with breakable_server() as broken:
        yield broken


@pytest.fixture
async def retrieval(server: Breakable) -> AsyncIterator[Retrieval]:
    async with running(server.url) as service:
        await service.put(items.adr(id="ADR-001", title="Use Postgres", decision="One database for all."))
        yield service


async def found(retrieval: Retrieval) -> list[str]:
    bundle, response = await retrieval.query("why Postgres?")
    assert not response.degraded
    return ids(bundle)


async def until_found(retrieval: Retrieval, wanted: list[str]) -> None:
    async with asyncio.timeout(COMES_BACK):
        while True:
            try:
                if sorted(await found(retrieval)) == wanted:
                    return
            except Unavailable:
                pass
            await asyncio.sleep(0.1)
            retrieval.knowledge.expire()


async def test_it_answers_and_indexes_again_when_the_database_is_back(server: Breakable, retrieval: Retrieval) -> None:
    assert await found(retrieval) == ["ADR-001"]
    server.kill()
    with pytest.raises(Unavailable):
        await found(retrieval)
    retrieval.knowledge.put(items.adr(id="ADR-002", title="Keep Postgres", decision="Postgres stays."))
    await server.start()
    await until_found(retrieval, ["ADR-001", "ADR-002"])


async def test_a_read_only_database_is_searched(server: Breakable, retrieval: Retrieval) -> None:
    async with server.read_only():
        retrieval.knowledge.put(items.adr(id="ADR-002", title="Keep Postgres", decision="Postgres stays."))
        for _ in range(5):
            assert await found(retrieval) == ["ADR-001"]
    await until_found(retrieval, ["ADR-001", "ADR-002"])


async def test_a_full_disk_is_searched(server: Breakable, retrieval: Retrieval) -> None:
    texts = [" ".join(f"w{number}x{word}" for word in range(1000)) for number in range(10)]
    async with server.full(*(f"retrieval.{table}" for table in TABLES)):
        for number, text in enumerate(texts, 2):
            retrieval.knowledge.put(items.adr(id=f"ADR-{number:03d}", title="Long", decision=text))
        await asyncio.sleep(2)
        assert retrieval.knowledge.feed, "the disk is not full"
        assert await found(retrieval) == ["ADR-001"]
    async with asyncio.timeout(COMES_BACK * 3):
        while retrieval.knowledge.feed:
            retrieval.knowledge.expire()
            await asyncio.sleep(0.5)
    assert (await retrieval.status()).items == len(texts) + 1
