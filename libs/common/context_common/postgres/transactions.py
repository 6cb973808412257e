"""Reading and writing within reach: every transaction says first which namespaces it is about."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, nullcontext
from functools import cache
from typing import Any, LiteralString, TypeAlias

import psycopg
from psycopg import sql
from psycopg.rows import DictRow

from context_common.errors import Unavailable
from context_common.postgres.faults import translate_errors
from context_common.postgres.pool import Connection, Pool, Reach
from context_common.postgres.roundtrip import ask
from context_common.postgres.statements import OTHER, Measured, Numbered

COMMIT = "commit"  # the source of what ends a transaction
SEE = "SELECT set_config('context.namespaces', %(namespaces)s::text[]::text, true)"
BEGIN = sql.SQL("BEGIN; SELECT set_config('context.namespaces', {}::text[]::text, true)")
BEGIN_AS = sql.SQL("BEGIN; SET LOCAL ROLE {}")
# How far the replica is that answers, asked before it takes the snapshot that it answers from.
REPLAYED: LiteralString = (
    "CASE WHEN pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint END AS replayed"
)
SEE_REPLAYED = f"{SEE}, {REPLAYED}"
BEGIN_REPLAYED = sql.SQL(f"BEGIN; SELECT set_config('context.namespaces', {{}}::text[]::text, true), {REPLAYED}")

Query: TypeAlias = str | bytes | sql.SQL | sql.Composed | Numbered
Settings: TypeAlias = Mapping[str, str]
NO_SETTINGS: Settings = {}


class Behind(Exception):
    """The replica that would answer has not replayed what the read needs, or is none any more."""


async def fetch(
    pool: Pool, reach: Reach, query: Query, params: Any, source: str = OTHER, settings: Settings = NO_SETTINGS
) -> list[DictRow]:
    """The rows of one query, in one round trip: what it may see travels with it, and `settings` for it alone.

    It is counted under `source`.

    Raises:
        Unavailable: The database is away, too slow, or has no connection free.
    """
    if reach.role:
        async with translate_errors(), transaction(pool, reach, source) as connection:
            return await (await connection.execute(_plain(query), params)).fetchall()
    async with translate_errors(), pool.connection() as connection:
        with Measured(source):
            return (await _fetch(connection, SEE, reach, query, params, settings))[1]


async def _fetch(
    connection: Connection, see: LiteralString, reach: Reach, query: Query, params: Any, settings: Settings
) -> list[list[DictRow]]:
    """The rows of what comes before a query, and those of the query: one transaction, so that settings last no longer.

    Raises:
        psycopg.Error: Something went wrong.
    """
    before, values = _before(see, tuple(settings)), [list(reach.namespaces), *settings.values()]
    if isinstance(query, Numbered):
        return await ask(connection, (before, values), (query, query.values(params)))
    async with connection.pipeline():
        seen = await psycopg.AsyncRawCursor(connection).execute(before.text, values)
        found = await connection.execute(query, params)
    return [await seen.fetchall(), await found.fetchall()]


@cache
def _before(see: LiteralString, settings: tuple[str, ...]) -> Numbered:
    """What says which namespaces a query may see, and sets `settings`, which are names of ours."""
    return Numbered.of(see + "".join(f", set_config('{name}', %({name})s, true)" for name in settings))


def _plain(query: Query) -> "str | bytes | sql.SQL | sql.Composed":
    if isinstance(query, Numbered):
        raise TypeError("a query over all namespaces is no numbered one")
    return query


@asynccontextmanager
async def transaction(pool: Pool, reach: Reach, source: str = "") -> AsyncIterator[Connection]:
    """A transaction within `reach`, committed at the end of the block. Driver errors come through as they are.

    All of it is counted under `source`, or, where who uses it counts each statement, only its end.

    Raises:
        Unavailable: The connection broke while committing: nobody knows whether what was written is stored. Only
            what may be done twice may be tried again.
    """
    begin = BEGIN_AS.format(sql.Identifier(reach.role)) if reach.role else BEGIN.format(list(reach.namespaces))
    async with pool.connection() as connection:
        with Measured(source) if source else nullcontext():
            await connection.execute(begin, prepare=False)
            yield connection
            with nullcontext() if source else Measured(COMMIT):
                await _commit(connection)


async def _commit(connection: Connection) -> None:
    try:
        await connection.commit()
    except psycopg.OperationalError as error:
        if not connection.closed:
            raise
        raise Unavailable("the database went away while it stored this: it may be stored or not") from error


async def fetch_replayed(
    connection: Connection, reach: Reach, needs: int, query: Query, params: Any, settings: Settings = NO_SETTINGS
) -> list[DictRow]:
    """`fetch` on a connection to a replica, which says in the same round trip how far it is.

    Raises:
        Behind: Not as far as the position `needs`.
    """
    seen, found = await _fetch(connection, SEE_REPLAYED, reach, query, params, settings)
    _hold(seen[0], needs)
    return found


@asynccontextmanager
async def transaction_replayed(connection: Connection, reach: Reach, needs: int) -> AsyncIterator[Connection]:
    """A transaction that reads a replica, within `reach`.

    Raises:
        Behind: It is not as far as the position `needs`.
    """
    begun = await connection.execute(BEGIN_REPLAYED.format(list(reach.namespaces)), prepare=False)
    begun.nextset()
    _hold(await begun.fetchone(), needs)
    yield connection
    await connection.commit()


def _hold(row: DictRow | None, needs: int) -> None:
    if row is None or row["replayed"] is None or row["replayed"] < needs:
        raise Behind


async def ping(pool: Pool) -> None:
    """Raise Unavailable unless the database answers."""
    async with translate_errors(), pool.connection() as connection:
        await connection.execute("SELECT 1")
