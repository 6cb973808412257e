"""What HTTP callers get, counted by route template so that the labels stay few."""

from prometheus_client import Counter, Histogram

from context_common.metrics import BUCKETS

REQUESTS = Counter("http_requests_total", "Requests answered, by status", ["method", "route", "status"])
SECONDS = Histogram(
    "http_request_duration_seconds",
    "Time to answer a request, streams to their end",
    ["method", "route"],
    buckets=BUCKETS,
)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def observe(method: str, route: str, status: int, seconds: float) -> None:
    """Count one request; `route` is empty where none matched."""
    name, path = (method if method in METHODS else "other"), route or "none"
    REQUESTS.labels(name, path, status).inc()
    SECONDS.labels(name, path).observe(seconds)
