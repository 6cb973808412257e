"""A real Postgres that archives its WAL, and what comes of its backups; for tests of recovery."""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg

from context_local import embedded

STARTS_WITHIN = 60.0  # seconds
SETTINGS = {"max_connections": "120", "wal_level": "replica", "fsync": "off"}


@contextmanager
def scratch() -> Iterator[Path]:
    """A directory that the server's user may pass through: as root, Postgres runs as somebody else."""
    with tempfile.TemporaryDirectory(prefix="context-archive-", ignore_cleanup_errors=True) as made:
        Path(made).chmod(0o777)
        yield Path(made)


@contextmanager
def passable(path: Path) -> Iterator[None]:
    """Let everybody pass through to `path` for the block, such as to a Python below root's home."""
    closed = [(parent, parent.stat().st_mode) for parent in path.parents if not parent.stat().st_mode & 0o001]
    for parent, mode in closed:
        parent.chmod(mode | 0o001)
    try:
        yield
    finally:
        for parent, mode in closed:
            parent.chmod(mode)


@contextmanager
def server(data: Path, environ: Mapping[str, str], **settings: str) -> Iterator[str]:
    """The address of a server on `data`, which is made where it is empty; `environ` is what its commands see."""
    cluster = embedded.prepare(data, sync=False)
    if cluster.user:  # what was restored here is ours
        subprocess.run(["chown", "-R", cluster.user, str(data)], check=True)
    log = data.parent / f"{data.name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            cluster.command(**{**SETTINGS, **settings}),
            **embedded.as_user(cluster.user),
            env={**os.environ, **environ},
            stdout=output,
            stderr=output,
        )
    try:
        _wait(process, cluster.url, log)
        yield cluster.url
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def _wait(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    """Wait until it takes writes: a server that recovers takes questions earlier."""
    until = time.monotonic() + STARTS_WITHIN
    while True:
        try:
            with psycopg.connect(url) as connection:
                row = connection.execute("SELECT pg_is_in_recovery()").fetchone()
                if row == (False,):
                    return
        except psycopg.OperationalError:
            pass
        if process.poll() is not None or time.monotonic() > until:
            raise AssertionError(f"the server does not serve: {log.read_text()}")
        time.sleep(0.05)


def archive_rest(url: str) -> None:
    """Have everything up to now archived, and wait for it."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchone()
        assert row
        until = time.monotonic() + STARTS_WITHIN
        while True:
            found = connection.execute("SELECT last_archived_wal FROM pg_stat_archiver").fetchone()
            if found and found[0] and found[0] >= row[0]:
                return
            assert time.monotonic() < until, connection.execute("SELECT * FROM pg_stat_archiver").fetchone()
            time.sleep(0.05)
