"""A real Postgres for tests: one server per worker, one migrated template, a fresh copy per test."""

import asyncio
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from context_common import postgres
from context_local import embedded

ROOT = Path(__file__).parents[2]
SCHEMAS = ("knowledge", "retrieval")
FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_wal_size": "256MB",
    "max_connections": "300",
}
# Each database is several hundred files: on a disk, to find room for those of the next took a third of all the time.
MEMORY = "/dev/shm"  # noqa: S108 - where Linux keeps files in memory; a directory of our own is made there
ROOM = 4 * 2**30  # bytes


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A server to make databases on: DATABASE_URL, else the embedded one."""
    url = os.environ.get("DATABASE_URL")
    if url:
        yield url
        return
    with _embedded({}) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_template(postgres_url: str) -> Iterator[str]:
    """The name of a database with every service's migrations."""
    with scratch_database(postgres_url) as url:
        for schema in SCHEMAS:
            directory = ROOT / "services" / schema / f"context_{schema}" / "migrations"
            # In a thread, since a test's event loop may be running in this one.
            with ThreadPoolExecutor(1) as thread:
                thread.submit(asyncio.run, postgres.migrate(url, schema=schema, directory=directory)).result()
        yield urlsplit(url).path.lstrip("/")


@pytest.fixture
def make_database(postgres_url: str) -> Iterator[Callable[[], str]]:
    """Makes empty databases, for tests of migrations; gives their urls."""
    made: list[str] = []

    def make() -> str:
        made.append(_create(postgres_url))
        return made[-1]

    yield make
    for url in made:
        _drop(postgres_url, url)


@pytest.fixture
def database_url(postgres_url: str, postgres_template: str) -> Iterator[str]:
    """A migrated database of this test's own."""
    with scratch_database(postgres_url, postgres_template) as url:
        yield url


@contextmanager
def scratch_server(settings: Mapping[str, str] = MappingProxyType({})) -> Iterator[str]:
    """A server for the block: the one DATABASE_URL names, a container of TEST_POSTGRES_IMAGE, or the embedded one.

    Only the last is given `settings`.
    """
    if url := os.environ.get("DATABASE_URL"):
        yield url
    elif image := os.environ.get("TEST_POSTGRES_IMAGE"):
        from testcontainers.community.postgres import PostgresContainer  # half a second that others need not wait

        with PostgresContainer(image, driver=None) as container:
            yield container.get_connection_url()
    else:
        with _embedded(settings) as url:
            yield url


@contextmanager
def _embedded(settings: Mapping[str, str]) -> Iterator[str]:
    # Not pytest's own directory: as root, Postgres runs as another user, who may not pass through that one.
    with tempfile.TemporaryDirectory(prefix="context-test-", dir=_in_memory(), ignore_cleanup_errors=True) as scratch:
        Path(scratch).chmod(0o711)
        cluster = embedded.prepare(Path(scratch) / "postgres", sync=False)
        with _running(cluster, Path(scratch) / "postgres.log", settings):
            yield cluster.url


def _in_memory() -> str | None:
    """Where files are kept in memory, if there is room; else None, the usual place."""
    there = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM
    return MEMORY if there else None


@contextmanager
def _running(cluster: embedded.Cluster, log: Path, settings: Mapping[str, str]) -> Iterator[None]:
    with log.open("wb") as output:
        user = embedded.as_user(cluster.user)
        process = subprocess.Popen(cluster.command(**{**FAST, **settings}), **user, stdout=output, stderr=output)
    try:
        for _ in range(600):
            if cluster.answers():
                break
            if process.poll() is not None:
                raise RuntimeError(f"Postgres did not start: {log.read_text()}")
            time.sleep(0.05)
        else:
            raise RuntimeError(f"Postgres does not answer: {log.read_text()}")
        yield
    finally:
        process.send_signal(signal.SIGQUIT)  # at once: the directory goes anyway
        process.wait(30)


@contextmanager
def scratch_database(server: str, template: str | None = None) -> Iterator[str]:
    """A database for the block, empty or a copy of `template`."""
    url = _create(server, template)
    try:
        yield url
    finally:
        _drop(server, url)


def _create(server: str, template: str | None = None) -> str:
    name = f"test_{os.getpid()}_{secrets.token_hex(4)}"
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
        sql.Identifier(name), sql.Identifier(template or "template0")
    )
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(create)
    return urlunsplit(urlsplit(server)._replace(path=f"/{name}"))


def _drop(server: str, url: str) -> None:
    drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(urlsplit(url).path.lstrip("/")))
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(drop)
