"""How many items there are of each type, and how large the database is, for dashboards."""

from context_common.caller import Caller
from context_knowledge import metrics
from context_knowledge.store import Store


class Totals:
    """Counts items over all namespaces, and bytes. Every replica asks the same database, so that they agree."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def measure(self, who: Caller) -> None:
        """Set the gauges."""
        found = await self._store.run(who, lambda session: session.totals.count(), everywhere=True)
        for kind, items in found.items():
            metrics.ITEMS.labels(kind.value).set(items)
        size = await self._store.run(who, lambda session: session.totals.size(), everywhere=True)
        if size is not None:
            metrics.DATABASE_SIZE.set(size)
