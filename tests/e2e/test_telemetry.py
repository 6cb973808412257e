"""The four real processes tell of one request: one trace, log lines that belong together, and reports of errors."""

import json
import secrets
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from tests.support import loopback
from tests.support.collector import Collector, Span, collecting
from tests.support.postgres import scratch_database
from tests.support.sentry import KEY, Sentry, taking_reports
from tests.support.stack import Stack, run_stack

SERVICES = ("gateway", "knowledge", "embedding", "retrieval")
QUESTION = "why did the zeppelin moor at the quayside postgresql://ops:hunter2hunter2@db/x"
TOKEN = "collector-token-8417"
ASKER = "00f067aa0ba902b7"  # the span of whoever asks within a trace of their own


@dataclass(frozen=True)
class Watched:
    """A stack, and who listens to what it tells."""

    stack: Stack
    collector: Collector
    sentry: Sentry

    def ask(self, trace: str = "", question: str = QUESTION, **headers: str) -> httpx2.Response:
        """Ask for context, within a trace of ours where one is given."""
        given = {"traceparent": f"00-{trace}-{ASKER}-01"} if trace else {}
        body = {"query": question, "max_tokens": 900}
        return loopback.post(f"{self.stack.url}/api/context/query", json=body, headers=given | headers, timeout=30)

    def trace(self, trace: str, *names: str) -> list[Span]:
        """The spans of a trace, once those with `names` are there, and whatever any of them stands in."""

        def complete() -> bool:
            spans = self.collector.of(trace)
            known = {span.id for span in spans} | {"", ASKER}
            return {span.name for span in spans} >= set(names) and all(span.parent in known for span in spans)

        self.stack.wait_until(complete)
        return self.collector.of(trace)

    def lines(self, service: str, **fields: Any) -> list[dict[str, Any]]:
        """The log lines of a service that have these fields."""
        found = map(json.loads, self.stack.log(service).splitlines())
        return [line for line in found if fields.items() <= line.items()]


@pytest.fixture(scope="module")
def watched(postgres_url: str, model_dir: Path) -> Iterator[Watched]:
    with scratch_database(postgres_url) as url, collecting() as collector, taking_reports() as sentry:
        environment = {
            "MODEL_DIR": str(model_dir),
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{TOKEN}",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "OTEL_RESOURCE_ATTRIBUTES": "team=memory",
            "SENTRY_DSN": sentry.dsn,
            "LOG_QUERIES": "true",
            "REVISION": "abc1234",
        }
        with run_stack(url, **environment) as stack:
            yield Watched(stack, collector, sentry)


def ancestors(span: Span, spans: list[Span]) -> list[str]:
    """The names of what a span stands in, nearest first."""
    known = {one.id: one for one in spans}
    found = []
    while span.parent in known:
        span = known[span.parent]
        found.append(span.name)
    return found


def test_one_request_is_one_trace_through_every_process_it_passes(watched: Watched) -> None:
    trace = secrets.token_hex(16)
    assert watched.ask(trace).status_code == 200
    retrieval, embedding = "context.v1.RetrievalService/QueryContext", "context.v1.EmbeddingService/Embed"
    spans = watched.trace(trace, "POST /api/context/query", retrieval, embedding, "embed batch", "db search")
    (root,) = [span for span in spans if span.service == "context-gateway" and span.kind == "server"]
    assert (root.name, root.parent) == ("POST /api/context/query", ASKER)
    assert root.attributes["http.response.status_code"] == 200
    (batch,) = [span for span in spans if span.name == "embed batch"]
    assert batch.service == "context-embedding"
    assert ancestors(batch, spans) == [embedding, embedding, retrieval, retrieval, root.name]
    (search,) = [span for span in spans if span.name == "db search"]
    assert (search.service, search.kind) == ("context-retrieval", "client")
    assert ancestors(search, spans) == [retrieval, retrieval, root.name]
    kinds = [(span.service, span.kind) for span in spans if span.name == retrieval]
    assert sorted(kinds) == [("context-gateway", "client"), ("context-retrieval", "server")]
    assert not any(span.failed for span in spans)


def test_a_write_is_traced_to_its_statements_and_an_indexers_batch_is_a_trace_of_its_own(watched: Watched) -> None:
    trace = secrets.token_hex(16)
    headers = {"traceparent": f"00-{trace}-{ASKER}-01"}
    adr = {"title": "Moor the zeppelin", "decision": "It moors at the quayside."}
    assert loopback.post(f"{watched.stack.url}/api/adr", json=adr, headers=headers, timeout=30).status_code == 201
    create = "context.v1.KnowledgeService/CreateItem"
    spans = watched.trace(trace, "POST /api/adr", create, "db items", "db feed", "db commit")
    statements = [span for span in spans if span.name.startswith("db ") and span.service == "context-knowledge"]
    assert all(ancestors(span, spans) == [create, create, "POST /api/adr"] for span in statements)
    watched.stack.wait_until(lambda: any(span.name == "index" for span in watched.collector.spans))
    (index, *_) = [span for span in watched.collector.spans if span.name == "index"]
    within = watched.trace(index.trace, "db index.apply", "embed batch", "db feed")
    assert index.parent == ""
    assert {span.service for span in within} == {"context-retrieval", "context-embedding", "context-knowledge"}


