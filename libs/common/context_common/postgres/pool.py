"""A pool whose connections work as the service's role, give up in time, and are replaced when the server is."""

import secrets
import select
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any, TypeAlias

import psycopg
from psycopg.pq import PipelineStatus
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from context_common.postgres.measures import POOL_WAITS, measured
from context_common.postgres.requirements import check_version

Connection: TypeAlias = psycopg.AsyncConnection[DictRow]
Pool: TypeAlias = AsyncConnectionPool[Connection]
Configure: TypeAlias = Callable[[Connection], Awaitable[None]]
Row: TypeAlias = Mapping[str, Any]

READY = 8  # connections kept open: a pool grows one by one, and a burst waits no longer than that
POOL_WAIT = 1.0  # seconds a call may wait for a connection before it is refused
RECONNECT = 1.0  # seconds of attempts, after which new ones begin: so pauses never grow
# What a session may take, so that one that hangs holds up no others.
TIMEOUTS = {"statement_timeout": "30s", "lock_timeout": "5s", "idle_in_transaction_session_timeout": "10s"}
# A peer that went without a word is given up after about 20 s.
KEEPALIVE: Mapping[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


@dataclass(frozen=True, slots=True)
class Options:
    """What sessions of one service have in common.

    Args:
        schema: On the search path, before public.
        role: Whom they work as; empty: whoever logs in.
    """

    schema: str
    role: str = ""

    def __str__(self) -> str:
        """As libpq's `options`."""
        chosen = {
            "search_path": f"{self.schema},public",
            "TimeZone": "UTC",
            **TIMEOUTS,
            **({"role": self.role} if self.role else {}),
        }
        return " ".join(f"-c {name}={value}" for name, value in chosen.items())


@dataclass(frozen=True, slots=True)
class Reach:
    """Which rows a transaction sees and writes: those of `namespaces`, or what `role` may."""

    namespaces: tuple[str, ...] = ()
    role: str = ""


class TimedPool(AsyncConnectionPool[Connection]):
    """A pool that measures how long a call waits for a connection."""

    async def getconn(self, timeout: float | None = None) -> Connection:  # noqa: ASYNC109 - as in the pool
        """A connection, as soon as one is free."""
        start, result = perf_counter(), "refused"
        try:
            connection = await super().getconn(timeout)
            result = "ok"
        finally:
            POOL_WAITS.labels(self.name, result).observe(perf_counter() - start)
        return connection


@asynccontextmanager
async def open_pool(
    url: str, options: Options, *, name: str, size: int = 50, ready: int = READY, configure: Configure | None = None
) -> AsyncIterator[Pool]:
    """A pool of at most `size` connections, of which `ready` are kept open.

    It opens at once and connects behind the scenes, so a service can start before its database. `configure` runs
    once on each new connection. Every statement is a transaction of its own unless `transaction` says otherwise.
    """

    async def check(connection: Connection) -> None:
        if not _heard_from(connection):
            return
        try:
            await AsyncConnectionPool.check_connection(connection)
        except psycopg.OperationalError:
            await pool.check()  # the server has gone, and the others with it: better now than one per caller
            raise

    async def prepare(connection: Connection) -> None:
        check_version(connection.info.server_version)
        if configure:
            await configure(connection)

    pool: Pool = TimedPool(
        url,
        connection_class=psycopg.AsyncConnection[DictRow],
        kwargs={
            **KEEPALIVE,
            "row_factory": dict_row,
            "autocommit": True,
            "application_name": f"{name} pool={size} {secrets.token_hex(4)}",  # read by `watch_limits` of all processes
            "options": str(options),
        },
        min_size=min(ready, size),
        max_size=size,
        timeout=POOL_WAIT,
        max_waiting=size * 4,
        configure=prepare,
        check=check,
        reset=_refuse_unfinished,
        reconnect_timeout=RECONNECT,
        reconnect_failed=_try_again,
        open=False,
        name=name,
    )
    async with pool:
        with measured(pool, name):
            yield pool


async def _try_again(pool: Pool) -> None:
    """Have the pool begin anew when it has given up. It would wait for a caller, and let none in who could tell it:
    those who waited in vain still count as waiting.
    """
    await pool.check()


async def _refuse_unfinished(connection: Connection) -> None:
    """Have the pool drop a connection whose pipeline broke off: it would take no plain statement any more."""
    if connection.pgconn.pipeline_status != PipelineStatus.OFF:
        raise psycopg.OperationalError("the connection was left within a pipeline")


def _heard_from(connection: Connection) -> bool:
    """Whether an idle connection has something to read: nearly always its end. Costs no round trip."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))
