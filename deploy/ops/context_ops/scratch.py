"""A Postgres of our own for as long as a drill takes."""

import contextlib
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from context_client.errors import CommandFailed
from context_local import embedded
from context_ops.directory import remove_abandoned

PREFIX = "context-drill-"
STARTS_WITHIN = 60.0  # seconds
# What is thrown away need not survive anything.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_wal_size": "8GB"}


@contextmanager
def scratch_server() -> Iterator[str]:
    """The address of an empty server, for the block; its files are in `TMPDIR`.

    Raises:
        CommandFailed: It could not be started.
    """
    # A server that still runs in one of them ends when its files are gone.
    remove_abandoned(Path(tempfile.gettempdir()), PREFIX)
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as made:
        Path(made).chmod(0o711)  # the server may have to run as somebody else
        try:
            cluster = embedded.prepare(Path(made) / "postgres", sync=False)
        except embedded.EmbeddedError as error:
            raise CommandFailed(f"no server for the drill: {error}; --server names another") from error
        with running(cluster, Path(made) / "log"):
            yield cluster.url


@contextmanager
def running(cluster: embedded.Cluster, log: Path) -> Iterator[None]:
    """The server, for the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            cluster.command(**FAST), **embedded.as_user(cluster.user), stdout=output, stderr=subprocess.STDOUT
        )
    try:
        until = time.monotonic() + STARTS_WITHIN
        while not cluster.answers():
            if process.poll() is not None or time.monotonic() > until:
                raise CommandFailed(f"the server for the drill did not start: {log.read_text()[-2000:]}")
            time.sleep(0.05)
        yield
    finally:
        process.send_signal(signal.SIGQUIT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        if process.poll() is None:
            process.kill()
            process.wait()
