"""Where reads go: to a replica that has everything which was acknowledged before the read came, else to the primary.

How that is known, and why it holds across processes, is in docs/adr.
"""

import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import psycopg
import structlog
from psycopg import sql
from psycopg.rows import DictRow, dict_row
from psycopg_pool import PoolTimeout, TooManyRequests

from context_common import chores
from context_common.postgres import measures
from context_common.postgres.faults import translate_errors
from context_common.postgres.notifications import PAUSE
from context_common.postgres.pool import KEEPALIVE, Configure, Connection, Options, Pool, Reach, open_pool
from context_common.postgres.positions import BEAT, SETTLE, Positions
from context_common.postgres.replicas import Identity, Replica
from context_common.postgres.statements import OTHER, Measured
from context_common.postgres.transactions import (
    NO_SETTINGS,
    Behind,
    Query,
    Settings,
    fetch,
    fetch_replayed,
    transaction,
    transaction_replayed,
)
from context_common.settings import Env

IDLE = 2.0  # seconds without a read after which the primary is asked less often
IDLE_BEAT = 1.0
POSITION = """
SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint AS position, current_database() AS database,
    (SELECT system_identifier FROM pg_control_system()) AS system
"""
PRIMARY = "primary"

log = structlog.get_logger()

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class ReplicaSettings:
    """The replicas of a database. `max_lag`: seconds by which one may be behind and still be read."""

    urls: tuple[str, ...] = ()
    pool_size: int = 20
    max_lag: float = 5.0

    @classmethod
    def read(cls, env: Env, complete: Callable[[str], str]) -> Self:
        """What the environment says; `complete` completes addresses."""
        urls = (env.secret("DATABASE_REPLICA_1_URL", ""), env.secret("DATABASE_REPLICA_2_URL", ""))
        return cls(
            urls=tuple(complete(url) for url in urls if url),
            pool_size=env.integer("REPLICA_POOL_SIZE", 20, least=1, most=1000),
            max_lag=env.number("REPLICA_MAX_LAG", 5.0, least=0.2, most=3600),
        )


class Target:
    """Where one question is read from: the same replica from beginning to end, as long as it is good for it."""

    def __init__(self, primary: Pool, reach: Reach, replica: Replica | None = None, needs: int = 0) -> None:
        self._primary, self._reach, self._replica, self._needs = primary, reach, replica, needs

    async def fetch(
        self, query: Query, params: Any, source: str = OTHER, settings: Settings = NO_SETTINGS
    ) -> list[DictRow]:
        """The rows of one query, in one round trip, counted under `source`; `settings` hold for it alone.

        Raises:
            Unavailable: The database is away, too slow, or has no connection free.
        """

        async def read(connection: Connection) -> list[DictRow]:
            with Measured(source):
                return await fetch_replayed(connection, self._reach, self._needs, query, params, settings)

        async with translate_errors():
            if self._replica and (found := await self._ask(self._replica, read)):
                return found[0]
        measures.READS.labels(PRIMARY).inc()
        return await fetch(self._primary, self._reach, query, params, source, settings)

    async def run(self, work: Callable[[Connection], Awaitable[Answer]]) -> Answer:
        """Do `work`, which only reads, in one transaction; again on the primary where a replica fails at it.

        Raises:
            Unavailable: The database is away, too slow, or has no connection free.
        """

        async def read(connection: Connection) -> Answer:
            async with transaction_replayed(connection, self._reach, self._needs):
                return await work(connection)

        async with translate_errors():
            if self._replica and (found := await self._ask(self._replica, read)):
                return found[0]
            measures.READS.labels(PRIMARY).inc()
            async with transaction(self._primary, self._reach) as connection:
                return await work(connection)

    async def _ask(self, replica: Replica, read: Callable[[Connection], Awaitable[Answer]]) -> tuple[Answer] | None:
        """What `read` finds on the replica; None where it has to be read on the primary, from now on."""
        try:
            async with replica.lend() as connection:
                found = await read(connection)
        except psycopg.errors.QueryCanceled:
            raise  # it takes too long, wherever
        except (Behind, psycopg.Error) as error:
            self._replica = None
            _give_up(replica, error)
            return None
        measures.READS.labels(f"replica_{replica.name}").inc()
        return (found,)


