"""An OpenTelemetry collector on this machine: it speaks OTLP over gRPC and keeps what it is sent."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as rpc

SPAN_KINDS = {1: "internal", 2: "server", 3: "client"}


@dataclass(frozen=True)
class Span:
    """A span as a collector sees it."""

    service: str
    name: str
    kind: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, Any]
    failed: bool
    links: tuple[str, ...] = ()


@dataclass
class Collector(rpc.TraceServiceServicer):
    """What arrived, and with which metadata."""

    port: int = 0
    spans: list[Span] = field(default_factory=list)
    metadata: list[dict[str, str]] = field(default_factory=list)
    raw: bytes = b""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def Export(self, request: pb.ExportTraceServiceRequest, context: Any) -> pb.ExportTraceServiceResponse:
        with self.lock:
            self.raw += request.SerializeToString()
            self.metadata.append({key: str(value) for key, value in context.invocation_metadata()})
            for resource in request.resource_spans:
                named = {a.key: a.value.string_value for a in resource.resource.attributes}
                for scope in resource.scope_spans:
                    self.spans.extend(_span(named["service.name"], span) for span in scope.spans)
        return pb.ExportTraceServiceResponse()

    def of(self, trace: str) -> list[Span]:
        """The spans of one trace, so far."""
        with self.lock:
            return [span for span in self.spans if span.trace == trace]

    @property
    def url(self) -> str:
        """Its endpoint."""
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector for the length of the block."""
    server = grpc.server(ThreadPoolExecutor(4))
    collector = Collector()
    rpc.add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]  # generated
    collector.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield collector
    finally:
        server.stop(None).wait()


def _span(service: str, span: Any) -> Span:
    values = {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in span.attributes}
    return Span(
        service,
        span.name,
        SPAN_KINDS[span.kind],
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        values,
        span.status.code == 2,
        tuple(link.span_id.hex() for link in span.links),
    )
