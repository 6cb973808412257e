"""What operators run against a live installation: doctor, smoke, load."""

import json
import subprocess
import sys
from typing import Any

from tests.support.stack import Stack


def contextctl(stack: Stack, *arguments: str) -> tuple[int, Any]:
    """The exit code of a run, and the JSON that it printed."""
    command = [sys.executable, "-m", "context_client", "--url", stack.url, "--namespace", "operators", *arguments]
    ran = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=60, check=False)
    assert ran.stdout, ran.stderr
    return ran.returncode, json.loads(ran.stdout)


def test_smoke_records_finds_and_takes_away(stack: Stack) -> None:
    code, lines = contextctl(stack, "smoke")
    assert {line["check"]: line["state"] for line in lines} == dict.fromkeys(
        ("health", "record", "read", "search", "context", "delete"), "ok"
    )
    assert code == 0
    _, left = contextctl(stack, "list", "adr")
    assert left["items"] == []


def test_doctor_finds_a_running_stack_well(stack: Stack) -> None:
    code, lines = contextctl(stack, "doctor")
    states = {line["check"]: line["state"] for line in lines}
    # Other tests of this stack may have made it answer 5xx on purpose: then doctor must say so.
    errors = states.pop("error rate")
    assert set(states.values()) == {"ok", "unknown"}, lines
    assert states["API endpoints"] == states["index"] == states["health endpoint"] == "ok"
    assert (errors, code) in (("ok", 0), ("failed", 1))


def test_a_load_is_carried_and_counted(stack: Stack) -> None:
    contextctl(stack, "add", "adr", "--title", "Use NATS", "--decision", "Events travel over NATS.")
    code, outcome = contextctl(stack, "load", "--rate", "5", "--seconds", "3")
    assert code == 0
    assert outcome["statuses"] == {"200": outcome["sent"]} == {"200": 15}
    assert 0 < outcome["p50_ms"] <= outcome["p99_ms"] <= outcome["max_ms"]
