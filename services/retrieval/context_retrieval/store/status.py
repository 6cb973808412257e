"""The SQL that says how far the index is."""

# ruff: noqa: S608 - statements are put together from constants; every value is a parameter

from collections.abc import Sequence
from dataclasses import dataclass

from context_common.postgres import Pool, Reach, fetch
from context_retrieval.store.index import INCOMPLETE
from context_retrieval.store.pool import EVERYWHERE

REACHED = """
SELECT coalesce(d.change_id >= point.change_id, false) AS reached
FROM unnest(%(ids)s::text[], %(changes)s::bigint[]) WITH ORDINALITY AS point (item_id, change_id, place)
LEFT JOIN documents d ON d.namespace = %(namespace)s AND d.item_id = point.item_id
ORDER BY point.place"""
LACKS = "(c.embedding IS NULL OR c.model_id <> %(model)s)"  # a chunk a vector of the model in use
COUNTS = f"""
SELECT
    (SELECT coalesce(sum(documents), 0) FROM namespace_stats WHERE namespace = %(namespace)s)::bigint AS items,
    (SELECT coalesce(sum(chunks), 0) FROM namespace_stats WHERE namespace = %(namespace)s)::bigint AS chunks,
    (SELECT count(*) FROM chunks c WHERE c.namespace = %(namespace)s AND {LACKS}) AS unembedded"""
LACKING = f"SELECT DISTINCT namespace FROM documents d WHERE {INCOMPLETE}"
UNEMBEDDED = f"""
SELECT count(*) AS unembedded FROM documents d JOIN chunks c USING (namespace, item_id)
WHERE {INCOMPLETE} AND {LACKS}"""


@dataclass(frozen=True, slots=True)
class Counts:
    """What a namespace's index amounts to; `unembedded` chunks are found by words only."""

    items: int
    chunks: int
    unembedded: int


class Status:
    """Says how far the index is."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def reached(self, namespace: str, points: Sequence[tuple[str, int]]) -> list[bool]:
        """Whether the index has each item at least as of the given change."""
        wanted = {
            "namespace": namespace,
            "ids": [item_id for item_id, _ in points],
            "changes": [change_id for _, change_id in points],
        }
        rows = await fetch(self._pool, Reach((namespace,)), REACHED, wanted, "status.reached")
        return [row["reached"] for row in rows]

    async def counts(self, namespace: str, model_id: str) -> Counts:
        """How much is indexed in `namespace`."""
        wanted = {"namespace": namespace, "model": model_id}
        (row,) = await fetch(self._pool, Reach((namespace,)), COUNTS, wanted, "status.counts")
        return Counts(row["items"], row["chunks"], row["unembedded"])

    async def unembedded(self, model_id: str) -> int:
        """How many chunks of all namespaces lack a vector of `model_id`; costs as much as there are."""
        wanted = {"model": model_id}
        lacking = await fetch(self._pool, EVERYWHERE, LACKING, wanted, "status.lacking")
        reach = Reach(tuple(row["namespace"] for row in lacking))
        (row,) = await fetch(self._pool, reach, UNEMBEDDED, wanted, "status.unembedded")
        return int(row["unembedded"])
