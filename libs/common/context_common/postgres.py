"""The way to Postgres: pool, error translation, migrations, notifications. No SQL of any service stands here."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import psycopg
import structlog
from psycopg import sql
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_exponential_jitter

from context_common.errors import AppError, Conflict, Overloaded, Unavailable

Connection: TypeAlias = psycopg.AsyncConnection[DictRow]
Pool: TypeAlias = AsyncConnectionPool[Connection]
Configure: TypeAlias = Callable[[Connection], Awaitable[None]]

POOL_WAIT = 5.0  # seconds a call may wait for a connection before it is refused
MIGRATION_WAIT = 120.0  # seconds to wait for another migrator
LEAST_SERVER = 170000

log = structlog.get_logger()


def open_pool(
    url: str, *, name: str, size: int = 50, schema: str, configure: Configure | None = None
) -> AbstractAsyncContextManager[Pool]:
    """A pool of at most `size` connections with `schema` (and public, for extensions) on their search path.

    It opens at once and connects behind the scenes, so a service can start before its database. `configure` runs
    once on each new connection. Leave the returned block to close it.
    """
    return AsyncConnectionPool(
        url,
        connection_class=psycopg.AsyncConnection[DictRow],
        kwargs={
            "row_factory": dict_row,
            "application_name": name,
            "options": f"-c search_path={schema},public",
            "connect_timeout": 5,
            "keepalives_idle": 30,
        },
        min_size=min(2, size),
        max_size=size,
        timeout=POOL_WAIT,
        max_waiting=size * 4,
        configure=configure,
        check=AsyncConnectionPool.check_connection,
        reconnect_timeout=5,
        open=False,
        name=name,
    )


@asynccontextmanager
async def translate_errors(unique: Mapping[str, AppError] | None = None) -> AsyncIterator[None]:
    """Turn driver errors into ours: a broken constraint named in `unique` into that error, an absent server into
    Unavailable, an exhausted pool into Overloaded; a bug in our SQL stays what it is.
    """
    try:
        yield
    except psycopg.errors.UniqueViolation as error:
        known = (unique or {}).get(error.diag.constraint_name or "")
        raise known or Conflict from error
    except (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected) as error:
        raise Unavailable("the database was too busy; try again", 0.1) from error
    except (psycopg.errors.ReadOnlySqlTransaction, psycopg.errors.DiskFull) as error:
        raise Unavailable(f"the database takes no writes: {error.diag.message_primary}", 30) from error
    except (PoolTimeout, TooManyRequests) as error:
        raise Overloaded("no database connection became free in time") from error
    except psycopg.OperationalError as error:
        raise Unavailable("the database is away") from error


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
            connection = await psycopg.AsyncConnection.connect(url, autocommit=True, row_factory=dict_row)
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


class Notifications:
    """Wakes whoever waits when Postgres notifies on a channel; reconnects by itself.

    Use it as a block. A waiter takes `ticket()` before it looks at the tables and passes it to `wait`, so that what
    happens in between is not missed. After a reconnect everybody is woken, for what was notified meanwhile.
    """

    def __init__(self, url: str, channel: str) -> None:
        self._url, self._channel = url, channel
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Notifications":
        """Begin to listen."""
        self._task = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def ticket(self) -> asyncio.Event:
        """Something that is set at the next notification."""
        return self._changed

    async def wait(self, ticket: asyncio.Event, seconds: float) -> bool:
        """Wait for `ticket`, `seconds` at most; answers whether it was notified."""
        try:
            async with asyncio.timeout(seconds):
                await ticket.wait()
        except TimeoutError:
            return False
        return True

    def wake(self) -> None:
        """Wake everybody who waits, as a notification does."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def _listen(self) -> None:
        while True:
            try:
                connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True, connect_timeout=5)
                async with connection:
                    await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self._channel)))
                    self.wake()
                    async for _ in connection.notifies():
                        self.wake()
            except psycopg.OperationalError as error:
                log.warning("listen_lost", channel=self._channel, reason=str(error))
                await asyncio.sleep(0.5)


async def ping(pool: Pool) -> None:
    """Raise Unavailable or Overloaded unless the database answers."""
    async with translate_errors(), pool.connection(timeout=1.5) as connection:
        await connection.execute("SELECT 1")


Row: TypeAlias = Mapping[str, Any]
