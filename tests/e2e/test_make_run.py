"""`make run` itself, without the installation: up, useful, mends itself, leaves nothing behind."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from context_local import health, table
from tests.support import loopback

pytestmark = pytest.mark.timeout(300)


class Run:
    """One `python -m context_local`."""

    def __init__(self, data: Path, model: Path, **environment: str) -> None:
        self.port = health.free_ports(1)[0]
        self.url = f"http://{health.LOOPBACK}:{self.port}"
        self.data = data
        self._output = data.parent / f"{data.name}-{self.port}.out"
        own = {"CONTEXT_DATA_DIR": str(data), "PORT": str(self.port), "MODEL_DIR": str(model), **environment}
        environ = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "context_local"], env={**environ, **own}, stdout=output, stderr=output
            )

    def output(self) -> str:
        """What it has said so far."""
        return self._output.read_text()

    def wait_until(self, condition: Callable[[], object], seconds: float = 120.0) -> None:
        """Wait for `condition` while it runs."""
        until = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, self.output()
            assert time.monotonic() < until, self.output()
            time.sleep(0.1)

    def wait_shown(self) -> None:
        """Wait until it has shown its example question."""
        self.wait_until(lambda: "> contextctl query" in self.output())

    def pids(self) -> dict[str, int]:
        """Its processes; empty while it starts."""
        try:
            found: dict[str, int] = json.loads((self.data / "processes.json").read_text())["processes"]
        except (OSError, ValueError):
            return {}
        return found

    def ready(self) -> bool:
        """Whether everything answers."""
        return health.answers(f"{self.url}/readyz") and loopback.get(f"{self.url}/readyz").json()["status"] == "ready"

    def ask(self, question: str) -> dict[str, Any]:
        """The bundle for a question."""
        bundle: dict[str, Any] = self._asked(question).raise_for_status().json()
        return bundle

    def whole(self, question: str) -> bool:
        """Whether a question is answered by all of it; while it mends itself, the answer may be to come again."""
        answer = self._asked(question)
        if answer.status_code == httpx2.codes.SERVICE_UNAVAILABLE:
            assert answer.headers["retry-after"]
            return False
        return not answer.raise_for_status().json()["degraded"]

    def _asked(self, question: str) -> httpx2.Response:
        body = {"query": question, "max_tokens": 1500}
        return loopback.post(f"{self.url}/api/context/query", json=body, timeout=30)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal it and wait; answers its exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A directory that Postgres' own user may pass through, as it may not through pytest's."""
    with tempfile.TemporaryDirectory(prefix="context-run-", ignore_cleanup_errors=True) as path:
        yield Path(path)


@contextmanager
def running(data: Path, model: Path, **environment: str) -> Iterator[Run]:
    run = Run(data, model, **environment)
    try:
        yield run
    finally:
        if run.process.poll() is None:
            run.process.kill()
            run.process.wait()


