"""SQL of items, their versions, ids and the audit trail."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from datetime import date
from typing import Any, NamedTuple

from psycopg import sql
from psycopg.types.json import Jsonb

from context_common.caller import Caller
from context_common.postgres import Statements
from context_knowledge import codec, references
from context_knowledge.model import Change, Item, ItemType
from context_knowledge.store.rows import COLUMNS, COUNTS, to_item

SEARCHED = 250_000  # bytes; a search vector holds at most 1 MB, and a word with hyphens stands in it twice

COUNT_UP = """
    INSERT INTO counters (namespace, type, last) VALUES (%(namespace)s, %(type)s, 1)
    ON CONFLICT (namespace, type) DO UPDATE SET last = counters.last + 1
    RETURNING last
"""
COUNT_PAST = """
    INSERT INTO counters (namespace, type, last) VALUES (%(namespace)s, %(type)s, %(number)s)
    ON CONFLICT (namespace, type) DO UPDATE SET last = greatest(counters.last, %(number)s)
    RETURNING last
"""
EVER_USED = "SELECT 1 FROM item_versions WHERE namespace = %(namespace)s AND id = %(id)s LIMIT 1"
GET = (
    sql.SQL("SELECT {columns}, {counts} FROM items i WHERE i.namespace = %(namespace)s AND i.id = ANY(%(ids)s)")
    .format(columns=COLUMNS, counts=COUNTS)
    .as_bytes()
)
LOCK = (
    sql.SQL("""
    SELECT {columns} FROM items i WHERE i.namespace = %(namespace)s AND i.id = ANY(%(ids)s)
    ORDER BY i.id FOR UPDATE
""")
    .format(columns=COLUMNS)
    .as_bytes()
)
FIND_SOURCE = """
    SELECT id FROM visible_items WHERE namespace = %(namespace)s AND type = %(type)s AND source_uri <> ''
      AND md5(source_uri) = md5(%(source_uri)s) AND source_uri = %(source_uri)s
"""
# Earlier releases stored hashes in the case in which they were sent.
FIND_COMMIT = """
    SELECT id FROM items WHERE namespace = %(namespace)s AND type = 'snapshot'
      AND (commit_hash = %(commit_hash)s::text
           OR commit_hash = upper(%(commit_hash)s::text) AND %(commit_hash)s::text ~ '^[0-9a-f]+$')
     ORDER BY commit_hash <> %(commit_hash)s::text LIMIT 1
"""
FIND_DELETED = """
    SELECT id FROM visible_item_versions
     WHERE namespace = %(namespace)s AND change = 'deleted' AND origin_digest(content) = md5(%(origin)s::text)
       AND content ->> 'type' = %(type)s
     ORDER BY changed_at DESC LIMIT 1
"""
# The same of many at once, and which ids an item has or had: what makes one of them be looked at by itself.
FIND_MARKS = """
    SELECT 'id' AS kind, id AS text, '' AS type FROM item_versions
     WHERE namespace = %(namespace)s AND id = ANY(%(ids)s) AND version = 1
    UNION ALL
    SELECT 'source', source_uri, type FROM visible_items
      JOIN unnest(%(types)s::text[], %(sources)s::text[]) AS wanted (of_type, source)
        ON type = wanted.of_type AND md5(source_uri) = md5(wanted.source) AND source_uri = wanted.source
     WHERE namespace = %(namespace)s AND source_uri <> ''
    UNION ALL
    SELECT 'commit', commit_hash, '' FROM items
     WHERE namespace = %(namespace)s AND type = 'snapshot' AND commit_hash = ANY(%(commits)s)
    UNION ALL
    SELECT kind, text, type FROM visible_item_versions
      JOIN unnest(%(kinds)s::text[], %(origins)s::text[], %(origin_types)s::text[]) AS wanted (kind, text, type)
        ON origin_digest(content) = md5(text) AND content ->> 'type' = coalesce(nullif(type, ''), 'snapshot')
     WHERE namespace = %(namespace)s AND change = 'deleted'
"""
EXISTING = "SELECT id FROM items WHERE namespace = %(namespace)s AND id = ANY(%(ids)s)"
# Neither deleted nor erased until the transaction ends, though they may change.
EXISTING_STILL = f"{EXISTING} ORDER BY id FOR KEY SHARE"
SEARCH = sql.SQL("to_tsvector('simple', %(text)s::text) || to_tsvector('english', %(text)s::text)")
# What becomes of an item, its version and its line in the audit trail: together, since a write waits for every trip. A
# first version counts from the day the item is about, where it was written down later than that.
REMEMBERED = sql.SQL("""
    WITH changed AS ({change}), kept AS (
        INSERT INTO item_versions (namespace, id, version, changed_at, changed_by, change, changed_fields,
                                   content, valid_from)
        VALUES (%(namespace)s, %(id)s, %(version)s, clock_timestamp(), %(principal)s, %(change)s, %(fields)s,
                %(content)s, least(coalesce(%(since)s::date::timestamp AT TIME ZONE 'UTC', 'infinity'), now()))
    )
    INSERT INTO audit (namespace, principal, request_id, address, action, item_id, version, detail)
    VALUES (%(namespace)s, %(principal)s, %(request_id)s, %(address)s, %(action)s, %(id)s, %(version)s, %(detail)s)
