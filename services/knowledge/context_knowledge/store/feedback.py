"""SQL of feedback: what callers said of their answers, and what of it counts for the items named."""

from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Jsonb

from context_common.caller import Caller
from context_common.postgres import Row, Statements
from context_knowledge.model import Feedback, ItemType, RatedItem

COLUMNS: LiteralString = (
    "id, principal, query_id, query_text, overall_rating, items_helpful, items_not_helpful, items_used,"
    " missing_context, agent_id, session_id, metadata, created_at, updated_at"
)
FIND_EARLIER = """
    SELECT id FROM feedback WHERE namespace = %(namespace)s AND query_id = %(query_id)s AND principal = %(principal)s
    FOR UPDATE
"""
# What takes the place of an earlier word keeps its place in lists.
KEEP = f"""
    INSERT INTO feedback (namespace, id, principal, query_id, query_text, overall_rating, items_helpful,
                          items_not_helpful, items_used, missing_context, agent_id, session_id, metadata)
    VALUES (%(namespace)s, %(id)s, %(principal)s, %(query_id)s, %(query_text)s, %(overall_rating)s, %(items_helpful)s,
            %(items_not_helpful)s, %(items_used)s, %(missing_context)s, %(agent_id)s, %(session_id)s, %(metadata)s)
    ON CONFLICT (namespace, id) DO UPDATE
       SET query_text = excluded.query_text, overall_rating = excluded.overall_rating,
           items_helpful = excluded.items_helpful, items_not_helpful = excluded.items_not_helpful,
           items_used = excluded.items_used, missing_context = excluded.missing_context,
           agent_id = excluded.agent_id, session_id = excluded.session_id, metadata = excluded.metadata,
           updated_at = statement_timestamp()
    RETURNING {COLUMNS}
"""  # noqa: S608 - put together from constants
TAKE_BACK = """
    DELETE FROM feedback_votes WHERE namespace = %(namespace)s AND feedback_id = %(id)s RETURNING item_id, helpful
"""
VOTE = """
    INSERT INTO feedback_votes (namespace, item_id, feedback_id, principal, day, helpful)
    SELECT %(namespace)s, item_id, %(id)s, %(principal)s, (now() AT TIME ZONE 'UTC')::date, helpful
      FROM unnest(%(items)s::text[], %(helpful)s::boolean[]) AS vote (item_id, helpful)
"""
FORGET = "DELETE FROM feedback_votes WHERE namespace = %(namespace)s AND item_id = %(id)s"
GET = f"SELECT {COLUMNS} FROM feedback WHERE namespace = %(namespace)s AND id = %(id)s"  # noqa: S608 - as above
# Each filter, and the condition that it adds when it is set.
CONDITIONS: dict[str, LiteralString] = {
    "query_id": "query_id = %(query_id)s",
    "item_id": "(items_helpful || items_not_helpful || items_used) @> ARRAY[%(item_id)s::text]",
    "before": "(created_at, id) < (%(before)s::timestamptz, %(before_id)s::uuid)",
}
PAGE = sql.SQL(
    f"SELECT {COLUMNS} FROM visible_feedback WHERE namespace = %(namespace)s AND {{conditions}}"  # noqa: S608 - as above
    " ORDER BY created_at DESC, id DESC LIMIT %(limit)s"
)
SINCE: LiteralString = "created_at > now() - make_interval(days => %(days)s)"
TOTALS = f"""
    SELECT count(*) AS total, coalesce(avg(overall_rating), 0)::float8 AS rating FROM feedback
     WHERE namespace = %(namespace)s AND {SINCE}
"""  # noqa: S608 - as above
# Each caller counts once a day, as for the rank.
RATED = """
    SELECT i.id, i.type, i.title, count(*) FILTER (WHERE vote.helpful) AS helpful,
           count(*) FILTER (WHERE NOT vote.helpful) AS not_helpful
      FROM (SELECT DISTINCT namespace, item_id, principal, day, helpful FROM feedback_votes
             WHERE namespace = %(namespace)s AND day > (now() AT TIME ZONE 'UTC')::date - %(days)s::integer) AS vote
      JOIN visible_items i ON i.namespace = vote.namespace AND i.id = vote.item_id
     WHERE i.review NOT IN ('held', 'rejected')
     GROUP BY i.id, i.type, i.title HAVING bool_or(vote.helpful)
     ORDER BY count(*) FILTER (WHERE vote.helpful) - count(*) FILTER (WHERE NOT vote.helpful) DESC, i.id LIMIT %(limit)s
"""
# Newest first, each with its words as Postgres takes them, without endings and such as say nothing.
MISSING = f"""
    SELECT missing_context AS text, tsvector_to_array(to_tsvector('english', missing_context)) AS words FROM feedback
     WHERE namespace = %(namespace)s AND {SINCE} AND missing_context <> ''
     ORDER BY created_at DESC, id DESC LIMIT %(limit)s
"""  # noqa: S608 - as above


