"""SQL of changes that read models could not take: given back for a while, then set aside until somebody asks."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from context_common.postgres import Statements

CHANNEL = "knowledge_changes"
BACK_OFF = timedelta(seconds=1)  # after the first failure, and after each one more
GROWS = 4.0  # times as long
LONGEST_BACK_OFF = timedelta(minutes=5)

# Deletions that were set aside have no item to be found by.
HOLD_SET_ASIDE = """
    UPDATE changes SET change_id = 0, changed_at = clock_timestamp(), leased_by = '', lease_until = '-infinity',
           attempts = 0, reason = '', set_aside_at = NULL
     WHERE set_aside_at IS NOT NULL AND (%(every)s OR namespace = %(namespace)s)
       AND (%(ids)s::text[] IS NULL OR item_id = ANY(%(ids)s))
"""
NUMBER_AGAIN = """
    WITH numbered AS (
        UPDATE changes SET change_id = nextval('change_ids') WHERE change_id = 0 RETURNING 1
    )
    SELECT (SELECT count(*) FROM numbered) AS replayed, pg_notify(%(channel)s, '')
"""
# What is held no longer was reported before, or belongs to somebody else by now.
FAIL = """
    WITH given AS (
        SELECT c.namespace, c.item_id, given.reason FROM changes c
          JOIN unnest(%(namespaces)s::text[], %(ids)s::text[], %(changes)s::bigint[], %(reasons)s::text[])
               AS given (namespace, item_id, change_id, reason)
            ON c.namespace = given.namespace AND c.item_id = given.item_id AND c.change_id = given.change_id
         WHERE c.leased_by <> '' ORDER BY c.namespace, c.item_id FOR UPDATE OF c
    ), failed AS (
        UPDATE changes c SET leased_by = '', reason = given.reason,
               lease_until = clock_timestamp()
                   + least(%(back_off)s::interval * %(grows)s ^ greatest(c.attempts - 1, 0), %(longest)s),
               set_aside_at = CASE WHEN c.attempts >= %(attempts)s THEN clock_timestamp() END
          FROM given WHERE c.namespace = given.namespace AND c.item_id = given.item_id
        RETURNING c.item_id, c.set_aside_at IS NOT NULL AS set_aside
    )
    SELECT item_id, set_aside, pg_notify(%(channel)s, '') FROM failed
"""
SET_ASIDE = """
    SELECT item_id, attempts, reason, set_aside_at AS at FROM changes
     WHERE namespace = %(namespace)s AND set_aside_at IS NOT NULL AND item_id > %(after)s
     ORDER BY item_id LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Failed:
    """A change that a worker could not index, and why."""

    namespace: str
    item_id: str
    change_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class SetAside:
    """A change that nobody is handed any more, and why the last attempt failed."""

    item_id: str
    attempts: int
    reason: str
    at: datetime


class Aside:
    """Changes that failed. `fail` sees every namespace, the rest the caller's."""

    def __init__(self, connection: Statements, namespace: str) -> None:
        self._connection, self._namespace = connection, namespace

    async def fail(self, failed: Sequence[Failed], attempts: int) -> list[str]:
        """Give changes back until their back-off is over; answers the items set aside, after so many `attempts`."""
        params = {
            "namespaces": [failure.namespace for failure in failed],
            "ids": [failure.item_id for failure in failed],
            "changes": [failure.change_id for failure in failed],
            "reasons": [failure.reason for failure in failed],
            "attempts": attempts,
            "back_off": BACK_OFF,
            "grows": GROWS,
            "longest": LONGEST_BACK_OFF,
            "channel": CHANNEL,
        }
        rows = await (await self._connection.execute(FAIL, params)).fetchall()
        return [row["item_id"] for row in rows if row["set_aside"]]

    async def page(self, after: str, limit: int) -> list[SetAside]:
        """The first `limit` changes of the caller's namespace that were set aside, by item, after an item."""
        params = {"namespace": self._namespace, "after": after, "limit": limit}
        rows = await (await self._connection.execute(SET_ASIDE, params)).fetchall()
        return [SetAside(**row) for row in rows]

    async def retry(self, ids: Collection[str] | None) -> int:
        """Put those of `ids` that were set aside, or all of the namespace, on the feed again; answers how many."""
        params = {
            "namespace": self._namespace,
            "every": False,
            "ids": None if ids is None else list(ids),
            "channel": CHANNEL,
        }
        await self._connection.execute(HOLD_SET_ASIDE, params)
        row = await (await self._connection.execute(NUMBER_AGAIN, params)).fetchone()
        return int(row["replayed"]) if row else 0
