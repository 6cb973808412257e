"""The gateway as a process: it starts by its settings, and ends in order when it is told to."""

import os
import signal
import socket
import subprocess
import sys
import time

import httpx2
import pytest

COMMAND = (sys.executable, "-m", "context_gateway")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def wait_for(url: str, process: "subprocess.Popen[str]") -> None:
    """Wait until `url` answers 200."""
    until = time.monotonic() + 30
    while True:
        try:
            if httpx2.get(url, trust_env=False).status_code == 200:
                return
        except httpx2.TransportError:
            pass
        assert process.poll() is None, "it ended by itself"
        assert time.monotonic() < until, "it does not answer"
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_answers_until_a_signal_and_then_ends_in_order(number: signal.Signals) -> None:
    port = free_port()
    environ = os.environ | {"PORT": str(port), "HOST": "127.0.0.1"}
    with subprocess.Popen(COMMAND, env=environ, stdout=subprocess.PIPE, text=True) as process:
        try:
            wait_for(f"http://127.0.0.1:{port}/livez", process)
            process.send_signal(number)
            output, _ = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 0
    assert '"message": "stopped"' in output


def test_prod_refuses_to_serve_strangers_and_says_why() -> None:
    environ = os.environ | {"APP_ENV": "prod", "AUTH_REQUIRED": "false", "CORS_ORIGINS": "*", "SECRET_KEY_BASE": "weak"}
    ended = subprocess.run(COMMAND, env=environ, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 1
    assert all(name in ended.stderr for name in ("SECRET_KEY_BASE", "AUTH_REQUIRED", "CORS_ORIGINS"))
    assert "Traceback" not in ended.stderr
