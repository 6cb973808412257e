"""SQL of the change feed and of access counts. Leases, acknowledgements and counts span namespaces."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg import sql

from context_common.postgres import Connection
from context_knowledge.model import Edge, Item, Origin, RelationshipType
from context_knowledge.store.rows import COLUMNS, COUNTS, to_item

CHANNEL = "knowledge_changes"

# Two statements: the first takes hold of the rows, in one order; only then are change ids drawn, so that the ids of
# an item grow in the order in which its changes commit.
HOLD = """
    INSERT INTO changes (namespace, item_id, change_id, changed_at)
    SELECT %(namespace)s, id, 0, clock_timestamp() FROM unnest(%(ids)s::text[]) AS id ORDER BY id COLLATE "C"
    ON CONFLICT (namespace, item_id) DO UPDATE
       SET changed_at = excluded.changed_at, leased_by = '', lease_until = '-infinity', attempts = 0
"""
NUMBER = """
    WITH numbered AS (
        UPDATE changes SET change_id = nextval('change_ids')
         WHERE namespace = %(namespace)s AND item_id = ANY(%(ids)s)
        RETURNING item_id, change_id
    )
    SELECT item_id, change_id, pg_notify(%(channel)s, '') FROM numbered
"""
HOLD_AGAIN = """
    INSERT INTO changes (namespace, item_id, change_id, changed_at)
    SELECT namespace, id, 0, clock_timestamp() FROM items
     WHERE %(every)s OR namespace = %(namespace)s ORDER BY namespace, id
    ON CONFLICT (namespace, item_id) DO UPDATE
       SET change_id = 0, changed_at = excluded.changed_at, leased_by = '', lease_until = '-infinity', attempts = 0
"""
NUMBER_AGAIN = """
    WITH numbered AS (
        UPDATE changes SET change_id = nextval('change_ids') WHERE change_id = 0 RETURNING 1
    )
    SELECT (SELECT count(*) FROM numbered) AS replayed, pg_notify(%(channel)s, '')
"""
LEASE = """
    WITH free AS (
        SELECT namespace, item_id FROM changes WHERE lease_until <= clock_timestamp()
         ORDER BY change_id LIMIT %(most)s FOR UPDATE SKIP LOCKED
    )
    UPDATE changes c SET leased_by = %(worker)s, lease_until = clock_timestamp() + %(lease)s, attempts = attempts + 1
      FROM free WHERE c.namespace = free.namespace AND c.item_id = free.item_id
    RETURNING c.namespace, c.item_id, c.change_id, c.changed_at, c.attempts
"""
NEXT_EXPIRY = """
    SELECT extract(epoch FROM min(lease_until) - clock_timestamp())::float8 AS seconds FROM changes
"""
LEASED_ITEMS = sql.SQL("""
    SELECT {columns}, {counts} FROM items i
      JOIN unnest(%(namespaces)s::text[], %(ids)s::text[]) AS leased (namespace, id) USING (namespace, id)
""").format(columns=COLUMNS, counts=COUNTS)
LEASED_EDGES = """
    SELECT r.namespace, r.from_id, r.to_id, r.type, r.strength, r.origin FROM relationships r
      JOIN unnest(%(namespaces)s::text[], %(ids)s::text[]) AS leased (namespace, id)
        ON r.namespace = leased.namespace AND r.from_id = leased.id
     ORDER BY r.namespace, r.from_id, r.to_id, r.type
"""
ACKNOWLEDGE = """
    WITH done AS (
        SELECT c.namespace, c.item_id FROM changes c
          JOIN unnest(%(namespaces)s::text[], %(ids)s::text[], %(changes)s::bigint[])
               AS done (namespace, item_id, change_id)
            ON c.namespace = done.namespace AND c.item_id = done.item_id AND c.change_id = done.change_id
         ORDER BY c.namespace, c.item_id FOR UPDATE OF c
    )
    DELETE FROM changes c USING done WHERE c.namespace = done.namespace AND c.item_id = done.item_id
"""
STATUS = """
    SELECT count(*) AS pending, coalesce(clock_timestamp() - min(changed_at), interval '0') AS lag FROM changes
