"""A Postgres with streaming replicas, made as an operator makes them, that can lag, freeze, die and come back."""

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg import sql

from context_local import embedded

# Commits reach the log, and so the replicas, when they are acknowledged; only the disk is not waited for.
SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_connections": "100"}
STARTS_WITHIN = 60.0  # seconds


class Server:
    """One server."""

    def __init__(self, cluster: embedded.Cluster, log: Path, settings: Mapping[str, str]) -> None:
        self.cluster, self._log, self._settings = cluster, log, settings
        self.url = cluster.url + (f"&port={settings['port']}" if "port" in settings else "")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command, user = self.cluster.command(**self._settings), embedded.as_user(self.cluster.user)
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(command, **user, stdout=output, stderr=output)
        until = time.monotonic() + STARTS_WITHIN
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"Postgres did not start: {self._log.read_text()}")
            time.sleep(0.05)

    def kill(self) -> None:
        """End it at once."""
        self._send(signal.SIGCONT)
        if self._process:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(30)
            self._process = None

    def freeze(self) -> None:
        """Let it hold its connections and say nothing."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._send(signal.SIGCONT)

    def run(self, statement: Any, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of one statement, as the owner."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def pause(self) -> None:
        """Replay nothing more, of what a replica receives, until `resume`."""
        self.run("SELECT pg_wal_replay_pause()")
        while self.run("SELECT pg_get_wal_replay_pause_state()") != [("paused",)]:
            time.sleep(0.01)

    def resume(self) -> None:
        """Replay again."""
        self.run("SELECT pg_wal_replay_resume()")

    def delay(self, seconds: float) -> None:
        """Replay every commit so much later than it was made."""
        self.run(sql.SQL("ALTER SYSTEM SET recovery_min_apply_delay = {}").format(f"{int(seconds * 1000)}ms"))
        self.run("SELECT pg_reload_conf()")

    def _answers(self) -> bool:
        try:
            self.run("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def _send(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self._process.pid)
            for one in [process, *process.children(recursive=True)]:
                one.send_signal(number)


class Streaming:
    """A primary and its replicas."""

    def __init__(self, primary: Server, replicas: list[Server]) -> None:
        self.primary, self.replicas = primary, replicas

    def caught_up(self) -> None:
        """Wait until the replicas have replayed what the primary has now."""
        ((position,),) = self.primary.run("SELECT pg_current_wal_lsn()::text")
        for replica in self.replicas:
            while replica.run("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", position) != [(True,)]:
                time.sleep(0.02)


@contextmanager
def streaming(replicas: int = 1, settings: Mapping[str, str] | None = None) -> Iterator[Streaming]:
    """A primary with so many replicas for the block."""
    # Not pytest's own directory: as root, Postgres runs as another user, who may not pass through that one.
    with tempfile.TemporaryDirectory(prefix="context-test-", ignore_cleanup_errors=True) as scratch:
        directory, options = Path(scratch), {**SETTINGS, **(settings or {})}
        directory.chmod(0o711)
        made: list[Server] = []
        try:
            primary = Server(embedded.prepare(directory / "primary", sync=False), directory / "primary.log", options)
            made.append(primary)
            primary.start()
            for number in range(1, replicas + 1):
                made.append(_replica(primary, directory, number, options))
                made[-1].start()
            yield Streaming(primary, made[1:])
        finally:
            for server in reversed(made):
                server.kill()


def _replica(primary: Server, directory: Path, number: int, settings: Mapping[str, str]) -> Server:
    """A copy of the primary that follows it."""
    data, user = directory / f"replica-{number}", primary.cluster.user
    data.mkdir(mode=0o700)
    cluster = embedded.Cluster(data, data, user)
    if user:
        shutil.chown(data, user)
    copy = [str(embedded.binary("pg_basebackup")), "-d", primary.url, "-D", str(data), "-R", "-c", "fast", "--no-sync"]
    done = subprocess.run(copy, **embedded.as_user(user), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"pg_basebackup failed: {done.stderr}")
    (data / f"{embedded.SOCKET}.lock").unlink(missing_ok=True)  # the primary's, whose socket lies beside its data
    return Server(cluster, directory / f"replica-{number}.log", settings)
