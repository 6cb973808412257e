"""SQL of decisions whose chain an erasure has cut. Who erases notes them; the service takes them off."""

from collections.abc import Collection
from typing import NamedTuple

from context_common.postgres import Statements

LEFT = """
    SELECT namespace, principal, array_agg(item_id ORDER BY item_id) AS ids FROM cut_chains
     GROUP BY namespace, principal ORDER BY namespace, principal LIMIT %(most)s
"""
MENDED = "DELETE FROM cut_chains WHERE namespace = %(namespace)s AND item_id = ANY(%(ids)s)"


class Cut(NamedTuple):
    """Decisions of one namespace that somebody's erasure concerns."""

    namespace: str
    principal: str
    ids: list[str]


class Chains:
    """Cut chains. `left` sees every namespace, the rest the caller's."""

    def __init__(self, connection: Statements, namespace: str) -> None:
        self._connection, self._namespace = connection, namespace

    async def left(self, most: int) -> list[Cut]:
        """What is to be mended."""
        return [Cut(**row) for row in await (await self._connection.execute(LEFT, {"most": most})).fetchall()]

    async def mended(self, ids: Collection[str]) -> None:
        """Take decisions off."""
        await self._connection.execute(MENDED, {"namespace": self._namespace, "ids": list(ids)})
