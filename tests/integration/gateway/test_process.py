"""The gateway as a process: it starts by its settings, and ends in order when it is told to."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest
from cryptography import x509

from context_local.health import free_ports
from tests.support import loopback
from tests.support.certificates import Authority

COMMAND = (sys.executable, "-m", "context_gateway")


def wait_for(url: str, process: "subprocess.Popen[str]") -> None:
    """Wait until `url` answers 200."""
    until = time.monotonic() + 30
    while True:
        try:
            if loopback.get(url).status_code == 200:
                return
        except httpx2.TransportError:
            pass
        assert process.poll() is None, "it ended by itself"
        assert time.monotonic() < until, "it does not answer"
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_answers_until_a_signal_and_then_ends_in_order(number: signal.Signals) -> None:
    (port,) = free_ports(1)
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


def test_it_shows_when_the_certificate_of_the_proxy_before_it_ends(tmp_path: Path) -> None:
    issued, _ = Authority("public").issue("context.example.org")
    shown = tmp_path / "fullchain.pem"
    shown.write_bytes(issued)
    port, metrics = free_ports(2)
    environ = os.environ | {"PORT": str(port), "HOST": "127.0.0.1", "METRICS_LISTEN": f"127.0.0.1:{metrics}"}
    with subprocess.Popen(COMMAND, env=environ | {"PUBLIC_CERT_FILE": str(shown)}, text=True) as process:
        try:
            wait_for(f"http://127.0.0.1:{port}/livez", process)
            ends = x509.load_pem_x509_certificate(issued).not_valid_after_utc.timestamp()
            assert certificate_ends(metrics) == ends
            shown.write_text("no certificate")
            assert certificate_ends(metrics) == 0
        finally:
            process.kill()


def certificate_ends(port: int) -> float:
    """What the metric of the public certificate says."""
    text = loopback.get(f"http://127.0.0.1:{port}/metrics").text
    found = re.search(r'^context_certificate_expiry_timestamp_seconds{file="public"} (\S+)$', text, re.MULTILINE)
    assert found, text
    return float(found[1])


def test_prod_refuses_to_serve_strangers_and_says_why() -> None:
    environ = os.environ | {"APP_ENV": "prod", "AUTH_REQUIRED": "false", "CORS_ORIGINS": "*", "SECRET_KEY_BASE": "weak"}
    ended = subprocess.run(COMMAND, env=environ, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 1
    assert all(name in ended.stderr for name in ("SECRET_KEY_BASE", "AUTH_REQUIRED", "CORS_ORIGINS"))
    assert "Traceback" not in ended.stderr


def test_it_is_not_ready_but_still_answers_while_it_drains() -> None:
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    environ = os.environ | {"PORT": str(port), "HOST": "127.0.0.1", "DRAIN": "2"}
    with (
        subprocess.Popen(COMMAND, env=environ, stdout=subprocess.PIPE, text=True) as process,
        httpx2.Client() as client,
    ):
        try:
            wait_for(f"{url}/livez", process)
            assert "connection" not in client.get(f"{url}/livez").headers
            process.send_signal(signal.SIGTERM)
            while client.get(f"{url}/readyz").json()["status"] != "draining":
                time.sleep(0.02)
            answer = client.get(f"{url}/livez")
            assert answer.status_code == 200
            assert answer.headers["connection"] == "close"
            process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 0