class Feedbacks:
    """What was said in the caller's namespace."""

    def __init__(self, connection: Statements, who: Caller) -> None:
        self._connection, self._who = connection, who

    async def earlier(self, query_id: UUID) -> UUID | None:
        """The id of what the caller said of that query before, locked until the transaction ends."""
        row = await self._one(FIND_EARLIER, query_id=query_id, principal=self._who.principal)
        return row["id"] if row else None

    async def keep(self, said: Feedback) -> tuple[Feedback, set[str]]:
        """Store what the caller said, in the place of what stands under its id; and the items whose rank it moves."""
        params = {
            "id": said.id,
            "principal": self._who.principal,
            "query_id": said.query_id,
            "query_text": said.query_text,
            "overall_rating": said.overall_rating or None,
            **{name: list(ids) for name, ids in said.lists.items()},
            "missing_context": said.missing_context,
            "agent_id": said.agent_id,
            "session_id": said.session_id,
            "metadata": Jsonb(said.metadata),
        }
        (kept,) = await (await self._connection.execute(KEEP, self._params(**params))).fetchall()
        back = await self._connection.execute(TAKE_BACK, self._params(id=said.id))
        before = {(row["item_id"], row["helpful"]) for row in await back.fetchall()}
        votes = dict.fromkeys(said.items_helpful, True) | dict.fromkeys(said.items_not_helpful, False)
        await self._connection.execute(
            VOTE,
            self._params(id=said.id, principal=self._who.principal, items=list(votes), helpful=list(votes.values())),
        )
        return _feedback(kept), {item for item, _ in before ^ set(votes.items())}

    async def forget(self, item_id: str) -> None:
        """Let go of what counts for an item that is no more."""
        await self._connection.execute(FORGET, self._params(id=item_id))

    async def get(self, feedback_id: UUID) -> Feedback | None:
        """What was said under that id."""
        row = await self._one(GET, id=feedback_id)
        return _feedback(row) if row else None

    async def page(
        self, query_id: UUID | None, item_id: str, before: tuple[datetime, UUID] | None, limit: int
    ) -> list[Feedback]:
        """The `limit` newest that pass the filters and stand before a time and id."""
        values: dict[str, Any] = {"query_id": query_id, "item_id": item_id, "before": before and before[0]}
        conditions = [CONDITIONS[name] for name, value in values.items() if value]
        joined = sql.SQL(" AND ").join(map(sql.SQL, conditions)) if conditions else sql.SQL("true")
        params = self._params(**values, before_id=before and before[1], limit=limit)
        rows = await (await self._connection.execute(PAGE.format(conditions=joined), params)).fetchall()
        return [_feedback(row) for row in rows]

    async def totals(self, days: int) -> tuple[int, float]:
        """How much was said in so many days, and the mean rating of it; 0 where nothing was rated."""
        row = await self._one(TOTALS, days=days)
        return (row["total"], row["rating"]) if row else (0, 0.0)

    async def rated(self, days: int, limit: int) -> list[RatedItem]:
        """The items that helped most in so many days."""
        rows = await (await self._connection.execute(RATED, self._params(days=days, limit=limit))).fetchall()
        return [RatedItem(**{**row, "type": ItemType(row["type"])}) for row in rows]

    async def missing(self, days: int, limit: int) -> list[tuple[str, frozenset[str]]]:
        """The newest of what answers should have had, in so many days, each with its words."""
        rows = await (await self._connection.execute(MISSING, self._params(days=days, limit=limit))).fetchall()
        return [(row["text"], frozenset(row["words"])) for row in rows]

    async def _one(self, query: Any, **params: Any) -> Row | None:
        return await (await self._connection.execute(query, self._params(**params))).fetchone()

    def _params(self, **params: Any) -> dict[str, Any]:
        return {"namespace": self._who.namespace, **params}


def _feedback(row: Row) -> Feedback:
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}
    return Feedback(**values | {"overall_rating": row["overall_rating"] or 0})
