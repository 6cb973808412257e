"""SQL of the change feed and of access counts. Leases, acknowledgements and counts span namespaces."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg import sql

from context_common.postgres import Statements
from context_knowledge.model import Edge, Item, Origin, RelationshipType
from context_knowledge.store.aside import CHANNEL as CHANNEL
from context_knowledge.store.aside import HOLD_SET_ASIDE, NUMBER_AGAIN
from context_knowledge.store.rows import ACCESS_COUNT, COLUMNS, COUNTS, to_item

ALONE = 2  # attempts after which a change is handed out by itself
LOST = "its worker ended without a word"

# Two statements: the first takes hold of the rows, in one order; only then are change ids drawn, so that the ids of
# an item grow in the order in which its changes commit.
HOLD = """
    INSERT INTO changes (namespace, item_id, change_id, changed_at, bulk)
    SELECT %(namespace)s, id, 0, clock_timestamp(), %(bulk)s FROM unnest(%(ids)s::text[]) AS id ORDER BY id COLLATE "C"
    ON CONFLICT (namespace, item_id) DO UPDATE
       SET changed_at = excluded.changed_at, leased_by = '', lease_until = '-infinity', attempts = 0,
           reason = '', set_aside_at = NULL, bulk = changes.bulk AND excluded.bulk
"""
NUMBER = """
    WITH numbered AS (
        UPDATE changes SET change_id = nextval('change_ids')
         WHERE namespace = %(namespace)s AND item_id = ANY(%(ids)s)
        RETURNING item_id, change_id
    )
    SELECT item_id, change_id, pg_notify(%(channel)s, %(namespace)s) FROM numbered
"""
PENDING_OF = """
    SELECT change_id FROM changes
     WHERE namespace = %(namespace)s AND item_id = %(id)s AND set_aside_at IS NULL
"""
HOLD_AGAIN = """
    INSERT INTO changes (namespace, item_id, change_id, changed_at, bulk)
    SELECT namespace, id, 0, clock_timestamp(), true FROM items
     WHERE %(every)s OR namespace = %(namespace)s ORDER BY namespace, id
    ON CONFLICT (namespace, item_id) DO UPDATE
       SET change_id = 0, changed_at = excluded.changed_at, leased_by = '', lease_until = '-infinity', attempts = 0,
           reason = '', set_aside_at = NULL
"""
# Who asks again has survived what it held: where it could do nothing about it, because something else was away, that
# was no attempt. What stays counted is what was reported as failed, and what its worker never came back from.
SURVIVED = """
    UPDATE changes c SET leased_by = '', attempts = greatest(c.attempts - 1, 0)
      FROM (SELECT namespace, item_id FROM changes WHERE leased_by = %(worker)s
             ORDER BY namespace, item_id FOR UPDATE SKIP LOCKED) held
     WHERE c.namespace = held.namespace AND c.item_id = held.item_id
"""
# Oldest first, but what came in bulk after all else, since nobody waits for it. What came back more than once is handed
# out alone, so that a change that kills its worker takes no other with it; what came back too often without a word is
# handed out no more.
LEASE = """
    WITH due AS MATERIALIZED (
        SELECT namespace, item_id, change_id, attempts, bulk FROM changes
         WHERE lease_until <= clock_timestamp() AND set_aside_at IS NULL
         ORDER BY bulk, change_id LIMIT %(most)s FOR UPDATE SKIP LOCKED
    ), lost AS (
        UPDATE changes c SET set_aside_at = clock_timestamp(), leased_by = '', reason = %(lost)s
          FROM due WHERE c.namespace = due.namespace AND c.item_id = due.item_id AND due.attempts >= %(attempts)s
    ), free AS (
        SELECT namespace, item_id, row_number() OVER oldest AS place,
               greatest(attempts, first_value(attempts) OVER oldest) < %(alone)s AS together
          FROM due WHERE attempts < %(attempts)s WINDOW oldest AS (ORDER BY bulk, change_id)
    )
    UPDATE changes c SET leased_by = %(worker)s, lease_until = clock_timestamp() + %(lease)s, attempts = attempts + 1
      FROM free
     WHERE c.namespace = free.namespace AND c.item_id = free.item_id AND (free.place = 1 OR free.together)
    RETURNING c.namespace, c.item_id, c.change_id, c.changed_at, c.attempts
"""
# What changed since, was reported or was taken by another is no longer the worker's.
RENEW = """
    UPDATE changes c SET lease_until = clock_timestamp() + %(lease)s
      FROM (SELECT namespace, item_id FROM changes WHERE leased_by = %(worker)s
             ORDER BY namespace, item_id FOR UPDATE SKIP LOCKED) held
     WHERE c.namespace = held.namespace AND c.item_id = held.item_id
"""
NEXT_EXPIRY = """
    SELECT extract(epoch FROM min(lease_until) - clock_timestamp())::float8 AS seconds
      FROM changes WHERE set_aside_at IS NULL
