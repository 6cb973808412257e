"""What a process tells of itself, by its settings: seen from outside a real process that logs, works and breaks."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.collector import collecting
from tests.support.sentry import KEY, taking_reports

# A process as ours are, that says at its end whom it connected to and what it had imported.
PROGRAM = """
import asyncio, atexit, json, logging, os, sys, warnings
connected = []
sys.addaudithook(lambda name, args: connected.append(args[1]) if name == "socket.connect" else None)
import structlog
from context_common import chores, tracing
from context_common.errors import Unavailable
from context_common.process import Process
from context_common.settings import Env
from context_common.telemetry.start import telemetry

log = structlog.get_logger()
env = Env(os.environ)
process = Process.read(env, "knowledge", "127.0.0.1:0")
env.complain()

def tell():
    there = [name for name in ("opentelemetry", "sentry_sdk") if name in sys.modules]
    print(json.dumps({"connected": connected, "imported": there}), file=sys.stderr)

atexit.register(tell)

async def main():
    async with telemetry(process):
        DO
asyncio.run(main())
AFTER
"""
LOG_ALL = """
        for level in ("debug", "info", "warning", "error"):
            getattr(log, level)(f"said_{level}")
        logging.getLogger("uvicorn.error").warning("a library warns of %s", "something")
        warnings.warn("old ways")
        await asyncio.to_thread(log.info, "from_a_thread")
"""
BREAK = """
        async def breaks(password="a-local-variable"):
            raise RuntimeError("it broke for postgresql://u:hunter2hunter2@db/x" + chr(10) + "DETAIL: a stored text")
        structlog.contextvars.bind_contextvars(request_id="r-17", user_id="key:abc", query_type="context")
        chores.start(breaks())
        task = chores.start(chores.every(60, "chore", breaks))
        await asyncio.sleep(0.1)
        task.cancel()
        try:
            raise Unavailable("expected")
        except Unavailable:
            log.warning("not_unexpected", exc_info=True)
"""
SPANS = """
        for number in range(5000):
            with tracing.begin("POST /x", {}, {"number": number}):
                with tracing.ask("db items", {}):
                    pass
        await asyncio.sleep(0.5)
"""


@dataclass(frozen=True)
class Ended:
    """What came of a process."""

    code: int
    lines: list[dict[str, Any]]
    connected: list[Any]
    imported: list[str]

    def messages(self) -> list[str]:
        """The events that were logged."""
        return [line["message"] for line in self.lines]


def run(do: str, after: str = "", **environ: str) -> Ended:
    """Run a process that does `do` within its telemetry, and `after` when that is over."""
    program = PROGRAM.replace("        DO", do).replace("AFTER", after)
    found = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    told = json.loads(found.stderr.splitlines()[-1])
    lines = [json.loads(line) for line in found.stdout.splitlines()]
    return Ended(found.returncode, lines, told["connected"], told["imported"])


@pytest.mark.parametrize(
    ("level", "said"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1), ("", 3)], ids=lambda value: str(value)
)
def test_a_level_and_what_is_above_it_is_logged_as_json(level: str, said: int) -> None:
    ended = run(LOG_ALL, LOG_LEVEL=level)
    messages = ended.messages()
    assert [name for name in messages if name.startswith("said_")] == [
        f"said_{name}" for name in ("debug", "info", "warning", "error")[4 - said :]
    ]
    assert ("a library warns of something" in messages) is (said > 1)
    assert all({"time", "level", "service", "message"} <= line.keys() for line in ended.lines)
    assert {line["service"] for line in ended.lines} == {"knowledge"}
    if said > 1:
        assert any("old ways" in name for name in messages)
        assert next(line["logger"] for line in ended.lines if "library" in line["message"]) == "uvicorn.error"


def test_unset_nothing_is_imported_and_nobody_is_called_whatever_breaks() -> None:
    ended = run(BREAK + SPANS, "raise ValueError('at the end')")
    assert {"task_failed", "chore_failed", "crashed"} <= set(ended.messages())
    assert ended.code == 1
    assert ended.imported == []
    assert ended.connected == []
    assert not any("trace_id" in line for line in ended.lines)


def test_what_breaks_is_reported_where_a_dsn_is_given_and_what_is_expected_is_not() -> None:
    with taking_reports() as sentry:
        ended = run(BREAK, "raise ValueError('at the end')", SENTRY_DSN=sentry.dsn, APP_ENV="dev", REVISION="abc")
    assert ended.imported == ["sentry_sdk"]
    assert {tuple(address) for address in ended.connected} == {("127.0.0.1", sentry.port)}
    events = {event["tags"]["event"]: event for event in sentry.events}
    assert set(events) == {"task_failed", "chore_failed", "crashed"}
    assert set(sentry.items) == {"event"}
    event = events["chore_failed"]
    assert (event["user"], event["tags"]["request_id"]) == ({"id": "key:abc"}, "r-17")
    assert (event["environment"], event["tags"]["service"]) == ("development", "knowledge")
    assert event["exception"]["values"][0]["value"] == "it broke for postgresql://u:[redacted:password]@db/x"
    assert b"a-local-variable" not in sentry.raw
    assert b"a stored text" not in sentry.raw
    assert KEY not in json.dumps(ended.lines)


def test_production_is_what_error_reports_and_spans_call_it() -> None:
    secret = "Zq3-0xPw8_vLm2Rt7Kc5Yb9Nd4Hf6Js1"
    with taking_reports() as sentry, collecting() as collector:
        environ = {"SENTRY_DSN": sentry.dsn, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        run(BREAK + SPANS, APP_ENV="prod", SERVICE_SECRET=secret, OTEL_SERVICE_NAME="mine", **environ)
    assert {(event["environment"], event["tags"]["env"]) for event in sentry.events} == {("production", "production")}
    assert b"production" in collector.raw
    assert {span.service for span in collector.spans} == {"mine"}
    assert secret.encode() not in sentry.raw + collector.raw


def test_a_collector_that_is_away_costs_one_line_and_a_bounded_queue() -> None:
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_TIMEOUT": "0.3"}
    ended = run(SPANS, OTEL_BSP_SCHEDULE_DELAY="50", **environ)
    assert ended.code == 0
    assert ended.messages() == ["traces_not_sent"]


def test_a_tenth_of_the_traces_is_kept_where_that_is_asked_for() -> None:
    environ = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"}
    with collecting() as collector:
        run(SPANS, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_BSP_MAX_QUEUE_SIZE="20000", **environ)
    roots = [span for span in collector.spans if not span.parent]
    assert 300 <= len(roots) <= 700
    assert len(collector.spans) == 2 * len(roots)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SENTRY_DSN", "not-a-dsn"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "Bearer-of-nothing"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_TRACES_SAMPLER_ARG", "2"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named_at_the_start(name: str, value: str) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "context_gateway"],
        env=os.environ | {name: value},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert found.returncode == 1
    assert name in found.stderr
    assert "Traceback" not in found.stderr
