"""What the embedding service counts."""

from prometheus_client import Counter, Gauge, Histogram

QUEUE_DEPTH = Gauge("embedding_queue_depth", "Texts that wait to be embedded", ["priority"])
BATCH_TOKENS = Histogram(
    "embedding_batch_tokens",
    "Tokens in one run of the model, padding included",
    buckets=(8, 16, 32, 64, 128, 256, 512, 1024, 2048),
)
GENERATION_SECONDS = Histogram(
    "embedding_generation_duration_seconds",
    "Time of one run of the model, or of one request to an external one",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5),
)
REFUSED = Counter("embedding_refused_total", "Requests refused because the queue was full", ["priority"])
CACHE = Counter("embedding_cache_total", "Texts looked up, by where their vector was", ["result"])
