"""The database dies, comes back, fills up, takes no writes or loses an answer: knowledge says so, and goes on."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import pytest

from context.v1 import types_pb2 as types
from context_common import postgres
from context_common.errors import Invalid, Unavailable
from context_knowledge.items import Items
from context_knowledge.model import Adr, Item, ItemType
from context_knowledge.store import SESSION, Session, Store
from context_knowledge.tags import Vocabulary
from tests.support.breakable import Breakable, breakable_server, losing_commits
from tests.support.items import adr
from tests.support.knowledge import Knowledge
from tests.support.trust import admin

Answer = TypeVar("Answer")

COMES_BACK = 30.0  # seconds; far more than it should take


@pytest.fixture
async def server() -> AsyncIterator[Breakable]:
    async with breakable_server() as running:
        yield running


@pytest.fixture
def database_url(server: Breakable) -> str:
    return server.url


async def until_it_works(attempt: Callable[[], Awaitable[Answer]]) -> Answer:
    """What `attempt` answers once it is no longer refused."""
    async with asyncio.timeout(COMES_BACK):
        while True:
            try:
                return await attempt()
            except Unavailable:
                await asyncio.sleep(0.1)


async def ids(knowledge: Knowledge) -> list[str]:
    return sorted(item.id for item in (await knowledge.page(type=types.ITEM_TYPE_ADR)).items)


async def fill(knowledge: Knowledge) -> None:
    for number in range(500):
        await knowledge.create(adr(decision=f"{number} " * 20_000))


async def test_it_comes_back_with_the_database_and_has_what_it_acknowledged(
    server: Breakable, knowledge: Knowledge
) -> None:
    # Many connections at once, so that many are found dead afterwards.
    await asyncio.gather(*(until_it_works(lambda: knowledge.create(adr())) for _ in range(30)))
    await knowledge.drain()
    waiting = asyncio.create_task(knowledge.lease(wait=25))
    server.kill()
    with pytest.raises(Unavailable):
        await knowledge.get("ADR-001")
    with pytest.raises(Unavailable):
        await knowledge.create(adr("Refused"))
    await asyncio.gather(waiting, return_exceptions=True)
    await server.start()
    await until_it_works(lambda: knowledge.create(adr("After")))
    assert await until_it_works(lambda: ids(knowledge)) == [f"ADR-{number:03d}" for number in range(1, 32)]
    await asyncio.gather(*(until_it_works(partial(knowledge.get, name)) for name in await ids(knowledge)))


async def test_callers_who_gave_up_do_not_keep_the_others_out(server: Breakable) -> None:
    async with postgres.open_pool(server.url, SESSION, name="test", size=1) as pool:
        await until_it_works(lambda: postgres.ping(pool))
        server.kill()
        # More than may wait, and for longer than the pool tries by itself.
        for _ in range(4):
            refused = await asyncio.gather(*(postgres.ping(pool) for _ in range(10)), return_exceptions=True)
            assert all(isinstance(error, Unavailable) for error in refused), refused
        await server.start()
        await until_it_works(lambda: postgres.ping(pool))


async def test_whoever_waits_for_changes_hears_of_them_again(server: Breakable, knowledge: Knowledge) -> None:
    server.kill()
    await server.start()
    await until_it_works(knowledge.drain)
    ticket = knowledge.feed._notifications.ticket()
    await knowledge.create(adr())
    async with asyncio.timeout(COMES_BACK):
        await ticket.wait()


async def test_a_read_only_database_is_named_and_read(server: Breakable, knowledge: Knowledge) -> None:
    await knowledge.create(adr())
    async with server.read_only():
        with pytest.raises(Unavailable, match=r"takes no writes: .*read-only") as refused:
            await knowledge.create(adr())
        assert refused.value.retry_after == 30
        assert (await knowledge.get("ADR-001")).id == "ADR-001"
        assert await ids(knowledge) == ["ADR-001"]
    await until_it_works(lambda: knowledge.create(adr()))
    assert await ids(knowledge) == ["ADR-001", "ADR-002"]


async def test_a_full_disk_is_named_and_read(server: Breakable, knowledge: Knowledge) -> None:
    await knowledge.create(adr())
    async with server.full("knowledge.items", "knowledge.item_versions"):
        with pytest.raises(Unavailable, match="takes no writes: could not extend file"):
            await fill(knowledge)
        stored = await ids(knowledge)
        assert (await knowledge.get("ADR-001")).id == "ADR-001"
    await knowledge.create(adr())
    assert len(await ids(knowledge)) == len(stored) + 1


async def test_a_commit_whose_answer_is_lost_is_not_done_again(server: Breakable) -> None:
    item = Item(id="", type=ItemType.ADR, title="Once", body=Adr(decision="Once."))
    async with (
        losing_commits(server) as url,
        postgres.open_pool(url, SESSION, name="test", size=2) as pool,
    ):
        store = Store(pool)
        work = await Items(store, Vocabulary.load(), lambda: datetime.now(UTC)).create(item)
        with pytest.raises(Unavailable, match="may be stored or not"):
            await store.run(admin(), work)
    assert await server.execute("SELECT id, version FROM knowledge.items") == [("ADR-001", 1)]


async def test_an_exhausted_pool_refuses_soon_and_lets_few_wait(server: Breakable) -> None:
    async def nothing(session: Session) -> None:
        return None

    async with postgres.open_pool(server.url, SESSION, name="test", size=1) as pool:
        store = Store(pool)
        await until_it_works(lambda: store.run(admin(), nothing))
        async with pool.connection():
            refused = await asyncio.gather(*(store.run(admin(), nothing) for _ in range(10)), return_exceptions=True)
        assert [type(error) for error in refused] == [Unavailable] * 10
        assert {error.retry_after for error in refused if isinstance(error, Unavailable)} == {1}
        causes = {type(error.__cause__).__name__ for error in refused if isinstance(error, Unavailable)}
        assert causes == {"PoolTimeout", "TooManyRequests"}
        await until_it_works(lambda: store.run(admin(), nothing))


@pytest.mark.parametrize(
    ("setting", "statement", "words"),
    [
        ("statement_timeout", "SELECT pg_sleep(60)", "took too long"),
        ("lock_timeout", "SELECT 1 FROM changes FOR UPDATE", "too busy"),
        ("idle_in_transaction_session_timeout", "SELECT 1", "is away"),
    ],
)
async def test_nobody_holds_up_the_others(server: Breakable, setting: str, statement: str, words: str) -> None:
    async def work(session: Any) -> None:
        connection = session.items._connection
        (row,) = await (await connection.execute(f"SELECT current_setting('{setting}')::interval AS set")).fetchall()
        assert 0 < row["set"].total_seconds() <= 30
        await connection.execute(f"SET LOCAL {setting} = '100ms'")
        await connection.execute(statement)
        await asyncio.sleep(1)
        await connection.execute("SELECT 1")

    await server.execute("INSERT INTO knowledge.changes VALUES ('web', 'ADR-001', 1, now())")
    async with postgres.open_pool(server.url, SESSION, name="test", size=2) as pool:
        store = Store(pool)
        async with postgres.transaction(pool, postgres.Reach(("web",))) as other:
            await other.execute("SELECT 1 FROM changes FOR UPDATE")
            with pytest.raises(Unavailable, match=words):
                await store.run(admin(), work)
        await until_it_works(store.ping)


async def test_a_text_that_is_too_much_is_the_callers_fault_and_no_outage(server: Breakable) -> None:
    async def work(session: Any) -> None:
        words = "CONCAT_WS(' ', VARIADIC ARRAY(SELECT md5(n::text) FROM generate_series(1, 60000) n))"
        await session.items._connection.execute(f"SELECT to_tsvector('simple', {words})")

    async with postgres.open_pool(server.url, SESSION, name="test", size=1) as pool:
        with pytest.raises(Invalid, match="too much for the database"):
            await Store(pool).run(admin(), work)


async def test_a_long_text_of_hyphenated_letters_is_stored(knowledge: Knowledge) -> None:
    random_ = random.Random(1)
    letters = [chr(0x10428 + at) for at in range(40)]  # of four bytes each
    parts = ["a" + "".join(random_.choices(letters, k=18)) + "s" for _ in range(4_700)]
    await knowledge.create(adr(decision=" ".join(map("-".join, zip(parts[::2], parts[1::2], strict=True)))))
