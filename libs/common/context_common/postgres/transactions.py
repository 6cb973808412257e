"""Reading and writing within reach: every transaction says first which namespaces it is about."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import DictRow

from context_common.errors import Unavailable
from context_common.postgres.faults import translate_errors
from context_common.postgres.pool import Connection, Pool, Reach

SEE = "SELECT set_config('context.namespaces', %s::text[]::text, true)"
BEGIN = sql.SQL("BEGIN; SELECT set_config('context.namespaces', {}::text[]::text, true)")
BEGIN_AS = sql.SQL("BEGIN; SET LOCAL ROLE {}")


async def fetch(pool: Pool, reach: Reach, query: str | bytes | sql.SQL | sql.Composed, params: Any) -> list[DictRow]:
    """The rows of one query, in one round trip: what it may see travels with it.

    Raises:
        Unavailable: The database is away, too slow, or has no connection free.
    """
    if reach.role:
        async with translate_errors(), transaction(pool, reach) as connection:
            return await (await connection.execute(query, params)).fetchall()
    async with translate_errors(), pool.connection() as connection:
        # One pipeline is one transaction, so the setting lasts for the query and no longer.
        async with connection.pipeline():
            await connection.execute(SEE, (list(reach.namespaces),))
            cursor = await connection.execute(query, params)
        return await cursor.fetchall()


@asynccontextmanager
async def transaction(pool: Pool, reach: Reach) -> AsyncIterator[Connection]:
    """A transaction within `reach`, committed at the end of the block. Driver errors come through as they are.

    Raises:
        Unavailable: The connection broke while committing: nobody knows whether what was written is stored. Only
            what may be done twice may be tried again.
    """
    begin = BEGIN_AS.format(sql.Identifier(reach.role)) if reach.role else BEGIN.format(list(reach.namespaces))
    async with pool.connection() as connection:
        await connection.execute(begin, prepare=False)
        yield connection
        try:
            await connection.commit()
        except psycopg.OperationalError as error:
            if not connection.closed:
                raise
            raise Unavailable("the database went away while it stored this: it may be stored or not") from error


async def ping(pool: Pool) -> None:
    """Raise Unavailable unless the database answers."""
    async with translate_errors(), pool.connection() as connection:
        await connection.execute("SELECT 1")
