"""Spans by OpenTelemetry's SDK, sent by OTLP. Imported only where traces are wanted, for it takes its time."""

import logging
import threading
from collections.abc import Sequence
from contextvars import Token
from typing import Self

import structlog
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider, sampling
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from context_common import metrics, tracing
from context_common.telemetry.settings import Traces
from context_common.tracing import Attributes, Carrier, Place, Value

SCOPE = "context"
FLUSH = 3.0  # seconds at the end in which what is left may still be sent
# They would complain of a collector that is away with every batch, and name headers and addresses.
LOUD = ("opentelemetry.exporter", "opentelemetry.sdk._shared_internal")

log = structlog.get_logger()


class Span(tracing.Span):
    """A span that is kept. With `current` it is what other work stands in, until it ends."""

    __slots__ = ("_failed", "_span", "_token")

    def __init__(self, span: trace.Span, *, current: bool = False) -> None:
        self._span, self._failed = span, False
        self._token: Token[otel_context.Context] | None = None
        if current:
            self._token = otel_context.attach(trace.set_span_in_context(span))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and not self._failed:
            self.fail(kind.__name__)  # its words may quote what somebody sent
        if self._token is not None:
            otel_context.detach(self._token)
        self._span.end()

    def set(self, name: str, value: Value) -> None:
        """Add an attribute."""
        self._span.set_attribute(name, value)

    def rename(self, name: str) -> None:
        """Give it its final name."""
        self._span.update_name(name)

    def fail(self, reason: str) -> None:
        """Mark it as failed."""
        self._failed = True
        self._span.set_attribute("error.type", reason)
        self._span.set_status(StatusCode.ERROR)

    def headers(self) -> tuple[tuple[str, str], ...]:
        """As W3C Trace Context has it."""
        carrier: dict[str, str] = {}
        PROPAGATOR.inject(carrier, trace.set_span_in_context(self._span))
        return tuple(carrier.items())


class Tracer:
    """Makes spans of one process."""

    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer

    def serve(self, name: str, carrier: Carrier, attributes: Attributes) -> tracing.Span:
        """Within what `carrier` names, or a trace of its own."""
        within = PROPAGATOR.extract(carrier, otel_context.Context())
        kind = SpanKind.SERVER if carrier else SpanKind.INTERNAL
        span = self._tracer.start_span(name, within, kind, attributes)
        return Span(span, current=True)

    def ask(self, name: str, attributes: Attributes) -> tracing.Span:
        """Nothing where there is no trace under way."""
        if not trace.get_current_span().get_span_context().is_valid:
            return tracing.NOTHING
        return Span(self._tracer.start_span(name, None, SpanKind.CLIENT, attributes))

    def step(self, name: str, parents: tuple[Place, ...], attributes: Attributes) -> tracing.Span:
        """Nothing where none of `parents` is a place."""
        places = list({place.span_id: place for place in parents if isinstance(place, SpanContext)}.values())
        if not places:
            return tracing.NOTHING
        within = trace.set_span_in_context(trace.NonRecordingSpan(places[0]), otel_context.Context())
        links = [Link(place) for place in places[1:]]
        return Span(self._tracer.start_span(name, within, SpanKind.INTERNAL, attributes, links))

    def place(self) -> Place:
        """The span under way."""
        found = trace.get_current_span().get_span_context()
        return found if found.is_valid else None

    def trace_id(self) -> str:
        """As W3C writes it."""
        found = trace.get_current_span().get_span_context()
        return trace.format_trace_id(found.trace_id) if found.is_valid else ""


class Exporter(SpanExporter):
    """Hands spans to `inner`; counts them, and says once when it cannot and once when it can again."""

    def __init__(self, inner: SpanExporter) -> None:
        self._inner, self._away = inner, False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send `spans`, or lose them."""
        result = self._inner.export(spans)
        sent = result is SpanExportResult.SUCCESS
        metrics.SPANS.labels("sent" if sent else "lost").inc(len(spans))
        if sent is self._away:
            self._away = not sent
            log.info("traces_sent_again") if sent else log.warning("traces_not_sent", spans=len(spans))
        return result

    def shutdown(self) -> None:
        """Send no more, and wait for nothing."""
        self._inner.shutdown()


class Pipeline:
    """From ended spans to the collector: a queue of bounded length, and a thread that empties it."""

    def __init__(self, settings: Traces, resource: dict[str, str]) -> None:
        for name in LOUD:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        self._exporter = Exporter(
            OTLPSpanExporter(
                endpoint=settings.endpoint,
                insecure=settings.endpoint.startswith("http://"),
                headers=settings.headers,
                timeout=settings.timeout,
            )
        )
        self._provider = TracerProvider(
            sampler=sampler(settings.sampler, settings.ratio),
            resource=Resource.create({**resource}),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))

    def tracer(self) -> Tracer:
        """What makes its spans."""
        return Tracer(self._provider.get_tracer(SCOPE))

    def close(self) -> None:
        """Send what is left, for a few seconds at most."""
        # By itself it would wait for half a minute, and for longer where the collector is away.
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        ending.join(FLUSH)
        if ending.is_alive():
            self._exporter.shutdown()


def sampler(name: str, ratio: float) -> sampling.Sampler:
    """The sampler that OTEL_TRACES_SAMPLER names."""
    plain = {
        "always_on": sampling.ALWAYS_ON,
        "always_off": sampling.ALWAYS_OFF,
        "traceidratio": sampling.TraceIdRatioBased(ratio),
    }
    by_parent = name.startswith("parentbased_")
    chosen = plain[name.removeprefix("parentbased_")]
    return sampling.ParentBased(chosen) if by_parent else chosen


PROPAGATOR = TraceContextTextMapPropagator()
