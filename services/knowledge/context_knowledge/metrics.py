"""What knowledge counts, beside the calls that every service counts."""

from prometheus_client import Counter, Gauge

ITEMS = Gauge("context_items", "Items there are, over all namespaces", ["type"])
DATABASE_SIZE = Gauge("context_db_size_bytes", "Size of the database, indexes and all schemas included")
BACKUP_AT = Gauge("context_backup_last_success_timestamp_seconds", "When the last good backup was finished", ["kind"])
BACKUP_SIZE = Gauge("context_backup_last_size_bytes", "Size of the last good backup", ["kind"])
BACKUP_TOOK = Gauge("context_backup_last_duration_seconds", "Time that the last good backup took", ["kind"])
ITEMS_CREATED = Counter("items_created_total", "Items created", ["type"])
ITEMS_CHANGED = Counter("items_changed_total", "Versions written of items that stood already", ["type", "change"])
RELATIONSHIPS_CREATED = Counter("relationships_created_total", "Edges drawn between items that exist")
REDACTIONS = Counter("redactions_total", "Secrets taken out of what callers sent", ["kind"])
SUSPICIONS = Counter("suspicions_total", "Rules that text to be stored set off", ["rule", "provenance"])
FEEDBACK = Counter("feedback_total", "Words of callers on the answers they got", ["rating"])
REVIEWS = Counter("reviews_total", "Verdicts on text", ["verdict"])
FEED_PENDING = Gauge("feed_pending", "Changes that read models have not acknowledged, over all namespaces")
FEED_LAG = Gauge("feed_lag_seconds", "Age of the oldest pending change")
FEED_LEASED = Counter("feed_leased_total", "Changes handed to workers")
FEED_REDELIVERED = Counter(
    "feed_redelivered_total", "Changes handed out again after a lease ended without acknowledgement"
)
FEED_FAILED = Counter("feed_failed_total", "Changes that a worker gave back because it could not index them")
FEED_SET_ASIDE = Gauge("feed_set_aside", "Changes given up on until somebody calls for them, over all namespaces")
