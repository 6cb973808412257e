"""The four real processes on free ports and a scratch database, for tests that record, index and ask."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from context_local import health, table
from context_local.processes import Process, popen_options
from tests.support import loopback
from tests.support.postgres import scratch_database, scratch_server

STARTS_WITHIN = 60.0  # seconds


class Command:
    """A program under way, its output in a file."""

    def __init__(self, arguments: list[str], environ: dict[str, str], log: Path) -> None:
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(arguments, env=environ, stdout=output, stderr=subprocess.STDOUT)

    def wait(self, timeout: float = 60.0) -> int:
        """Its exit code; it is killed where it takes longer than `timeout` seconds."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"still running after {timeout} s: {self.output()}") from None

    def output(self) -> str:
        """What it has printed so far."""
        return self._log.read_text()


class Stack:
    """The running services. Unlike under `make run`, what is killed stays dead until it is started again."""

    def __init__(self, database_url: str, directory: Path, environ: dict[str, str]) -> None:
        self._at = table.Addresses.find(health.free_ports(1)[0])
        self._rows = {row.name: row for row in table.services(self._at, database_url)}
        self._directory, self._environ = directory, environ
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.url = self._at.url
        self.database_url = database_url

    @property
    def service_secret(self) -> str:
        """What the services of this run sign their calls with."""
        return self._rows["gateway"].environment["SERVICE_SECRET"]

    def row(self, name: str) -> Process:
        """How a service is started here."""
        return self._rows[name]

    @contextmanager
    def beside(self, row: Process) -> Iterator[None]:
        """Run one more process for the block."""
        self._rows[row.name] = row
        self.start(row.name)
        try:
            yield
        finally:
            self.end(row.name)

    def addr(self, name: str) -> str:
        """`host:port` of a gRPC service."""
        return f"{health.LOOPBACK}:{self._at.grpc[name]}"

    def metrics_addr(self, name: str) -> str:
        """`host:port` of a gRPC service's metrics."""
        return f"{health.LOOPBACK}:{self._at.metrics[name]}"

    def metrics(self, name: str) -> str:
        """The metrics that a gRPC service shows."""
        return loopback.get(f"http://{self.metrics_addr(name)}/metrics").text

    def log(self, name: str) -> str:
        """What a service has printed so far."""
        return (self._directory / f"{name}.log").read_text()

    def start(self, *names: str) -> None:
        """Start services; `wait_ready` waits for them."""
        for name in names:
            row = self._rows[name]
            with (self._directory / f"{name}.log").open("ab") as output:
                self._running[name] = subprocess.Popen(row.command, **popen_options(row, self._environ, output))

    def kill(self, name: str) -> None:
        """`kill -9` a service and start it again, as a supervisor does."""
        self.end(name, signal.SIGKILL)
        self.start(name)

    def end(self, name: str, number: signal.Signals = signal.SIGTERM) -> int:
        """End a service by a signal; answers its exit code."""
        process = self._running.pop(name)
        process.send_signal(number)
        return process.wait(20)

    @contextmanager
    def without(self, name: str) -> Iterator[None]:
        """Have a service dead for the block."""
        self.end(name, signal.SIGKILL)
        try:
            yield
        finally:
            self.start(name)
            self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until the gateway says that all is well."""
        self.wait_until(lambda: health.answers(f"{self.url}/health"), STARTS_WITHIN)

    def wait_until(self, condition: Callable[[], object], seconds: float = 30.0) -> None:
        """Wait for `condition`, and fail with the ends of the logs after `seconds`."""
        until = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > until:
                raise AssertionError(f"not within {seconds} s\n{self._ends()}")
            time.sleep(0.05)

    def migrate(self) -> None:
        """Run the migrations."""
        for name in table.STORES:
            self.start(f"migrate-{name}")
        for name in table.STORES:
            assert self._running.pop(f"migrate-{name}").wait(60) == 0, self.log(f"migrate-{name}")

    def stop(self) -> None:
        """End everything."""
        for name in reversed(list(self._running)):
            process = self._running[name]
            process.send_signal(self._rows[name].stop_signal)
        for process in self._running.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def contextctl(self, *arguments: str, namespace: str = "default") -> Command:
        """Start `contextctl` on this stack."""
        environ = {**self._environ, "CONTEXT_URL": self.url, "CONTEXT_NAMESPACE": namespace}
        log = self._directory / f"contextctl-{time.monotonic_ns()}.log"
        return Command([sys.executable, "-m", "context_client", *arguments], environ, log)

    def items(self, kind: str, namespace: str = "default") -> int:
        """How many items of a type there are."""
        return len(self.all_items(kind, namespace))

    def all_items(self, kind: str, namespace: str = "default") -> list[dict[str, Any]]:
        """Every item of a type, page by page."""
        found: list[dict[str, Any]] = []
        cursor: str | None = ""
        while cursor is not None:
            query = {"limit": "200", **({"cursor": cursor} if cursor else {})}
            headers = {"x-context-namespace": namespace}
            answer = loopback.get(f"{self.url}/api/{kind}", params=query, headers=headers, timeout=30)
            answer.raise_for_status()
            page = json.loads(answer.text)
            found += page["items"]
            cursor = page["next_cursor"]
        return found

    def _ends(self) -> str:
        return "\n".join(f"--- {path.name}\n{path.read_text()[-1500:]}" for path in self._directory.glob("*.log"))


@contextmanager
def run_stack(database_url: str | None = None, **environment: str) -> Iterator[Stack]:
    """The four services, ready, on `database_url` or a server of their own, with `environment` on top of ours."""
    with tempfile.TemporaryDirectory(prefix="context-stack-") as scratch:
        if database_url is None:
            with scratch_server() as server, scratch_database(server) as url:
                yield from _running(Stack(url, Path(scratch), {**os.environ, **environment}))
        else:
            yield from _running(Stack(database_url, Path(scratch), {**os.environ, **environment}))


def _running(stack: Stack) -> Iterator[Stack]:
    try:
        stack.migrate()
        stack.start("embedding", "knowledge", "retrieval", "gateway")
        stack.wait_ready()
        yield stack
    finally:
        stack.stop()


@pytest.fixture(scope="session")
def stack(postgres_url: str, model_dir: Path) -> Iterator[Stack]:
    """One stack for all tests of a worker; tests keep apart by namespace."""
    with scratch_database(postgres_url) as url, run_stack(url, MODEL_DIR=str(model_dir)) as running:
        yield running