"""
LEASED_ITEMS = (
    sql.SQL("""
    SELECT {columns}, {counts} FROM items i
      JOIN unnest(%(namespaces)s::text[], %(ids)s::text[]) AS leased (namespace, id) USING (namespace, id)
""")
    .format(columns=COLUMNS, counts=COUNTS)
    .as_bytes()
)
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
    SELECT count(*) FILTER (WHERE set_aside_at IS NULL) AS pending,
           coalesce(clock_timestamp() - min(changed_at) FILTER (WHERE set_aside_at IS NULL), interval '0') AS lag,
           count(*) FILTER (WHERE set_aside_at IS NOT NULL) AS set_aside
      FROM changes
"""
COUNT_ACCESS = """
    INSERT INTO access_counts (namespace, item_id, day, count)
    SELECT i.namespace, i.id, (now() AT TIME ZONE 'UTC')::date, sum(seen.count)
      FROM unnest(%(namespaces)s::text[], %(ids)s::text[], %(counts)s::bigint[]) AS seen (namespace, id, count)
      JOIN items i USING (namespace, id) WHERE seen.count > 0
     GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (namespace, item_id, day) DO UPDATE SET count = access_counts.count + excluded.count
"""
ACCESSES = (
    sql.SQL("""
    SELECT i.namespace, i.id, {count} FROM items i
     WHERE (i.namespace, i.id) IN (SELECT * FROM unnest(%(namespaces)s::text[], %(ids)s::text[]))
""")
    .format(count=ACCESS_COUNT)
    .as_bytes()
)


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
    """How far behind the read models are; `lag` is the age of the oldest pending change.

    What was set aside is not pending.
    """

    pending: int
    lag: timedelta
    set_aside: int


class Changes:
    """The feed. `mark` and a replay of one namespace see the caller's; the rest sees every namespace."""

    def __init__(self, connection: Statements, namespace: str) -> None:
        self._connection, self._namespace = connection, namespace
        self._bulk = False

    def in_bulk(self) -> None:
        """Let what this transaction marks wait for what does not come in bulk."""
        self._bulk = True

    async def mark(self, ids: Collection[str]) -> dict[str, int]:
        """Put items on the feed, or on it again, and wake those who wait; answers the change id of each."""
        params = {"namespace": self._namespace, "ids": sorted(set(ids)), "channel": CHANNEL, "bulk": self._bulk}
        await self._connection.execute(HOLD, params)
        rows = await (await self._connection.execute(NUMBER, params)).fetchall()
        return {row["item_id"]: row["change_id"] for row in rows}

    async def pending(self, item_id: str) -> int:
        """The change of an item that the read models have yet to take; 0 where they have them all."""
        found = await self._connection.execute(PENDING_OF, {"namespace": self._namespace, "id": item_id})
        row = await found.fetchone()
        return row["change_id"] if row else 0

    async def replay(self, *, every_namespace: bool) -> int:
        """Put every item, and what was set aside, on the feed again; answers how many."""
        params = {"namespace": self._namespace, "every": every_namespace, "channel": CHANNEL, "ids": None}
        await self._connection.execute(HOLD_AGAIN, params)
        await self._connection.execute(HOLD_SET_ASIDE, params)
        row = await (await self._connection.execute(NUMBER_AGAIN, params)).fetchone()
        return int(row["replayed"]) if row else 0

    async def lease(self, worker: str, most: int, seconds: float, attempts: int) -> list[Leased]:
        """Take up to `most` changes that nobody holds, oldest first but those in bulk last, for `seconds`.

        What was taken `attempts` times, and neither acknowledged nor failed, is set aside.
        """
        params = {"worker": worker, "most": most, "lease": timedelta(seconds=seconds)}
        params |= {"attempts": attempts, "alone": ALONE, "lost": LOST}
        await self._connection.execute(SURVIVED, params)
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

    async def renew(self, worker: str, seconds: float) -> int:
        """Let a worker keep what it holds for `seconds` from now; answers how many changes those are."""
        params = {"worker": worker, "lease": timedelta(seconds=seconds)}
        return (await self._connection.execute(RENEW, params)).rowcount

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
        return Status(**row) if row else Status(0, timedelta(), 0)

    async def count_access(self, seen: Sequence[tuple[str, str, int]]) -> list[tuple[str, str, int]]:
        """Add to today's access counts of (namespace, item, times); answers what each comes to in 30 days.

        Items that are gone are left out.
        """
        params = {
            "namespaces": [namespace for namespace, _, _ in seen],
            "ids": [item_id for _, item_id, _ in seen],
            "counts": [count for _, _, count in seen],
        }
        await self._connection.execute(COUNT_ACCESS, params)
        rows = await (await self._connection.execute(ACCESSES, params)).fetchall()
        return [(row["namespace"], row["id"], row["access_count_30d"]) for row in rows]
