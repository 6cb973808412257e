"""How old the last good backup is, for alerts."""

from context_common.caller import Caller
from context_knowledge import metrics
from context_knowledge.store import Store


class Backups:
    """Shows what those who back up noted in the database."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def measure(self, who: Caller) -> None:
        """Set the gauges; there are none before the first backup."""
        for backup in await self._store.run(who, lambda session: session.backups.newest()):
            metrics.BACKUP_AT.labels(backup.kind).set(backup.finished_at.timestamp())
            metrics.BACKUP_SIZE.labels(backup.kind).set(backup.bytes)
            metrics.BACKUP_TOOK.labels(backup.kind).set(backup.seconds)
