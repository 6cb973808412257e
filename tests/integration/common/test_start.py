"""A process ends when it is told to, however far its start has come."""

import os
import signal
import socket
import subprocess
import sys

import pytest

TERMINATED = 128 + signal.SIGTERM
# Tells itself to end where the imports begin that take time. Without a handler, process 1 of a container would go on.
EARLY = """
import os, runpy, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name in ("structlog", "uvloop"):
            os.kill(os.getpid(), signal.SIGTERM)

sys.meta_path.insert(0, Finder())
runpy.run_module(sys.argv[1], run_name="__main__")
"""

IMPATIENT = """
import importlib, runpy, sys

importlib.import_module("context_common.postgres.migrate")
sys.modules["context_common.postgres.migrate"].PATIENCE = 1.0
del sys.argv[0]
runpy.run_module(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize(
    "module", ["context_embedding", "context_gateway", "context_knowledge", "context_retrieval", "context_local.hosted"]
)
def test_a_process_ends_while_it_imports(module: str) -> None:
    ended = subprocess.run([sys.executable, "-c", EARLY, module], timeout=60, check=False)
    assert ended.returncode == TERMINATED


@pytest.mark.parametrize("service", ["embedding", "gateway", "knowledge", "retrieval"])
def test_a_service_refuses_what_it_cannot_be_told_to_do(service: str) -> None:
    command = [sys.executable, "-m", f"context_{service}", "mirgate"]
    environ = {**os.environ, "DATABASE_URL": "postgresql://127.0.0.1:1/x"}
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"usage: python -m context_{service}")


@pytest.mark.parametrize("service", ["knowledge", "retrieval"])
def test_migrate_says_that_the_database_is_away_and_why(service: str) -> None:
    environ = {**os.environ, "DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:1/x"}
    command = [sys.executable, "-c", IMPATIENT, f"context_{service}", "migrate"]
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert '"message": "database_away"' in ended.stdout
    assert len(ended.stderr.splitlines()) == 1
    assert "the database is away: connection failed" in ended.stderr
    assert "hunter2" not in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("service", "argument"), [("knowledge", "migrate"), ("knowledge", ""), ("retrieval", "migrate"), ("retrieval", "")]
)
def test_a_service_ends_while_it_waits_for_its_database(service: str, argument: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        environ = {**os.environ, "DATABASE_URL": f"postgresql://u:hunter2@127.0.0.1:{silent.getsockname()[1]}/x"}
        command = [sys.executable, "-m", f"context_{service}", *argument.split()]
        with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as process:
            accepted, _ = silent.accept()
            with accepted:
                process.terminate()
                _, said = process.communicate(timeout=30)
    assert process.returncode == TERMINATED
    assert said == ""
