"""Prometheus metrics that every process has, under the names that stock gRPC dashboards know."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter

from prometheus_client import Counter, Gauge, Histogram, start_http_server

# Alerts ask at 0.1, 0.2 and 1 s.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0, 10.0)
RPC = ("grpc_service", "grpc_method")

SERVER_HANDLED = Counter("grpc_server_handled_total", "Calls answered, by status code", [*RPC, "grpc_code"])
SERVER_SECONDS = Histogram("grpc_server_handling_seconds", "Time to answer a call", RPC, buckets=BUCKETS)
SERVER_REFUSED = Counter("grpc_server_refused_total", "Calls refused before any work, by reason", [*RPC, "reason"])
CLIENT_HANDLED = Counter("grpc_client_handled_total", "Calls made, by status code", [*RPC, "grpc_code"])
CLIENT_SECONDS = Histogram("grpc_client_handling_seconds", "Time until a call was answered", RPC, buckets=BUCKETS)
CLIENT_CIRCUIT = Gauge("grpc_client_circuit_open", "1 while calls fail at once because the last ones failed", RPC)
CLIENT_CIRCUIT_REFUSED = Counter("grpc_client_circuit_refused_total", "Calls not made because of that", RPC)
FIRST_CALL = Gauge("context_first_call_seconds", "Time that the first call of a method took in this process", ["call"])
SPANS = Counter("context_trace_spans_total", "Spans that were to be sent, by whether they were", ["result"])

_called: set[str] = set()


@dataclass
class Observed:
    """What became of a call; set `code` before the block ends."""

    code: str = "OK"


def names(path: str) -> tuple[str, str]:
    """Service and method of `/package.Service/Method`, as labels."""
    service, _, method = path.lstrip("/").partition("/")
    return service, method


@contextmanager
def observe(handled: Counter, seconds: Histogram, path: str) -> Iterator[Observed]:
    """Count and time one call to `path`, `/package.Service/Method`."""
    service, method = names(path)
    observed = Observed()
    start = perf_counter()
    try:
        yield observed
    finally:
        took = perf_counter() - start
        seconds.labels(service, method).observe(took)
        handled.labels(service, method, observed.code).inc()
        if handled is SERVER_HANDLED:
            first_call(path, took)


def first_call(call: str, seconds: float) -> None:
    """Keep how long the first of these calls took, which pays for what is loaded and connected on demand."""
    if call not in _called:
        _called.add(call)
        FIRST_CALL.labels(call).set(seconds)


def serve(listen: str) -> None:
    """Answer GET /metrics on `host:port` from a thread of its own; an empty `listen` serves nothing."""
    if listen:
        host, _, port = listen.rpartition(":")
        start_http_server(int(port), host.strip("[]") or "127.0.0.1")
