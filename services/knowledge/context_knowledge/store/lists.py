"""SQL of lists: the filters, and one page of the items that pass them."""

from datetime import date
from typing import Any, LiteralString

from psycopg import sql

from context_common.postgres import Statements
from context_knowledge.model import NOT_IN_FORCE, Filter, Item, Position
from context_knowledge.store.rows import COLUMNS, COUNTS, to_item

# Each filter, and the condition that it adds when it is set.
CONDITIONS: dict[str, LiteralString] = {
    "type": "i.type = %(type)s",
    "statuses": "i.status = ANY(%(statuses)s)",
    "tags": "folded(i.tags) @> folded(%(tags)s::text[])",
    "author": "i.author = %(author)s",
    "from_date": "i.item_date >= %(from_date)s",
    "to_date": "i.item_date <= %(to_date)s",
    # By stem or as written, so that neither endings nor stop words hide an item.
    "text": "i.search @@ (plainto_tsquery('simple', %(text)s) || plainto_tsquery('english', %(text)s))",
    "severity": "i.severity = %(severity)s",
    "pattern": "i.pattern = %(pattern)s",
    "app_name": "i.app_name = %(app_name)s",
    "in_force": "i.status <> ALL(%(not_in_force)s)",
}
AFTER: LiteralString = "(i.item_date, length(i.id), i.id) < (%(after_date)s, length(%(after_id)s), %(after_id)s)"
PAGE = sql.SQL(
    "SELECT {columns}, {counts} FROM visible_items i WHERE i.namespace = %(namespace)s"
    " AND i.review NOT IN ('held', 'rejected') AND {conditions}"
    " ORDER BY i.item_date DESC, length(i.id) DESC, i.id DESC LIMIT %(limit)s"
)


HELD = sql.SQL("""
    SELECT {columns}, {counts} FROM items i WHERE i.namespace = %(namespace)s AND i.review = 'held'
       AND (i.updated_at, i.id) > (%(at)s::timestamptz, %(id)s) ORDER BY i.updated_at, i.id LIMIT %(limit)s
""").format(columns=COLUMNS, counts=COUNTS)


class Lists:
    """Lists of the items of one namespace."""

    def __init__(self, connection: Statements, namespace: str) -> None:
        self._connection, self._namespace = connection, namespace

    async def page(self, wanted: Filter, after: Position | None, limit: int) -> list[Item]:
        """The `limit` newest items that pass the filter and stand after a position."""
        values = wanted.values()
        conditions: list[LiteralString] = [CONDITIONS[name] for name, value in values.items() if value]
        params: dict[str, Any] = {
            **values,
            "namespace": self._namespace,
            "limit": limit,
            "not_in_force": list(NOT_IN_FORCE),
        }
        if after:
            conditions.append(AFTER)
            params |= {"after_date": date.fromisoformat(after.date), "after_id": after.id}
        query = PAGE.format(
            columns=COLUMNS,
            counts=COUNTS,
            conditions=sql.SQL(" AND ").join(map(sql.SQL, conditions)) if conditions else sql.SQL("true"),
        )
        rows = await (await self._connection.execute(query, params)).fetchall()
        return [to_item(row) for row in rows]

    async def held(self, after: tuple[str, str], limit: int) -> list[Item]:
        """The first `limit` items that wait for a verdict, longest unchanged first, after a time and id."""
        params = {"namespace": self._namespace, "at": after[0], "id": after[1], "limit": limit}
        rows = await (await self._connection.execute(HELD, params)).fetchall()
        return [to_item(row) for row in rows]
