"""Many writers in one namespace leave connections for everybody else."""

import asyncio

from context_common import postgres
from context_common.caller import Caller
from context_knowledge.store import SESSION, Session, Store
from context_knowledge.store.session import WRITERS

SIZE = WRITERS + 1  # connections: one more than the writers of one namespace may have


async def test_writers_wait_for_their_turn_without_a_connection(database_url: str) -> None:
    begun, go_on = asyncio.Semaphore(0), asyncio.Event()

    async def write(_session: Session) -> None:
        begun.release()
        await go_on.wait()

    async def read(_session: Session) -> str:
        return "answered"

    async with postgres.open_pool(database_url, SESSION, name="test", size=SIZE) as pool:
        store = Store(pool)
        writing = [asyncio.create_task(store.write(Caller("web", "ada", "r"), write)) for _ in range(5 * WRITERS)]
        for _ in range(WRITERS):
            await begun.acquire()
        assert await store.run(Caller("web", "ada", "r"), read) == "answered"
        assert await store.write(Caller("billing", "ada", "r"), read) == "answered"
        assert begun.locked()  # nobody else has begun
        go_on.set()
        await asyncio.gather(*writing)