def _give_up(replica: Replica, error: Exception) -> None:
    """Count why a replica was of no use, and leave it out where it is away."""
    if isinstance(error, Behind):
        reason = "behind"
    elif isinstance(error, PoolTimeout | TooManyRequests):
        reason = "busy"
    elif isinstance(error, psycopg.errors.SerializationFailure):
        reason = "conflict"  # what it replays removed what was being read
    elif isinstance(error, psycopg.OperationalError):
        reason = "away"
        replica.eject(str(error))
    else:
        reason = "error"  # such as a column that a migration adds and it does not have yet
        log.info("replica_could_not_answer", replica=replica.name, reason=str(error))
    measures.FALLBACKS.labels(replica.name, reason).inc()


class Reads:
    """Chooses where reads go. Without replicas it costs nothing, and all go to `primary`."""

    def __init__(self, primary: Pool, replicas: Sequence[Replica] = (), max_lag: float = 0.0) -> None:
        self._primary, self._replicas, self._max_lag = primary, list(replicas), max_lag
        self._positions = Positions()
        self._turns = itertools.count()
        self._asked_at = time.monotonic()
        self._wanted = asyncio.Event()

    def target(self, *namespaces: str) -> Target:
        """Where a question about `namespaces` is read from.

        The primary, where no replica is known to have all that was acknowledged by now.
        """
        reach = Reach(namespaces)
        if not self._replicas:
            return Target(self._primary, reach)
        now = self._asked_at = time.monotonic()
        self._wanted.set()
        needs = self._positions.needs(namespaces, now)
        if needs is None:
            return Target(self._primary, reach)
        good = [replica for replica in self._replicas if replica.serves(needs, self._max_lag, now)]
        if not good:
            return Target(self._primary, reach)
        return Target(self._primary, reach, good[next(self._turns) % len(good)], needs)

    async def settle(self) -> None:
        """Return when every process knows of what was committed before, or asks the primary. Before it is acknowledged.

        Without replicas at once.
        """
        if self._replicas:
            await asyncio.sleep(SETTLE)

    async def follow(self, url: str, channel: str, options: Options) -> None:
        """Keep what replicas need current, until cancelled."""
        identity: asyncio.Future[Identity] = asyncio.get_running_loop().create_future()
        async with asyncio.TaskGroup() as tasks:
            for replica in self._replicas:
                tasks.create_task(replica.follow(self._positions, identity))
            while True:
                try:
                    await self._listen(url, channel, options, identity)
                except psycopg.Error as error:
                    log.warning("primary_not_followed", reason=str(error))
                except Exception:  # one that nobody follows any more is read all the same, and replicas never again
                    log.exception("primary_not_followed")
                await asyncio.sleep(random.uniform(*PAUSE))  # noqa: S311 - not for secrets

    async def _listen(self, url: str, channel: str, options: Options, identity: "asyncio.Future[Identity]") -> None:
        """Follow the primary over one connection. Every answer on it comes after the notifications of what was
        committed before it was asked for.
        """
        connection = await psycopg.AsyncConnection.connect(
            url, autocommit=True, row_factory=dict_row, options=str(options), application_name="reads", **KEEPALIVE
        )
        async with connection:
            connection.add_notify_handler(lambda notice: self._positions.note(notice.payload))
            await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
            anew = True
            while True:
                began = time.monotonic()
                self._positions.begin()
                row = await (await connection.execute(POSITION)).fetchone() or {}
                self._positions.look(began, row["position"], anew=anew)
                if not identity.done():
                    identity.set_result(Identity(row["system"], row["database"]))
                anew = False
                await self._pause(began)

    async def _pause(self, now: float) -> None:
        """Until the next look: soon while reads come, late or with the next read while none do."""
        if now - self._asked_at < IDLE:
            await asyncio.sleep(BEAT)
            return
        self._wanted.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(IDLE_BEAT):
                await self._wanted.wait()


@asynccontextmanager
async def open_reads(
    primary: Pool,
    url: str,
    options: Options,
    *,
    channel: str,
    replicas: ReplicaSettings,
    configure: Configure | None = None,
) -> AsyncIterator[Reads]:
    """Where reads go, over `primary`, which is at `url`, and the replicas, whose pools are open for the block.

    Whoever commits what is read notifies on `channel`, with the namespace or, for all of them, nothing.
    """
    if not replicas.urls:
        yield Reads(primary)
        return
    async with AsyncExitStack() as stack:
        followed = []
        for number, replica_url in enumerate(replicas.urls, 1):
            name = f"{primary.name}_replica_{number}"
            pool = await stack.enter_async_context(
                open_pool(replica_url, options, name=name, size=replicas.pool_size, configure=configure)
            )
            followed.append(Replica(str(number), replica_url, pool))
        reads = Reads(primary, followed, replicas.max_lag)
        following = asyncio.create_task(reads.follow(url, channel, options))
        try:
            yield reads
        finally:
            await chores.end([following])
