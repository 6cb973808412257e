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
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_exponential_jitter

from context_common.postgres.logins import make_login
from context_common.postgres.pool import Connection, Options

MIGRATION_WAIT = 120.0  # seconds to wait for another migrator
LEAST_SERVER = 170000
# An owner whom the policies hold too gets an error, not silence, from a statement that would miss rows.
OPTIONS = "-c row_security=off"

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

    Each file runs in a transaction of its own, once; a file that changed after it ran is an error. Safe to run from
    many processes at once: the others wait.

    Raises:
        RuntimeError: The server is older than Postgres 17, lacks pgvector, or holds another history of migrations.
    """
    files = _read_migrations(directory)
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type(psycopg.OperationalError),
        stop=stop_after_delay(30),
        wait=wait_exponential_jitter(multiplier=0.1, max=2),
        reraise=True,
    ):
        with attempt:
            connection = await psycopg.AsyncConnection.connect(
                url, autocommit=True, row_factory=dict_row, options=OPTIONS
            )
    async with connection:
        await _check_server(connection)
        async with _sole_migrator(connection, schema):
            return await _run_migrations(connection, schema, files)


def _read_migrations(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.glob("[0-9]*.sql"))}


async def _check_server(connection: Connection) -> None:
    if connection.info.server_version < LEAST_SERVER:
        raise RuntimeError(f"Postgres 17 or newer is needed; this server is {connection.info.server_version // 10000}")
    found = await connection.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'")
    if await found.fetchone() is None:
        raise RuntimeError("the server lacks the pgvector extension")


@asynccontextmanager
async def _sole_migrator(connection: Connection, schema: str) -> AsyncIterator[None]:
    """Hold the advisory lock of `schema`. Polled: a waiter that blocks in SQL deadlocks CREATE INDEX CONCURRENTLY."""
    key = int.from_bytes(hashlib.sha256(f"context:migrate:{schema}".encode()).digest()[:8], signed=True)
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
    rows = await (await connection.execute("SELECT name, checksum FROM migrations")).fetchall()
    done = {row["name"]: row["checksum"] for row in rows}
    ran = []
    for file, content in files.items():
        checksum = hashlib.sha256(content).hexdigest()
        if file in done:
            if done[file] != checksum:
                raise RuntimeError(f"{schema}: migration {file} is not the one that ran on this database")
            continue
        async with connection.transaction():
            await connection.execute(content)
            await connection.execute("INSERT INTO migrations (name, checksum) VALUES (%s, %s)", (file, checksum))
        log.info("migrated", schema=schema, migration=file)
        ran.append(file)
    return ran