def processes_of(data: Path) -> list[str]:
    """Command lines of processes that were started for `data`: all carry it in their environment."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            if f"CONTEXT_DATA_DIR={data}\0".encode() in (directory / "environ").read_bytes():
                found.append((directory / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue  # it ended meanwhile
    return [line for line in found if line]


@pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")
def test_it_comes_up_mends_itself_and_leaves_nothing(scratch: Path, model_dir: Path) -> None:
    data = scratch / "data"
    with running(data, model_dir) as run:
        run.wait_shown()
        assert run.ready()
        assert "demo data loaded" in run.output()
        assert re.search(r"^  ADR-\d+ .*\(\d{4}-\d\d-\d\d\)$", run.output(), re.MULTILINE), run.output()
        answer = run.ask("why may a reference point to an item that does not exist yet?")
        assert "ADR-006" in [item["id"] for item in answer["key_decisions"]]

        for name in ("embedding", "knowledge", "retrieval", "gateway", "postgres"):
            victim = run.pids()[name]
            os.kill(victim, signal.SIGKILL)
            run.wait_until(lambda name=name, victim=victim: run.pids().get(name, victim) != victim)  # type: ignore[misc]
            run.wait_until(run.ready)
        run.wait_until(lambda: run.whole("which database holds the truth and the index?"))

        second = subprocess.run(
            [sys.executable, "-m", "context_local"],
            env={**os.environ, "CONTEXT_DATA_DIR": str(data), "PORT": str(health.free_ports(1)[0])},
            capture_output=True,
            text=True,
            check=False,
        )
        assert second.returncode == 1
        assert f"a stack is running already in {data} (process {run.process.pid})" in second.stderr
        run.process.terminate()  # twice at once, as make does: no reason to kill anything
        assert run.stop() == 0, run.output()
        assert run.output().rstrip().endswith("stopping, asked by SIGTERM\nstopped")
    assert processes_of(data) == []

    with running(data, model_dir) as run:
        run.wait_shown()
        assert "demo data loaded" not in run.output()
        assert "ADR-006" in str(run.ask("why may a reference point to an item that does not exist yet?"))
        assert run.stop(signal.SIGINT) == 0
    assert processes_of(data) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent's death")
def test_a_killed_supervisor_leaves_nothing_and_the_next_one_recovers(scratch: Path, model_dir: Path) -> None:
    data = scratch / "data"
    with running(data, model_dir, CONTEXT_DEMO="false") as run:
        run.wait_shown()
        body = {"title": "Kept", "decision": "What was acknowledged stays."}
        created = loopback.post(f"{run.url}/api/adr", json=body, timeout=30)
        assert created.status_code == 201
        run.process.kill()
        run.process.wait()
        until = time.monotonic() + 30
        while processes_of(data) and time.monotonic() < until:
            time.sleep(0.05)
        assert processes_of(data) == []
    with running(data, model_dir) as run:
        run.wait_shown()
        assert "demo data loaded" not in run.output()  # it is somebody's by now
        kept = loopback.get(f"{run.url}/api/adr/{created.json()['id']}", timeout=30)
        assert kept.json()["title"] == "Kept"
        assert run.stop() == 0, run.output()


@pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")
def test_production_shows_the_first_key_once_and_lets_in_nobody_else(scratch: Path, model_dir: Path) -> None:
    data, secret = scratch / "data", "a secret of at least thirty-two characters"
    prod = {"APP_ENV": "prod", "SECRET_KEY_BASE": secret}
    with running(data, model_dir, **prod) as run:
        run.wait_shown()
        [key] = re.findall(r"^admin key: (ctx_\w+)$", run.output(), re.MULTILINE)
        assert "demo data loaded" in run.output()
        assert "tokens\n" in run.output()  # the example question was answered
        shown = {"authorization": f"Bearer {key}"}
        for headers, status in (({}, 401), (shown, 200)):
            assert loopback.get(f"{run.url}/api/adr", headers=headers, timeout=30).status_code == status
        assert not [line for line in processes_of(data) if key in line or secret in line]
        assert run.stop() == 0, run.output()
    with running(data, model_dir, **prod) as run:
        run.wait_shown()
        assert "ctx_" not in run.output()
        assert loopback.get(f"{run.url}/api/adr", headers=shown, timeout=30).status_code == 200
        assert run.stop() == 0, run.output()
    files = [path for path in data.rglob("*") if path.is_file()]
    assert [path for path in files if any(text.encode() in path.read_bytes() for text in (key, secret))] == []


def test_production_refuses_to_start_without_what_keeps_strangers_out(scratch: Path) -> None:
    wrong = {"APP_ENV": "prod", "SECRET_KEY_BASE": "weak", "CORS_ORIGINS": "*", "AUTH_REQUIRED": "false"}
    environ = {**os.environ, **wrong, "CONTEXT_DATA_DIR": str(scratch / "data")}
    command = [sys.executable, "-m", "context_local"]
    ran = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    for name in ("SECRET_KEY_BASE", "CORS_ORIGINS=*", "AUTH_REQUIRED=false"):
        assert name in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_port_that_is_taken_is_an_error_that_says_so(scratch: Path) -> None:
    with socket.create_server((health.LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        environ = {**os.environ, "CONTEXT_DATA_DIR": str(scratch / "data"), "PORT": str(port)}
        command = [sys.executable, "-m", "context_local"]
        ran = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert f"port {port} cannot be used" in ran.stderr


def test_another_database_server_is_used_where_one_is_named(
    scratch: Path, model_dir: Path, make_database: Callable[[], str]
) -> None:
    with running(scratch / "data", model_dir, CONTEXT_DEMO="false", DATABASE_URL=make_database()) as run:
        run.wait_shown()
        assert run.pids().keys() == set(table.SERVICES)
        assert not (scratch / "data" / "postgres").exists()
        assert run.stop() == 0, run.output()


def test_a_migration_that_fails_ends_the_start(scratch: Path, model_dir: Path) -> None:
    with running(scratch / "data", model_dir, DATABASE_URL="no url") as run:
        assert run.process.wait(90) == 1, run.output()
        assert "the start failed: migrate-" in run.output()
