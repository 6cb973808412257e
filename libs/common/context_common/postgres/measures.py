"""What every process that uses a database counts: its pools, where reads went, how its replicas are."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

POOL_LIMIT = Gauge("context_db_pool_limit", "Most connections that a pool opens", ["pool"])
POOL_CONNECTIONS = Gauge("context_db_pool_connections", "Connections that a pool has open", ["pool"])
POOL_IN_USE = Gauge("context_db_pool_in_use", "Connections of a pool that are lent out", ["pool"])
POOL_WAITING = Gauge("context_db_pool_waiting", "Callers that wait for a connection of a pool", ["pool"])
POOL_WAITS = Histogram(
    "context_db_pool_wait_seconds",
    "Time until a call had a connection of a pool, or was refused one",
    ["pool", "result"],
    buckets=(0.0001, 0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
)
POSSIBLE = Gauge("context_db_connections_possible", "Connections that all processes on the primary could open together")
LIMIT = Gauge("context_db_connections_limit", "Connections that the primary has for them")
READS = Counter("context_db_reads_total", "Reads that may go to a replica, by who answered", ["target"])
FALLBACKS = Counter("context_db_replica_fallbacks_total", "Reads done again on the primary", ["replica", "reason"])
REPLICA_UP = Gauge("context_db_replica_up", "1 while a replica answers and is one of our primary's", ["replica"])
REPLICA_LAG = Gauge("context_db_replica_lag_seconds", "How old what a replica has replayed is", ["replica"])


@contextmanager
def measured(pool: Any, name: str) -> Iterator[None]:
    """Show the figures of `pool` for the block."""

    def size() -> float:
        return float(pool.get_stats()["pool_size"])

    shown = {
        POOL_LIMIT: lambda: float(pool.max_size),
        POOL_CONNECTIONS: size,
        POOL_IN_USE: lambda: size() - pool.get_stats()["pool_available"],
        POOL_WAITING: lambda: float(pool.get_stats()["requests_waiting"]),
    }
    for gauge, read in shown.items():
        gauge.labels(name).set_function(read)
    try:
        yield
    finally:
        for gauge in shown:
            gauge.remove(name)
