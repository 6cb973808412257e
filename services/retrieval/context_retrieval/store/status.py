"""The SQL that says how far the index is."""

from collections.abc import Sequence
from dataclasses import dataclass

from context_common.postgres import Pool, Reach, fetch

REACHED = """
SELECT coalesce(d.change_id >= point.change_id, false) AS reached
FROM unnest(%(ids)s::text[], %(changes)s::bigint[]) WITH ORDINALITY AS point (item_id, change_id, place)
LEFT JOIN documents d ON d.namespace = %(namespace)s AND d.item_id = point.item_id
ORDER BY point.place"""
COUNTS = """
SELECT
    (SELECT coalesce(sum(documents), 0) FROM namespace_stats WHERE namespace = %(namespace)s)::bigint AS items,
    (SELECT coalesce(sum(chunks), 0) FROM namespace_stats WHERE namespace = %(namespace)s)::bigint AS chunks,
    (SELECT count(*) FROM chunks
     WHERE namespace = %(namespace)s AND (embedding IS NULL OR model_id <> %(model)s)) AS unembedded"""


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
