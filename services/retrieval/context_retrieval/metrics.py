"""What retrieval counts, beside what every service does."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Counter, Gauge, Histogram

from context_common.metrics import BUCKETS

QUERIES = Counter("context_queries_total", "Context queries answered, by whether words alone had to do", ["degraded"])
STAGE = Histogram("retrieval_stage_seconds", "Time in one stage of a query or of indexing", ["stage"], buckets=BUCKETS)
INDEXED = Counter("index_changes_total", "Changes stored in the index")
INDEX_FAILURES = Counter("index_failures_total", "Changes that failed alone, for a reason of their own")
FILLED = Counter("index_filled_total", "Items whose missing vectors were computed later")
PUT_OFF = Counter("index_put_off_total", "Items left for a while, because computing the vectors they still lack fails")
UNEMBEDDED = Gauge("index_unembedded_chunks", "Passages without a vector of the model in use, found by words alone")
LAG = Gauge("index_lag_seconds", "Age of the oldest change that is not indexed yet")
PENDING = Gauge("index_pending", "Changes that are not indexed yet")
ACCESSES_LOST = Counter("context_accesses_lost_total", "Access counts given up because knowledge was away")

RECEIPTS = Counter("context_receipts_total", "Receipts of queries, by what became of them", ["outcome"])
REFUSED = Counter("context_queries_refused_total", "Questions refused because too many were being answered")


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Time one stage."""
    with STAGE.labels(name).time():
        yield
