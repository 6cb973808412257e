"""What HTTP callers get, counted by route template so that the labels stay few, and what the limits did."""

from prometheus_client import Counter, Gauge, Histogram

from context_common.metrics import BUCKETS, first_call

REQUESTS = Counter("http_requests_total", "Requests answered, by status", ["method", "route", "status"])
SECONDS = Histogram(
    "http_request_duration_seconds",
    "Time to answer a request, streams to their end",
    ["method", "route"],
    buckets=BUCKETS,
)
RATE_LIMITED = Counter("rate_limited_total", "Requests beyond their rate", ["policy"])
RATE_STORE_AWAY = Gauge("rate_limit_store_away", "1 while Redis is away and each replica counts by itself")
SHED = Counter("http_shed_total", "Requests refused because too many were under way", ["lane"])
IN_FLIGHT = Gauge("http_in_flight", "Requests being worked on", ["lane"])
CONCURRENCY_LIMIT = Gauge("http_concurrency_limit", "Requests that are let in at once", ["lane"])
CUT_OFF = Counter("http_cut_off_total", "Connections ended because of what the client did or did not send", ["reason"])
DENIALS_LOST = Counter("denials_lost_total", "Denied calls that the audit trail never heard of")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def method(name: str) -> str:
    """A method as a label; those that HTTP does not know are one."""
    return name if name in METHODS else "other"


def observe(name: str, route: str, status: int, seconds: float) -> None:
    """Count one request with the method `name`; `route` is empty where none matched."""
    verb, path = method(name), route or "none"
    REQUESTS.labels(verb, path, status).inc()
    SECONDS.labels(verb, path).observe(seconds)
    if route:
        first_call(f"{verb} {path}", seconds)
