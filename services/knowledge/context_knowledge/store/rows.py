"""Rows as items, and the columns that every query of items reads."""

from typing import Any

from psycopg import sql

from context_common.postgres import Row
from context_knowledge.codec import load
from context_knowledge.model import Item, ItemType, Review, Suspicion

COLUMNS = sql.SQL(
    "i.namespace, i.id, i.type, i.title, i.tags, i.author, i.status, i.source_uri, i.provenance, i.pinned,"
    " i.body, i.version, i.created_at, i.updated_at, i.review, i.suspicions"
)
# How often an item was handed out in the last 30 days, and how many items point at it.
ACCESS_COUNT = sql.SQL("""
    (SELECT coalesce(sum(a.count), 0)::bigint FROM access_counts a
      WHERE a.namespace = i.namespace AND a.item_id = i.id
        AND a.day > (now() AT TIME ZONE 'UTC')::date - 30) AS access_count_30d""")
# What is said of an item: the difference between those it helped and those it did not, as a share of both and of
# three more who said nothing. Each caller counts once a day in each sense, and only the newest twenty do.
FEEDBACK = sql.SQL("""
    (SELECT coalesce((count(*) FILTER (WHERE helpful) - count(*) FILTER (WHERE NOT helpful)) / (count(*) + 3.0), 0)
      FROM (SELECT DISTINCT v.day, v.principal, v.helpful FROM feedback_votes v
             WHERE v.namespace = i.namespace AND v.item_id = i.id
             ORDER BY v.day DESC, v.principal, v.helpful LIMIT 20) AS newest)::float8 AS feedback""")
COUNTS = sql.SQL("""{accesses}, {feedback},
    (SELECT count(*) FROM relationships r
       JOIN items source ON source.namespace = r.namespace AND source.id = r.from_id
      WHERE r.namespace = i.namespace AND r.to_id = i.id) AS reference_count
""").format(accesses=ACCESS_COUNT, feedback=FEEDBACK)


def to_item(row: Row) -> Item:
    """The item in a row of COLUMNS, with or without COUNTS."""
    kind = ItemType(row["type"])
    plain: dict[str, Any] = {name: row[name] for name in PLAIN if name in row}
    return Item(
        type=kind,
        tags=tuple(row["tags"]),
        body=load(kind, row["body"]),
        review=Review(row["review"]),
        suspicions=tuple(Suspicion(**suspicion) for suspicion in row["suspicions"]),
        **plain,
    )


PLAIN = (
    "namespace",
    "id",
    "title",
    "author",
    "status",
    "source_uri",
    "provenance",
    "pinned",
    "version",
    "created_at",
    "updated_at",
    "access_count_30d",
    "reference_count",
    "feedback",
)
