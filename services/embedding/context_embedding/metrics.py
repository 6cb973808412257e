"""What the embedding service counts."""

from prometheus_client import Counter, Gauge, Histogram

QUEUE_DEPTH = Gauge("embedding_queue_depth", "Texts that wait to be embedded")
BATCH_TOKENS = Histogram(
    "embedding_batch_tokens", "Tokens of one batch", buckets=(8, 32, 128, 256, 512, 1024, 2048, 4096)
)
GENERATION_SECONDS = Histogram(
    "embedding_generation_duration_seconds",
    "Time to run the model over one batch",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
)
CACHE = Counter("embedding_cache_total", "Texts looked up in the cache", ["result"])