def test_probes_and_chores_leave_no_traces_and_no_span_says_what_was_asked(watched: Watched) -> None:
    for path in ("/health", "/livez", "/readyz", "/metrics"):
        loopback.get(watched.stack.url + path)
    trace = secrets.token_hex(16)
    watched.ask(trace)
    watched.trace(trace, "POST /api/context/query")
    begun = {span.name for span in watched.collector.spans if not span.parent}
    assert begun <= {"index", "POST /api/context/query", "POST /api/adr"}
    words = (b"zeppelin", b"quayside", b"hunter2", b"SELECT", b"max_tokens", TOKEN.encode())
    assert [word for word in words if word in watched.collector.raw] == []
    assert all(sent["authorization"] == f"Bearer {TOKEN}" for sent in watched.collector.metadata)
    assert b"team" in watched.collector.raw


def test_the_log_lines_of_one_request_belong_together(watched: Watched) -> None:
    trace, request = secrets.token_hex(16), f"r-{secrets.token_hex(4)}"
    answer = watched.ask(trace, **{"x-request-id": request})
    assert answer.headers["x-request-id"] == request
    about = {"request_id": request, "trace_id": trace, "query_type": "context", "user_id": "dev", "level": "info"}
    watched.stack.wait_until(lambda: watched.lines("gateway", message="request", **about))
    (line,) = watched.lines("gateway", message="request", route="/api/context/query", **about)
    assert (line["status"], line["namespace"], line["service"]) == (200, "default", "gateway")
    assert list(line)[:4] == ["time", "level", "service", "message"]
    (line,) = watched.lines("retrieval", message="context_query", **about)
    assert (line["max_tokens"], line["degraded"], line["service"]) == (900, False, "retrieval")
    assert line["result_count"] >= 0
    assert line["took_ms"] > 0
    assert line["query"].startswith("why did the zeppelin")
    assert "hunter2" not in line["query"]


def test_every_line_of_every_process_is_json(watched: Watched) -> None:
    with watched.stack.without("embedding"):
        watched.ask(question="what is known without vectors?")
    for service in SERVICES:
        lines = watched.stack.log(service).splitlines()
        assert [line for line in lines if not line.startswith('{"time": ')] == []
        assert all({"time", "level", "service", "message"} <= json.loads(line).keys() for line in lines)


def test_what_goes_wrong_is_reported_with_its_request_and_nothing_private(watched: Watched) -> None:
    request = f"r-{secrets.token_hex(4)}"
    with psycopg.connect(watched.stack.database_url, autocommit=True) as owner:
        owner.execute("ALTER TABLE retrieval.edges RENAME TO gone")
        try:
            failed = watched.ask(**{"x-request-id": request, "cookie": "session=s3cret-cookie-value"})
            assert failed.status_code == 500
            watched.stack.wait_until(lambda: watched.sentry.of("retrieval") and watched.sentry.of("gateway"))
        finally:
            owner.execute("ALTER TABLE retrieval.gone RENAME TO edges")
    event = next(event for event in watched.sentry.of("retrieval") if event["tags"].get("request_id") == request)
    assert (event["environment"], event["tags"]["env"]) == ("development", "development")
    assert event["release"].startswith("context@")
    assert event["release"].endswith("+abc1234")
    assert event["server_name"]
    assert event["user"] == {"id": "dev"}
    assert event["tags"]["query_type"] == "context"
    (exception, *_) = event["exception"]["values"]
    assert exception["type"] == "UndefinedTable"
    assert "edges" in exception["value"]
    frames = exception["stacktrace"]["frames"]
    assert any(frame.get("context_line") for frame in frames)
    assert not any("vars" in frame for frame in frames)
    assert set(watched.sentry.items) == {"event"}
    private = (b"zeppelin", b"hunter2", b"s3cret-cookie", watched.stack.service_secret.encode(), TOKEN.encode())
    assert [word for word in private if word in watched.sentry.raw] == []
    assert all(KEY not in watched.stack.log(service) for service in SERVICES)


def test_a_chore_that_breaks_is_reported_too(watched: Watched) -> None:
    with psycopg.connect(watched.stack.database_url, autocommit=True) as owner:
        owner.execute("ALTER TABLE knowledge.changes RENAME TO gone")
        try:
            watched.stack.wait_until(
                lambda: {"chore_failed", "indexing_failed"} <= {e["tags"]["event"] for e in watched.sentry.events}
            )
        finally:
            owner.execute("ALTER TABLE knowledge.gone RENAME TO changes")


def test_spans_that_wait_are_sent_before_a_process_ends(watched: Watched) -> None:
    trace = secrets.token_hex(16)
    watched.ask(trace)
    assert watched.stack.end("gateway", signal.SIGTERM) == 0
    assert "POST /api/context/query" in {span.name for span in watched.collector.of(trace)}
    watched.stack.start("gateway")
    watched.stack.wait_ready()
