"""A Postgres of a test's own that can be killed, started again, made read-only, filled up and cut off."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from context_common import postgres
from context_local import embedded

ROOT = Path(__file__).parents[2]
SCHEMAS = ("knowledge", "retrieval")
STARTS_WITHIN = 60.0  # seconds
SMALL = 24  # megabytes
SERVED = {
    "fsync": "off",
    "max_connections": "100",
    "shared_buffers": "16MB",
    "dynamic_shared_memory_type": "mmap",  # in its own directory: a server that is killed removes none of it
}


class Breakable:
    """One server and its migrated database; `settings` go before ours."""

    def __init__(self, directory: Path, **settings: str) -> None:
        self._directory, self._settings = directory, {**SERVED, **settings}
        directory.chmod(0o711)
        self._cluster = embedded.prepare(directory / "postgres", sync=False)
        self._process: subprocess.Popen[bytes] | None = None
        self.url = self._cluster.url
        self.socket_dir = self._cluster.socket_dir

    async def start(self) -> None:
        """Start it, again where it was killed, and wait until it takes queries."""
        self._launch()
        async with asyncio.timeout(STARTS_WITHIN):
            while not self._cluster.answers():
                if self._process and self._process.poll() is not None:
                    raise RuntimeError(f"Postgres did not start: {(self._directory / 'log').read_text()[-2000:]}")
                await asyncio.sleep(0.05)

    def _launch(self) -> None:
        command, user = self._cluster.command(**self._settings), embedded.as_user(self._cluster.user)
        with (self._directory / "log").open("ab") as output:
            self._process = subprocess.Popen(command, **user, stdout=output, stderr=output)

    def kill(self) -> None:
        """`kill -9` the server and everything it has started."""
        if self._process and self._process.poll() is None:
            children = psutil.Process(self._process.pid).children(recursive=True)
            self._process.kill()
            for child in children:
                with suppress(psutil.NoSuchProcess):
                    child.kill()
            self._process.wait(30)
            # Until they are gone its connections look sound, and no other server starts where it was.
            psutil.wait_procs(children, 30)

    async def migrate(self) -> None:
        """Run every service's migrations."""
        for schema in SCHEMAS:
            directory = ROOT / "services" / schema / f"context_{schema}" / "migrations"
            await postgres.migrate(self.url, schema=schema, directory=directory)

    async def execute(self, *statements: Any) -> list[Any]:
        """Run statements as the owner; answers the rows of the last one that has any."""
        rows: list[Any] = []
        async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                cursor = await connection.execute(statement)
                rows = await cursor.fetchall() if cursor.description else rows
        return rows

    @asynccontextmanager
    async def read_only(self) -> AsyncIterator[None]:
        """Let it take no writes for the block, on connections that stand as well."""
        await self.execute("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
        try:
            # The server tells those that stand before it takes another connection.
            while await self.execute("SHOW default_transaction_read_only") != [("on",)]:
                await asyncio.sleep(0.01)
            yield
        finally:
            await self.execute(
                "SET default_transaction_read_only = off",
                "ALTER SYSTEM RESET default_transaction_read_only",
                "SELECT pg_reload_conf()",
            )

    @asynccontextmanager
    async def full(self, *tables: str) -> AsyncIterator[None]:
        """Have `tables` on a filesystem without a free block for the block."""
        with small_filesystem(self._cluster.user) as place:
            await self.execute(sql.SQL("CREATE TABLESPACE small LOCATION {}").format(str(place)))
            await self._move(tables, "small")
            ballast = place / "ballast"
            try:
                with ballast.open("wb") as file:
                    _fill(file.fileno())
                yield
            finally:
                ballast.unlink()
                await self._move(tables, "pg_default")
                await self.execute("CHECKPOINT", "DROP TABLESPACE small")

    async def _move(self, tables: tuple[str, ...], tablespace: str) -> None:
        move = sql.SQL("ALTER TABLE {} SET TABLESPACE {}")
        names = [sql.Identifier(*table.split(".")) for table in tables]
        await self.execute(*(move.format(name, sql.Identifier(tablespace)) for name in names))


@contextmanager
def small_filesystem(user: str | None) -> Iterator[Path]:
    """A directory that holds a few megabytes; skips the test where nobody may mount one."""
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="context-small-")))
        place.chmod(0o711)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL}m", "tmpfs", str(place)]
        mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
        if mounted.returncode != 0:
            pytest.skip(f"a small filesystem cannot be mounted here: {mounted.stderr.strip()}")
        stack.callback(subprocess.run, ["umount", "-l", str(place)], check=True)  # a session may hold a file still
        inside = place / "tablespace"
        inside.mkdir(mode=0o700)
        if user:
            shutil.chown(inside, user, user)
        yield inside


@asynccontextmanager
async def breakable_server() -> AsyncIterator[Breakable]:
    """A migrated server for the block."""
    # Not pytest's own directory: as root, Postgres runs as another user, who may not pass through that one.
    with tempfile.TemporaryDirectory(prefix="context-broken-", ignore_cleanup_errors=True) as scratch:
        server = Breakable(Path(scratch))
        try:
            await server.start()
            await server.migrate()
            yield server
        finally:
            server.kill()


@asynccontextmanager
async def losing_commits(server: Breakable) -> AsyncIterator[str]:
    """A way to the server on which the answer to every COMMIT gets lost with the connection; gives its url."""
    with tempfile.TemporaryDirectory(prefix="context-proxy-") as place:
        path = Path(place) / embedded.SOCKET

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            far_reader, far_writer = await asyncio.open_unix_connection(server.socket_dir / embedded.SOCKET)
            back = asyncio.create_task(_pass_on(far_reader, writer))
            while data := await reader.read(65536):
                if b"COMMIT\0" in data:
                    back.cancel()
                    await asyncio.gather(back, return_exceptions=True)
                    far_writer.write(data)
                    await far_reader.read(1)  # the answer: it is committed
                    break
                far_writer.write(data)
            back.cancel()
            await asyncio.gather(back, return_exceptions=True)
            for end in (writer, far_writer):
                end.close()
                await end.wait_closed()

        served: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            served.add(asyncio.create_task(serve(reader, writer)))

        async with await asyncio.start_unix_server(accept, path):
            yield make_conninfo(server.url, host=place)
        await asyncio.gather(*served)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)


def _fill(descriptor: int) -> None:
    """Write until nothing fits any more."""
    size = 1 << 20
    while size:
        try:
            os.write(descriptor, b"\0" * size)
        except OSError:
            size //= 2
