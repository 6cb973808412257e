"""Prometheus metrics that every process has, under the names that stock gRPC dashboards know."""

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


def names(path: str) -> tuple[str, str]:
    """Service and method of `/package.Service/Method`, as labels."""
    service, _, method = path.lstrip("/").partition("/")
    return service, method


class Calls:
    """The series of the calls to one `path`, `/package.Service/Method`."""

    def __init__(self, handled: Counter, seconds: Histogram, path: str) -> None:
        self._handled, self._names = handled, names(path)
        self._seconds, self._by_code = seconds.labels(*self._names), dict[str, Counter]()

    def count(self, code: str, seconds: float) -> None:
        """Count one that ended so, after that long."""
        self._seconds.observe(seconds)
        ended = self._by_code.get(code)
        if ended is None:
            ended = self._by_code[code] = self._handled.labels(*self._names, code)
        ended.inc()


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
