"""Numbered migrations, run by the owner of the schema, once each."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import structlog
from psycopg import sql
from psycopg.rows import dict_row
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_delay,
    wait_exponential_jitter,
    wait_random,
)

from context_common.errors import Unavailable
from context_common.postgres.address import refuse_stranger
from context_common.postgres.logins import make_login
from context_common.postgres.pool import KEEPALIVE, Connection, Options
from context_common.postgres.requirements import check_server
from context_common.scrub import scrub
from context_common.settings import SettingsError

PATIENCE = 30.0  # seconds of attempts to reach the database
MIGRATION_WAIT = 120.0  # seconds to wait for another migrator
# What a migration waits for behind somebody's long transaction, everybody else waits for behind the migration: so it
# gives up soon, lets the others pass, and tries again.
LOCK_WAIT = "1s"
LOCK_PATIENCE = 60.0  # seconds of attempts
ALONE = b"-- no transaction"  # the first line of a file whose one statement must not be in one
# An owner whom the policies hold too gets an error, not silence, from a statement that would miss rows.
OPTIONS = "-c row_security=off"

DONE = "INSERT INTO migrations (name, checksum) VALUES (%s, %s)"
UNFINISHED = """
SELECT c.relname AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND NOT i.indisvalid ORDER BY 1
"""

log = structlog.get_logger()


async def set_up(database_url: str, owner_url: str, session: Options, directory: Path) -> None:
    """Migrate the schema of `session` as its owner, and make the login that stands in `database_url` as its role's.

    Without an `owner_url` whoever serves is the owner.
    """
    owner = owner_url or database_url
    await migrate(owner, schema=session.schema, directory=directory)
    await make_login(owner, database_url, session.role)


async def migrate(url: str, *, schema: str, directory: Path) -> list[str]:
    """Bring `schema` to the newest of the numbered .sql files in `directory`; answers the names it ran.

    Each file runs in a transaction of its own, once, and waits for a lock no longer than a moment at a time; one that
    begins with `-- no transaction` runs as it is. A file that changed after it ran is an error. Safe to run from many
    processes at once: the others wait.

    Raises:
        SettingsError: The server is older than Postgres 17, lacks pgvector 0.8, is not whom the address means, does not
            let its owner set the database up, or holds another history of migrations.
        Unavailable: The database is away.
        LockNotAvailable: Somebody held for a minute what a file needs.
    """
    files = _read_migrations(directory)
    async with await _connect(url) as connection:
        await check_server(connection)
        async with sole_maintainer(connection, schema):
            return await _run_migrations(connection, schema, files)


async def _connect(url: str) -> Connection:
    """A session, for which a database that is only starting is waited for."""
    try:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(psycopg.OperationalError),
            stop=stop_after_delay(PATIENCE),
            wait=wait_exponential_jitter(multiplier=0.1, max=2),
            before_sleep=_say_away,
            reraise=True,
        ):
            with attempt, refuse_stranger(url):
                return await psycopg.AsyncConnection.connect(
                    url, autocommit=True, row_factory=dict_row, options=OPTIONS, **KEEPALIVE
                )
    except psycopg.OperationalError as error:
        raise Unavailable(f"the database is away: {scrub(' '.join(str(error).split()))}") from error
    raise AssertionError  # an attempt returns or raises


def _say_away(state: RetryCallState) -> None:
    assert state.outcome  # noqa: S101 - there was an attempt
    log.warning("database_away", reason=str(state.outcome.exception()))


def _read_migrations(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.glob("[0-9]*.sql"))}


def maintenance_key(schema: str) -> int:
    """The advisory lock of whoever migrates `schema` or rebuilds its indexes."""
    return int.from_bytes(hashlib.sha256(f"context:migrate:{schema}".encode()).digest()[:8], signed=True)


@asynccontextmanager
async def sole_maintainer(connection: Connection, schema: str) -> AsyncIterator[None]:
    """Be the only one for the block who migrates `schema` or rebuilds its indexes.

    Polled: a waiter that blocks in SQL deadlocks CREATE INDEX CONCURRENTLY.
    """
    key = maintenance_key(schema)
    async with asyncio.timeout(MIGRATION_WAIT):
        while True:
            locked = await connection.execute("SELECT pg_try_advisory_lock(%s) AS got", (key,))
            if (await locked.fetchone() or {})["got"]:
                break
            await asyncio.sleep(0.1)
    try:
        yield
    finally:
        await connection.execute("SELECT pg_advisory_unlock(%s)", (key,))


async def _run_migrations(connection: Connection, schema: str, files: Mapping[str, bytes]) -> list[str]:
    name = sql.Identifier(schema)
    # Two services may create the extension at once; only one of the two may win, the other finds it there.
    for statement in (
        sql.SQL("CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public"),
        sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(name),
        sql.SQL(
            "CREATE TABLE IF NOT EXISTS {}.migrations"
            " (name text PRIMARY KEY, checksum text NOT NULL, run_at timestamptz NOT NULL DEFAULT now())"
        ).format(name),
        sql.SQL("SET search_path TO {}, public").format(name),
    ):
        try:
            await connection.execute(statement)
        except psycopg.errors.UniqueViolation:
            await connection.execute(statement)
        except psycopg.errors.InsufficientPrivilege as error:
            raise SettingsError(
                f"{connection.info.user} may not set the database up ({error.diag.message_primary}): let a superuser"
                " run CREATE EXTENSION vector in it once, and give its owner CREATE on it"
            ) from error
    rows = await (await connection.execute("SELECT name, checksum FROM migrations")).fetchall()
    done = {row["name"]: row["checksum"] for row in rows}
    ran = []
    for file, content in files.items():
        checksum = hashlib.sha256(content).hexdigest()
        if file in done:
            if done[file] != checksum:
                raise SettingsError(
                    f"{schema}: migration {file} is not the one that ran on this database. Nothing was changed;"
                    " docs/operations.md, `A migration that is not the one that ran`, has the ways out"
                )
            continue
        if content.startswith(ALONE):
            await drop_unfinished(connection, schema)
            await connection.execute(content)
            await connection.execute(DONE, (file, checksum))
        else:
            await _run(connection, content, (file, checksum))
        log.info("migrated", schema=schema, migration=file)
        ran.append(file)
    return ran


async def _run(connection: Connection, content: bytes, done: tuple[str, str]) -> None:
    """Run a file in a transaction, again from the start when it waited too long for a lock."""
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type(psycopg.errors.LockNotAvailable),
        stop=stop_after_delay(LOCK_PATIENCE),
        wait=wait_random(0.2, 1),
        reraise=True,
    ):
        with attempt:
            async with connection.transaction():
                await connection.execute("SELECT set_config('lock_timeout', %s, true)", (LOCK_WAIT,))
                await connection.execute(content)
                await connection.execute(DONE, done)


async def drop_unfinished(connection: Connection, schema: str) -> list[str]:
    """Drop the indexes of `schema` that were being built when somebody was killed; answers their names.

    They cost every write something and answer no read, and the next attempt would take them for done.
    """
    rows = await (await connection.execute(UNFINISHED, (schema,))).fetchall()
    for row in rows:
        await connection.execute(sql.SQL("DROP INDEX CONCURRENTLY {}").format(sql.Identifier(schema, row["name"])))
        log.warning("unfinished_index_dropped", schema=schema, index=row["name"])
    return [row["name"] for row in rows]
