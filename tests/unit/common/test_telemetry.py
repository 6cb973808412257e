"""What telemetry is made of: spans that cost nothing where nobody wants them, certificates' ends, cleaned reports."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from prometheus_client import REGISTRY

from context.v1 import embedding_pb2 as pb
from context.v1 import embedding_pb2_grpc as rpc
from context_common import tracing
from context_common.errors import NotFound, Unavailable
from context_common.postgres import Measured
from context_common.scrub import hide
from context_common.server import Server
from context_common.settings import Env
from context_common.telemetry import Telemetry, reports, vitals
from tests.support.trust import admin, trust

SERVICE = pb.DESCRIPTOR.services_by_name["EmbeddingService"]


class Embedding(rpc.EmbeddingServiceServicer):
    """Knows no model."""

    async def DescribeModel(self, request: Any, context: Any) -> Any:
        raise NotFound

    async def Tokenize(self, request: Any, context: Any) -> Any:
        return pb.TokenizeResponse()


async def ready() -> None:
    """Always."""


def certificate(until: datetime) -> bytes:
    """A certificate that ends then."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, datetime(2020, 1, 1, tzinfo=UTC), until)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize("until", [datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC), datetime(2055, 12, 31, tzinfo=UTC)])
def test_the_end_of_a_certificate_is_read_from_its_file(tmp_path: Path, until: datetime) -> None:
    path = tmp_path / "chain.pem"
    path.write_bytes(b"# a comment\n" + certificate(until + timedelta(days=9)) + certificate(until))
    assert vitals.expiry(path) == until.timestamp()


@pytest.mark.parametrize("content", ["", "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n", "key"])
def test_a_file_without_a_certificate_ended_long_ago(tmp_path: Path, content: str) -> None:
    path = tmp_path / "none.pem"
    path.write_text(content)
    assert vitals.expiry(path) == vitals.expiry(tmp_path / "absent.pem") == 0.0


def test_without_a_tracer_every_span_is_the_same_nothing() -> None:
    carrier = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
    spans = {tracing.begin("a", carrier, {}), tracing.resume("b", carrier, {}), tracing.ask("c", {})}
    assert spans | {tracing.step("d", (tracing.place(),), {})} == {tracing.NOTHING}
    with tracing.NOTHING as span:
        span.set("name", 1)
        span.fail("reason")
        assert span.headers() == ()
    assert tracing.trace_id() == ""


def test_a_report_keeps_the_first_line_of_what_was_said_and_no_secret() -> None:
    hide("the-secret-of-this-process")
    said = "no such column: the-secret-of-this-process\nDETAIL: somebody's text"
    event: Any = {
        "exception": {"values": [{"type": "Oops", "value": said}, {"type": "Other", "value": "x" * 1000}]},
        "request": {"data": "body", "headers": {}},
        "modules": {},
        "tags": {"route": "/x", "token": "ghp_0123456789abcdefghijklmnopqrstuvwxyz"},
    }
    cleaned: Any = reports.clean(event, {})
    first, second = cleaned["exception"]["values"]
    assert first["value"] == "no such column: [redacted]"
    assert len(second["value"]) == reports.LONGEST
    assert "request" not in cleaned
    assert "modules" not in cleaned
    assert "ghp_" not in cleaned["tags"]["token"]


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (None, "ok"),
        (psycopg.errors.UniqueViolation(), "conflict"),
        (psycopg.errors.QueryCanceled(), "timeout"),
        (psycopg.OperationalError(), "unavailable"),
        (Unavailable(), "unavailable"),
        (psycopg.errors.UndefinedTable(), "error"),
        (RuntimeError("ours"), "ok"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_a_statement_is_counted_by_what_became_of_it(error: Exception | None, result: str) -> None:
    def count(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(name, {"source": "test", **labels}) or 0

    before = count("context_db_queries_total", result=result), count("context_db_query_seconds_count")
    with suppress(psycopg.Error, Unavailable, RuntimeError), Measured("test"):
        if error:
            raise error
    after = count("context_db_queries_total", result=result), count("context_db_query_seconds_count")
    assert after == (before[0] + 1, before[1] + 1)


async def test_every_answer_names_its_request_and_what_nobody_serves_makes_no_series() -> None:
    async with Server("127.0.0.1:0", trust=trust("embedding"), ready=ready, grace=0) as server:
        servicer = Embedding()  # type: ignore[abstract]  # the rest is not called
        server.add(rpc.add_EmbeddingServiceServicer_to_server, servicer, SERVICE)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            await asked(channel, "Tokenize")
            await asked(channel, "DescribeModel")
            before = series()
            for number in range(50):
                await asked(channel, f"Method{number}", f"context.v1.Service{number}")
    assert series() == before


async def asked(channel: grpc.aio.Channel, method: str, service: str = SERVICE.full_name) -> None:
    """Call a method; what is served answers with the request's id, whatever else it answers."""
    path = f"/{service}/{method}"
    method_there: Any = channel.unary_unary(path)
    call = method_there(b"", metadata=trust("gateway").metadata(admin(), "embedding", path))
    code = await call.code()
    if code is not grpc.StatusCode.UNIMPLEMENTED:
        assert dict(await call.trailing_metadata())["x-request-id"] == "request-1"


def series() -> set[tuple[str, str]]:
    """The methods that are counted."""
    names = {"grpc_server_handled_total", "grpc_server_refused_total", "context_first_call_seconds"}
    return {
        (sample.name, str(sorted(sample.labels.items())))
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.name in names
    }


def test_tokens_of_collector_and_sentry_are_never_printed() -> None:
    env = Env(
        {
            "SENTRY_DSN": "https://0123456789abcdef@sentry.example.org/4",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector.example.org:4317",
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20c0llector-t0ken, x-team=memory",
        }
    )
    found = Telemetry.read(env, "gateway")
    env.complain()
    assert found.traces
    assert found.traces.headers == (("authorization", "Bearer c0llector-t0ken"), ("x-team", "memory"))
    assert not any(secret in repr(found) for secret in ("c0llector", "0123456789abcdef"))
