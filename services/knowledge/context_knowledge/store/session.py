"""The transaction that a write shares, tried again when it collides with another."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar
from weakref import WeakValueDictionary

import psycopg
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random

from context_common import postgres
from context_common.caller import Caller
from context_common.errors import Conflict
from context_knowledge.store.aside import Aside
from context_knowledge.store.audit import Audit
from context_knowledge.store.backups import Backups
from context_knowledge.store.chains import Chains
from context_knowledge.store.edges import Edges
from context_knowledge.store.feed import Changes
from context_knowledge.store.feedback import Feedbacks
from context_knowledge.store.items import Items
from context_knowledge.store.keys import Keys
from context_knowledge.store.lists import Lists
from context_knowledge.store.once import Once
from context_knowledge.store.totals import Totals

Answer = TypeVar("Answer")

SESSION = postgres.Options("knowledge", role="context_knowledge")
EVERYWHERE = "context_feed"  # the role that spans namespaces
ATTEMPTS = 5
WRITERS = 8  # at once in one namespace: they wait for its counters anyway, and need no connection while they do
# A broken unique constraint means that two callers raced: looking again finds what the other one wrote.
COLLISIONS = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected, psycopg.errors.UniqueViolation)
TAKEN = {
    "items_pkey": Conflict("that id is taken"),
    "items_source_uri": Conflict("that source_uri is another item's"),
    "items_commit_hash": Conflict("that commit_hash is another snapshot's"),
}


class Session:
    """One transaction of one caller. Everything but the feed sees only the caller's namespace."""

    def __init__(self, connection: postgres.Connection, who: Caller) -> None:
        def counted(source: str) -> postgres.Statements:
            return postgres.Statements(connection, source)

        self.items = Items(counted("items"), who)
        self.lists = Lists(counted("lists"), who.namespace)
        self.edges = Edges(counted("edges"), who)
        self.feed = Changes(counted("feed"), who.namespace)
        self.aside = Aside(counted("feed"), who.namespace)
        self.keys = Keys(counted("keys"), who)
        self.audit = Audit(counted("audit"), who)
        self.once = Once(counted("requests"), who)
        self.totals = Totals(counted("totals"))
        self.backups = Backups(counted("backups"))
        self.chains = Chains(counted("chains"), who.namespace)
        self.feedback = Feedbacks(counted("feedback"), who)


class Store:
    """Opens transactions on a pool."""

    def __init__(self, pool: postgres.Pool, reads: postgres.Reads | None = None) -> None:
        self._pool, self._reads = pool, reads or postgres.Reads(pool)
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def write(self, who: Caller, work: "Callable[[Session], Awaitable[Answer]]") -> Answer:
        """Do `work`, which writes items of the caller's namespace, as `run` does, when it is its turn.

        So many writers in one namespace leave connections for the others, and for its readers.
        """
        turn = self._turns.setdefault(who.namespace, asyncio.Semaphore(WRITERS))
        async with turn:
            return await self.run(who, work)

    async def read(self, who: Caller, work: "Callable[[Session], Awaitable[Answer]]") -> Answer:
        """Do `work`, which reads items of the caller's namespace and edges between them, on a replica where one has
        all that was acknowledged, else on the primary. Of access counts a replica may know a little less.

        Raises:
            Unavailable: The database is away, or has no connection free.
        """
        return await self._reads.target(who.namespace).run(lambda connection: work(Session(connection, who)))

    async def settle(self) -> None:
        """Return when whatever was written before is read by everybody, in whichever process and wherever it reads."""
        await self._reads.settle()

    async def run(
        self,
        who: Caller,
        work: "Callable[[Session], Awaitable[Answer]]",
        *,
        namespaces: Sequence[str] | None = None,
        everywhere: bool = False,
    ) -> Answer:
        """Do `work` in one transaction, again from the start when it collides with another.

        It sees the caller's namespace, or `namespaces` where they are given; the empty one is that of audit lines that
        concern no one namespace. `everywhere` is for the feed: it sees all of them, as far as the feed needs.

        Raises:
            Unavailable: The database is away, has no connection free, or is too busy after several attempts. Or the
                connection broke while committing: then nobody knows whether the work is stored, and it is not tried
                again here.
        """
        reach = postgres.Reach((who.namespace,) if namespaces is None else tuple(namespaces))
        if everywhere:
            reach = postgres.Reach(role=EVERYWHERE)
        attempts = AsyncRetrying(
            retry=retry_if_exception_type(COLLISIONS),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_random(0, 0.05),
            reraise=True,
        )
        async with postgres.translate_errors(TAKEN):
            answer: Answer = await attempts(self._once, who, work, reach)
            return answer

    async def _once(self, who: Caller, work: "Callable[[Session], Awaitable[Answer]]", reach: postgres.Reach) -> Answer:
        async with postgres.transaction(self._pool, reach) as connection:
            return await work(Session(connection, who))

    async def ping(self) -> None:
        """Raise unless the database answers."""
        await postgres.ping(self._pool)
