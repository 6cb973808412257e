"""SQL that counts items by type over all namespaces, and the database's bytes, at a cost that hardly grows."""

from context_common.postgres import Statements
from context_knowledge.model import ItemType

FEW = 50_000  # items up to which they are counted one by one
SIZE = "SELECT reltuples::bigint AS items FROM pg_class WHERE oid = 'items'::regclass"
EXACT = "SELECT type, count(*) AS items FROM items GROUP BY type"
# Of more the planner's estimate has to do: from the statistics, and as many rows as the file now has room for.
PLAIN = "SET LOCAL max_parallel_workers_per_gather = 0"  # else the estimates are those of one of several workers
ESTIMATE = "EXPLAIN (FORMAT JSON) " + " UNION ALL ".join(
    f"SELECT FROM items WHERE type = '{kind.value}'" for kind in ItemType
)

# Where connecting was taken from everybody but the logins, our role may not ask.
BYTES = """
    SELECT CASE WHEN has_database_privilege(current_database(), 'CONNECT')
                THEN pg_database_size(current_database()) END AS bytes
"""


class Totals:
    """How many items there are. For the role that spans namespaces."""

    def __init__(self, connection: Statements) -> None:
        self._connection = connection

    async def count(self) -> dict[ItemType, int]:
        """Items by type, held and rejected ones among them; about so where there are many."""
        row = await (await self._connection.execute(SIZE)).fetchone() or {"items": -1}
        if row["items"] > FEW:
            await self._connection.execute(PLAIN)
            plan = await (await self._connection.execute(ESTIMATE)).fetchone() or {}
            parts = plan["QUERY PLAN"][0]["Plan"]["Plans"]
            return {kind: int(part["Plan Rows"]) for kind, part in zip(ItemType, parts, strict=True)}
        rows = await (await self._connection.execute(EXACT)).fetchall()
        found = {ItemType(row["type"]): int(row["items"]) for row in rows}
        return {kind: found.get(kind, 0) for kind in ItemType}

    async def size(self) -> int | None:
        """Bytes of the whole database; None where our role may not know."""
        row = await (await self._connection.execute(BYTES)).fetchone()
        return row["bytes"] if row else None
