"""`make monitoring-check`: everything is scraped, every rule and panel is answered, and a service that dies is told of.

It takes about two minutes, most of it the time that an alert waits before it fires.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx2

from context_local.health import LOOPBACK, free_ports
from tests.deploy.monitoring.watchers import Absent, Watchers, watching
from tests.support.monitoring import dashboards, expressions
from tests.support.stack import Stack, run_stack

PATIENCE = 180.0  # seconds
QUESTIONS = 30


def main() -> int:
    """Run it; the exit code is the verdict."""
    (port,) = free_ports(1)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="context-watch-") as scratch,
            run_stack(METRICS_LISTEN=f"{LOOPBACK}:{port}") as stack,
            watching(targets(stack, port), Path(scratch)) as watchers,
        ):
            _check(stack, watchers)
    except Absent as absent:
        print(f"skipped: {absent}")
    return 0


def _check(stack: Stack, watchers: Watchers) -> None:
    say(f"{up(watchers)} targets are up")
    use(stack)
    wait("rules", lambda: rules(watchers))
    states = rules(watchers)
    assert set(states.values()) == {"ok"}, states
    say(f"{len(states)} rules are evaluated without an error")
    # A rate needs a counter that has been seen before: what was asked between two looks at it counts as nothing.
    wait(
        "recorded",
        lambda: watchers.ask("/api/v1/query", query="context:http_errors:ratio5m")["result"],
        partial(use, stack),
    )
    silent = [asked for asked in panels() if not watchers.ask("/api/v1/query", query=asked)["result"]]
    say(f"{len(panels())} queries of panels are answered, {len(silent)} of them without a series so far:")
    for asked in silent:
        print(f"    {asked}")
    alerts = watchers.ask("/api/v1/alerts")["alerts"]
    firing = {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}
    assert firing == {"ContextWatchdog"}, firing
    assert "error expanding" not in str(alerts)
    say("no alert fires but the watchdog")
    told(stack, watchers)


def told(stack: Stack, watchers: Watchers) -> None:
    """Kill embedding, wait until somebody is told, start it again, and wait until they are told of that."""
    receiver = watchers.receiver
    killed = time.monotonic() - receiver.began
    with stack.without("embedding"):
        say("embedding is killed")
        wait("ContextServiceDown", lambda: receiver.named("ContextServiceDown", "firing"), partial(use, stack))
        at, to, alert = receiver.named("ContextServiceDown", "firing") or (0.0, "", {})
        say(f"{at - killed:.0f} s later the receiver {to} is told: {alert['annotations']['summary']}")
        say(f"  {alert['annotations']['runbook_url']}")
        assert to == "on-call"
        back = time.monotonic() - receiver.began
    wait("resolved", lambda: receiver.named("ContextServiceDown", "resolved"))
    at, to, _ = receiver.named("ContextServiceDown", "resolved") or (0.0, "", {})
    say(f"embedding is started again, and {at - back:.0f} s later {to} is told that it is over")
    others = {one["labels"]["alertname"] for _, _, note in receiver.notes for one in note["alerts"]}
    say(f"told of: {', '.join(sorted(others))}; requests without the token: {receiver.unknown}")
    assert receiver.unknown == 0
    assert not others & {"ContextCircuitOpen", "ContextAnswersDegraded"}, "what follows from it is not told beside it"


def targets(stack: Stack, gateway: int) -> dict[str, list[str]]:
    """What is scraped, by job."""
    services = {f"context-{name}": [stack.metrics_addr(name)] for name in ("knowledge", "embedding", "retrieval")}
    return {"context-gateway": [f"{LOOPBACK}:{gateway}"], **services}


def use(stack: Stack) -> None:
    """Ask and record a little, so that there is something to count."""
    with httpx2.Client(base_url=stack.url, timeout=30) as client:
        for number in range(QUESTIONS):
            client.post("/api/context/query", json={"query": f"why do we use Postgres, {time.monotonic_ns()}?"})
            if number % 10 == 0:
                client.post("/api/adr", json={"title": f"Use Postgres {number}", "decision": "We use Postgres."})


def up(watchers: Watchers) -> int:
    """How many targets answer, once all do."""

    def healthy() -> bool:
        found = watchers.ask("/api/v1/targets", state="active")["activeTargets"]
        return bool(found) and all(target["health"] == "up" for target in found)

    wait("targets", healthy)
    return len(watchers.ask("/api/v1/targets", state="active")["activeTargets"])


def rules(watchers: Watchers) -> dict[str, str]:
    """The health of each rule, once all were evaluated."""
    groups = watchers.ask("/api/v1/rules")["groups"]
    states = {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}
    return {} if "unknown" in states.values() else states


def panels() -> list[str]:
    """Every query of every dashboard, once."""
    return sorted({asked for board in dashboards().values() for asked in expressions(board)})


def wait(what: str, until: Callable[[], Any], meanwhile: Callable[[], None] | None = None) -> None:
    """Look every half second, for a while; `meanwhile` is done in between."""
    end = time.monotonic() + PATIENCE
    while not until():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {PATIENCE:.0f} s")
        if meanwhile is not None:
            meanwhile()
        time.sleep(0.5)


def say(text: str) -> None:
    """A line of the transcript."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