""")
INSERT = REMEMBERED.format(
    change=sql.SQL("""
    INSERT INTO items (namespace, id, type, title, tags, author, status, source_uri, provenance, pinned,
                       item_date, body, search, review, suspicions, version, created_at, updated_at)
    VALUES (%(namespace)s, %(id)s, %(type)s, %(title)s, %(tags)s, %(author)s, %(status)s, %(source_uri)s,
            %(provenance)s, %(pinned)s, %(item_date)s, %(body)s, {search}, %(review)s, %(suspicions)s, 1,
            clock_timestamp(), clock_timestamp())
""").format(search=SEARCH)
).as_bytes()
UPDATE = REMEMBERED.format(
    change=sql.SQL("""
    UPDATE items SET title = %(title)s, tags = %(tags)s, author = %(author)s, status = %(status)s,
           source_uri = %(source_uri)s, provenance = %(provenance)s, pinned = %(pinned)s, item_date = %(item_date)s,
           body = %(body)s, search = {search}, review = %(review)s, suspicions = %(suspicions)s,
           version = version + 1, updated_at = clock_timestamp()
     WHERE namespace = %(namespace)s AND id = %(id)s
""").format(search=SEARCH)
).as_bytes()
DELETE = REMEMBERED.format(
    change=sql.SQL("DELETE FROM items WHERE namespace = %(namespace)s AND id = %(id)s")
).as_bytes()
# What the audit trail calls a change.
ACTIONS = {
    Change.CREATED: "create",
    Change.UPDATED: "update",
    Change.SUPERSEDED: "supersede",
    Change.RESTORED: "restore",
    Change.REVIEWED: "review",
    Change.DELETED: "delete",
}
SAID = {"status", "superseded_by"}  # fields that `supersede` and `restore` speak of already
FORGET_ACCESS = "DELETE FROM access_counts WHERE namespace = %(namespace)s AND item_id = %(id)s"


class Mark(NamedTuple):
    """Something that no two items have: an id, a source_uri among items of one type, a commit_hash."""

    kind: str  # "id", "source" or "commit"
    text: str
    type: str = ""

    def upper(self) -> "Mark":
        """The same in capitals."""
        return self._replace(text=self.text.upper())


class Items:
    """The items of the caller's namespace."""

    def __init__(self, connection: Statements, who: Caller) -> None:
        self._connection, self._who = connection, who

    async def allocate(self, item_type: ItemType, prefix: str) -> str:
        """The next id of the type. Its counter stays locked until the transaction ends, so ids have no gaps."""
        return references.numbered(prefix, await self._count(COUNT_UP, type=item_type))

    async def claim(self, item_type: ItemType, number: int) -> int:
        """Keep the counter of the type from ever giving out `number`, and lock it until the transaction ends; answers
        the last that it gave out or keeps.
        """
        return await self._count(COUNT_PAST, type=item_type, number=number)

    async def lock_supersession(self) -> None:
        """Be the only one in the namespace to change which ADR supersedes which, until the transaction ends.

        Creating an ADR locks the same counter, so an edge and the item it waits for cannot miss each other. Take it
        before locking any item: everybody who locks several items holds it.
        """
        await self.claim(ItemType.ADR, 0)

    async def ever_used(self, item_id: str) -> bool:
        """Whether an item has, or had, that id."""
        return await self._one(EVER_USED, id=item_id) is not None

    async def get(self, item_id: str) -> Item | None:
        """The item with its counts."""
        return (await self.get_all([item_id])).get(item_id)

    async def get_all(self, ids: Sequence[str]) -> dict[str, Item]:
        """Those of the items that exist, with their counts."""
        rows = await (await self._connection.execute(GET, self._params(ids=list(ids)))).fetchall()
        return {row["id"]: to_item(row) for row in rows}

    async def lock(self, ids: Iterable[str]) -> dict[str, Item]:
        """Those of the items that exist, locked in one order until the transaction ends."""
        wanted = sorted(set(ids))
        if not wanted:
            return {}
        rows = await (await self._connection.execute(LOCK, self._params(ids=wanted))).fetchall()
        return {row["id"]: to_item(row) for row in rows}

    async def find_source(self, item_type: ItemType, source_uri: str) -> str | None:
        """The id of the item of that type that was recorded from `source_uri`."""
        row = await self._one(FIND_SOURCE, type=item_type, source_uri=source_uri)
        return row["id"] if row else None

    async def find_commit(self, commit_hash: str) -> str | None:
        """The id of the snapshot of that commit."""
        row = await self._one(FIND_COMMIT, commit_hash=commit_hash)
        return row["id"] if row else None

    async def find_deleted(self, item_type: ItemType, origin: str) -> str | None:
        """The id of the last item of that type that had this source_uri, or commit_hash, and was deleted."""
        row = await self._one(FIND_DELETED, type=item_type, origin=origin)
        return row["id"] if row else None

    async def standing(self, marks: Collection[Mark]) -> set[Mark]:
        """Those of `marks` that items have, or had and were deleted."""
        origins = [mark for mark in marks if mark.kind != "id"]
        sources = [mark for mark in marks if mark.kind == "source"]
        commits = {mark.text for mark in marks if mark.kind == "commit"}
        params = self._params(
            ids=[mark.text for mark in marks if mark.kind == "id"],
            types=[mark.type for mark in sources],
            sources=[mark.text for mark in sources],
            # In capitals too, as earlier releases stored them where they were sent so.
            commits=list(commits | {commit.upper() for commit in commits}),
            kinds=[mark.kind for mark in origins],
            origins=[mark.text for mark in origins],
            origin_types=[mark.type for mark in origins],
        )
        rows = await (await self._connection.execute(FIND_MARKS, params)).fetchall()
        found = {Mark(**row) for row in rows}
        return {mark for mark in marks if mark in found or (mark.kind == "commit" and mark.upper() in found)}

    async def existing(self, ids: Sequence[str], *, still: bool = False) -> set[str]:
        """Those of `ids` that items have; `still`: none of which goes until the transaction ends."""
        if not ids:
            return set()
        rows = await (
            await self._connection.execute(EXISTING_STILL if still else EXISTING, self._params(ids=list(ids)))
        ).fetchall()
        return {row["id"] for row in rows}

    async def insert(self, items: Sequence[Item]) -> None:
        """Store new items, each with its first version."""
        rows = [
            self._columns(item) | self._version(item, 1, Change.CREATED, sorted(item.values()), item.date)
            for item in items
        ]
        await self._connection.execute_each(INSERT, rows)

    async def update(
        self, item: Item, change: Change, fields: Sequence[str], since: str = "", detail: str = ""
    ) -> None:
        """Store `item`, locked before, as the version after `item.version`; it counts from the day `since`.

        The audit trail says `detail`, or else which fields were updated, unless what it calls the change says so.
        """
        said = detail or ("" if change is not Change.UPDATED and SAID.issuperset(fields) else " ".join(fields))
        version = self._version(item, item.version + 1, change, fields, since, said)
        await self._connection.execute(UPDATE, self._columns(item) | version)

    async def delete(self, item: Item) -> None:
        """Remove an item, locked before; a last version of it stays."""
        await self._connection.execute(DELETE, self._version(item, item.version + 1, Change.DELETED, []))
        await self._connection.execute(FORGET_ACCESS, self._params(id=item.id))

    def _version(
        self, item: Item, version: int, change: Change, fields: Sequence[str], since: str = "", detail: str = ""
    ) -> dict[str, Any]:
        return self._params(
            id=item.id,
            version=version,
            change=change,
            fields=list(fields),
            content=Jsonb(codec.content(item)),
            since=date.fromisoformat(since) if since else None,
            principal=self._who.principal,
            request_id=self._who.request_id,
            address=self._who.address,
            action=ACTIONS[change],
            detail=detail,
        )

    def _columns(self, item: Item) -> dict[str, Any]:
        text = "\n".join([item.id, item.title, *references.texts(item)])
        return self._params(
            id=item.id,
            type=item.type,
            title=item.title,
            tags=list(item.tags),
            author=item.author,
            status=item.status,
            source_uri=item.source_uri,
            provenance=item.provenance,
            pinned=item.pinned,
            item_date=date.fromisoformat(item.date),
            body=Jsonb(codec.dump(item.body)),
            review=item.review,
            suspicions=Jsonb([asdict(suspicion) for suspicion in item.suspicions]),
            text=text.encode()[:SEARCHED].decode(errors="ignore"),
        )

    async def _count(self, query: Any, **params: Any) -> int:
        row = await self._one(query, **params)
        return int(row["last"]) if row else 0

    async def _one(self, query: Any, **params: Any) -> dict[str, Any] | None:
        return await (await self._connection.execute(query, self._params(**params))).fetchone()

    def _params(self, **params: Any) -> dict[str, Any]:
        return {"namespace": self._who.namespace, **params}