"""
COUNT_ACCESS = """
    INSERT INTO access_counts (namespace, item_id, day, count)
    SELECT i.namespace, i.id, (now() AT TIME ZONE 'UTC')::date, sum(seen.count)
      FROM unnest(%(namespaces)s::text[], %(ids)s::text[], %(counts)s::bigint[]) AS seen (namespace, id, count)
      JOIN items i USING (namespace, id)
     GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (namespace, item_id, day) DO UPDATE SET count = access_counts.count + excluded.count
"""


@dataclass(frozen=True, slots=True)
class Leased:
    """A change that a worker holds: the item as it is now, or None where it was deleted, and its outgoing edges."""

    namespace: str
    item_id: str
    change_id: int
    changed_at: datetime
    attempts: int
    item: Item | None
    edges: tuple[Edge, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """How far behind the read models are; `lag` is the age of the oldest pending change."""

    pending: int
    lag: timedelta


class Changes:
    """The feed. `mark` and a replay of one namespace see the caller's; the rest sees every namespace."""

    def __init__(self, connection: Connection, namespace: str) -> None:
        self._connection, self._namespace = connection, namespace

    async def mark(self, ids: Collection[str]) -> dict[str, int]:
        """Put items on the feed, or on it again, and wake those who wait; answers the change id of each."""
        params = {"namespace": self._namespace, "ids": sorted(set(ids)), "channel": CHANNEL}
        await self._connection.execute(HOLD, params)
        rows = await (await self._connection.execute(NUMBER, params)).fetchall()
        return {row["item_id"]: row["change_id"] for row in rows}

    async def replay(self, *, every_namespace: bool) -> int:
        """Put every item on the feed again; answers how many."""
        params = {"namespace": self._namespace, "every": every_namespace, "channel": CHANNEL}
        await self._connection.execute(HOLD_AGAIN, params)
        row = await (await self._connection.execute(NUMBER_AGAIN, params)).fetchone()
        return int(row["replayed"]) if row else 0

    async def lease(self, worker: str, most: int, seconds: float) -> list[Leased]:
        """Take up to `most` changes that nobody holds, oldest first, for `seconds`."""
        params = {"worker": worker, "most": most, "lease": timedelta(seconds=seconds)}
        rows = await (await self._connection.execute(LEASE, params)).fetchall()
        if not rows:
            return []
        keys = {"namespaces": [row["namespace"] for row in rows], "ids": [row["item_id"] for row in rows]}
        found = await (await self._connection.execute(LEASED_ITEMS, keys)).fetchall()
        items = {(row["namespace"], row["id"]): to_item(row) for row in found}
        edges: dict[tuple[str, str], list[Edge]] = {}
        for row in await (await self._connection.execute(LEASED_EDGES, keys)).fetchall():
            kind, origin = RelationshipType(row["type"]), Origin(row["origin"])
            edge = Edge(row["from_id"], row["to_id"], kind, row["strength"], origin)
            edges.setdefault((row["namespace"], row["from_id"]), []).append(edge)
        leased = [
            Leased(
                **row,
                item=items.get((row["namespace"], row["item_id"])),
                edges=tuple(edges.get((row["namespace"], row["item_id"]), ())),
            )
            for row in rows
        ]
        return sorted(leased, key=lambda change: change.change_id)

    async def next_expiry(self) -> float | None:
        """Seconds until the first lease ends; None where nothing is pending."""
        row = await (await self._connection.execute(NEXT_EXPIRY)).fetchone()
        return row["seconds"] if row else None

    async def acknowledge(self, done: Sequence[tuple[str, str, int]]) -> int:
        """Take (namespace, item, change) off the feed unless the item changed since; answers how many went."""
        params = {
            "namespaces": [namespace for namespace, _, _ in done],
            "ids": [item_id for _, item_id, _ in done],
            "changes": [change_id for _, _, change_id in done],
        }
        return (await self._connection.execute(ACKNOWLEDGE, params)).rowcount

    async def status(self) -> Status:
        """How much is pending, over all namespaces."""
        row = await (await self._connection.execute(STATUS)).fetchone()
        return Status(row["pending"], row["lag"]) if row else Status(0, timedelta())

    async def count_access(self, seen: Sequence[tuple[str, str, int]]) -> None:
        """Add to today's access counts of (namespace, item, times); items that are gone are left out."""
        params = {
            "namespaces": [namespace for namespace, _, _ in seen],
            "ids": [item_id for _, item_id, _ in seen],
            "counts": [count for _, _, count in seen],
        }
        await self._connection.execute(COUNT_ACCESS, params)
