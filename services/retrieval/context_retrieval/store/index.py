"""The SQL that writes the read model: documents, chunks, edges, and the statistics that words are weighed by."""

# ruff: noqa: S608 - statements are put together from constants; every value is a parameter

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from pgvector import HalfVector
from psycopg.types.json import Jsonb

from context_common.errors import Unavailable
from context_common.postgres import Connection, Measured, Pool, Reach, Row, ping, transaction, translate_errors
from context_retrieval.model import OFTEN, Chunk, Document, Entry, Key, Known
from context_retrieval.store.pool import CHANNEL, EVERYWHERE

KEYS = "SELECT * FROM unnest(%(namespaces)s::text[], %(ids)s::text[])"
# The step of what use counts, which is from 0 to 1; and how many items are written at once: many questions would have
# all of them written meanwhile, and those that are left over come again with their next use.
USE = {"often": OFTEN, "most": 50 * OFTEN, "step": 0.1, "limit": 100}
CLAIM = 300  # seconds for which missing vectors are one filler's to compute: longer than any turn

# Every key gets a row first, so that there is one to lock; in one order, so that indexers never deadlock.
MAKE_ROWS = """
INSERT INTO documents (namespace, item_id, change_id)
SELECT namespace, item_id, 0
FROM unnest(%(namespaces)s::text[], %(ids)s::text[]) AS wanted (namespace, item_id)
ON CONFLICT DO NOTHING"""
LOCK_ROWS = f"""
SELECT namespace, item_id, change_id, text_digest, length, tsvector_to_array(lexemes) AS lexemes
FROM documents WHERE (namespace, item_id) IN ({KEYS})
ORDER BY namespace, item_id FOR UPDATE"""
HELD_CHUNKS = f"""
SELECT namespace, item_id, ordinal, digest, model_id FROM chunks WHERE (namespace, item_id) IN ({KEYS})"""
WRITE_DOCUMENT = """
UPDATE documents SET
    change_id = %(change_id)s, deleted = false, fill_after = now(),
    version = %(version)s, type = %(type)s, title = %(title)s, tags = %(tags)s, status = %(status)s,
    in_force = %(in_force)s, item_date = %(item_date)s,
    updated_at = coalesce(%(updated_at)s, now()), pinned = %(pinned)s, severity = %(severity)s,
    access_count = %(access_count)s, feedback = %(feedback)s, provenance = %(provenance)s, review = %(review)s,
    author = %(author)s, source_uri = %(source_uri)s, payload = %(payload)s, length = %(length)s,
    text_digest = %(text_digest)s,
    model_id = %(model_id)s, tokens = %(tokens)s, tokens_of = %(tokens_of)s, frame_tokens = %(frame_tokens)s,
    frame_tokens_of = %(frame_tokens_of)s,
    lexemes = %(mark)s::tsvector || setweight(to_tsvector('english', %(title_words)s), 'A')
        || setweight(to_tsvector('english', %(tag_words)s), 'B') || %(identifiers)s::tsvector
        || to_tsvector('english', %(body_words)s)
WHERE namespace = %(namespace)s AND item_id = %(item_id)s
RETURNING namespace, item_id, tsvector_to_array(lexemes) AS lexemes"""
BURY_DOCUMENT = """
UPDATE documents SET
    change_id = %(change_id)s, deleted = true, title = '', tags = '{}', payload = '{}', author = '', source_uri = '',
    lexemes = '', length = 0, text_digest = '', in_force = false, model_id = ''
WHERE namespace = %(namespace)s AND item_id = %(item_id)s"""
DROP_CHUNKS = """
DELETE FROM chunks
USING unnest(%(namespaces)s::text[], %(ids)s::text[], %(ordinals)s::int[]) AS old (namespace, item_id, ordinal)
WHERE chunks.namespace = old.namespace AND chunks.item_id = old.item_id AND chunks.ordinal = old.ordinal"""
# Not COPY, which row-level security forbids. The vectors are binary.
ADD_CHUNK = """
INSERT INTO chunks (namespace, item_id, ordinal, text, tokens, tokens_of, token_count, digest, model_id, embedding)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %b)"""
DROP_EDGES = f"DELETE FROM edges WHERE (namespace, from_id) IN ({KEYS})"
WRITE_EDGE = """
INSERT INTO edges (namespace, from_id, to_id, type, strength)
VALUES (%s, %s, %s, %s, %s) ON CONFLICT (namespace, from_id, to_id, type) DO UPDATE SET strength = excluded.strength"""
COUNT_TERMS = """
INSERT INTO terms (namespace, lexeme, documents)
SELECT * FROM unnest(%(namespaces)s::text[], %(lexemes)s::text[], %(changes)s::bigint[])
ON CONFLICT (namespace, lexeme) DO UPDATE SET documents = terms.documents + excluded.documents"""
# What no document has any more is not kept: it may be what somebody had deleted. These rows are ours already, so nobody
# is waited for; who waits for them inserts them anew.
DROP_TERMS = """
DELETE FROM terms USING unnest(%(namespaces)s::text[], %(lexemes)s::text[]) AS left_out (namespace, lexeme)
WHERE terms.namespace = left_out.namespace AND terms.lexeme = left_out.lexeme AND terms.documents <= 0"""
COUNT_NAMESPACE = """
INSERT INTO namespace_stats (namespace, documents, total_length, chunks) VALUES (%s, %s, %s, %s)
ON CONFLICT (namespace) DO UPDATE SET
    documents = namespace_stats.documents + excluded.documents,
    total_length = namespace_stats.total_length + excluded.total_length,
    chunks = namespace_stats.chunks + excluded.chunks"""
TELL = "SELECT pg_notify(%s, namespace) FROM unnest(%s::text[]) AS namespace"
KNOWN_TEXTS = f"SELECT namespace, item_id, text_digest, model_id FROM documents WHERE (namespace, item_id) IN ({KEYS})"
KNOWN_VECTORS = f"""
SELECT namespace, item_id, digest, token_count, model_id, embedding FROM chunks
WHERE (namespace, item_id) IN ({KEYS}) AND model_id = %(model)s AND embedding IS NOT NULL"""
# Ranges, since an index knows nothing of <>.
INCOMPLETE = "NOT d.deleted AND (d.model_id < %(model)s OR d.model_id > %(model)s)"
CLAIM_INCOMPLETE = f"""
UPDATE documents SET fill_after = now() + make_interval(secs => %(seconds)s)
WHERE (namespace, item_id) IN (
    SELECT namespace, item_id FROM documents d
    WHERE {INCOMPLETE} AND change_id > 0 AND fill_after <= now()
    ORDER BY fill_after LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
RETURNING namespace, item_id, change_id, version, type, title, tags, status, in_force, item_date, updated_at, pinned,
    severity, access_count, feedback, provenance, review, author, source_uri, payload"""
DEFER = f"""
UPDATE documents SET fill_after = now() + make_interval(secs => %(seconds)s)
WHERE (namespace, item_id) IN (
    SELECT namespace, item_id FROM documents WHERE (namespace, item_id) IN ({KEYS})
    ORDER BY namespace, item_id FOR UPDATE
)"""
# Only what moves the rank by enough, so that what is read all the time is written a dozen times at most; nobody who
# holds a document is waited for, since the count comes again.
COUNT_USE = """
WITH moved AS (
    SELECT d.namespace, d.item_id, used.count FROM documents d
    JOIN unnest(%(namespaces)s::text[], %(ids)s::text[], %(counts)s::bigint[]) AS used (namespace, item_id, count)
        USING (namespace, item_id)
    WHERE NOT d.deleted AND abs(exp(-least(d.access_count, %(most)s) / %(often)s::float8)
        - exp(-least(used.count, %(most)s) / %(often)s::float8)) >= %(step)s
    ORDER BY d.namespace, d.item_id LIMIT %(limit)s FOR UPDATE OF d SKIP LOCKED
)
UPDATE documents d SET access_count = moved.count FROM moved
WHERE d.namespace = moved.namespace AND d.item_id = moved.item_id"""
# No index tells them: keeping one would make every such write one of all indexes.
USED = """
SELECT namespace, item_id, access_count > 0 AND NOT deleted AS used FROM documents
WHERE (namespace, item_id) > (%(namespace)s, %(item_id)s) ORDER BY namespace, item_id LIMIT %(limit)s"""
FILL_DOCUMENT = """
UPDATE documents SET model_id = %(model_id)s, text_digest = %(text_digest)s
WHERE namespace = %(namespace)s AND item_id = %(item_id)s"""

# Documents of the release before have no impacts: the trigger that weighs them runs when they are written.
WEIGH = """
WITH unweighed AS (
    SELECT namespace, item_id FROM documents
    WHERE (namespace, item_id) > (%(namespace)s, %(item_id)s) AND impacts IS NULL
    ORDER BY namespace, item_id LIMIT %(limit)s FOR UPDATE
)
UPDATE documents SET lexemes = lexemes WHERE (namespace, item_id) IN (TABLE unweighed) RETURNING namespace, item_id"""


class Index:
    """Writes the read model. Safe for many writers at once, and for the same change twice or late."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def known(self, keys: Sequence[Key], model_id: str) -> dict[Key, Known]:
        """What is held of these items' texts already, so that it need not be embedded again."""
        wanted = {**_keys(keys), "model": model_id}
        async with self._within("known", keys) as connection:
            texts = await (await connection.execute(KNOWN_TEXTS, wanted)).fetchall()
            vectors = await (await connection.execute(KNOWN_VECTORS, wanted, binary=True)).fetchall()
        found: dict[Key, dict[bytes, Chunk]] = {}
        for row in vectors:
            chunk = Chunk("", row["digest"], row["token_count"], row["model_id"], row["embedding"].to_numpy())
            found.setdefault(_key(row), {})[row["digest"]] = chunk
        return {_key(row): Known(row["text_digest"], row["model_id"], found.get(_key(row), {})) for row in texts}

    async def apply(self, entries: Sequence[Entry]) -> int:
        """Store what is not older than what is held, all or nothing; answers how many were.

        Raises:
            Unavailable: The database is away, or an item whose text had not changed has changed since.
        """
        ordered = sorted(entries, key=lambda entry: entry.document.key)
        async with self._within("apply", (entry.document.key for entry in ordered)) as connection:
            held = await self._lock(connection, [entry.document.key for entry in ordered])
            fresh = [e for e in ordered if e.document.change_id >= held[e.document.key]["change_id"]]
            for entry in fresh:
                if entry.chunks is None and held[entry.document.key]["text_digest"] != entry.text_digest:
                    raise Unavailable("the item's text has changed meanwhile", 0.1)
            await self._write(connection, fresh, held)
            await connection.execute(TELL, (CHANNEL, sorted({entry.document.key.namespace for entry in ordered})))
        return len(fresh)

    async def fill(self, entries: Sequence[Entry]) -> int:
        """Put the vectors of `entries` in their place, where the items are still those; answers how many were."""
        ordered = sorted(entries, key=lambda entry: entry.document.key)
        async with self._within("fill", (entry.document.key for entry in ordered)) as connection:
            held = await self._lock(connection, [entry.document.key for entry in ordered])
            same = [e for e in ordered if e.document.change_id == held[e.document.key]["change_id"]]
            more = await self._replace_chunks(connection, same)
            rows = [_filled(entry) for entry in same]
            if rows:
                await connection.cursor().executemany(FILL_DOCUMENT, rows)
            await self._count(connection, Counter(), {name: (0, 0, count) for name, count in more.items()})
        return len(same)

    async def claim_incomplete(self, model_id: str, limit: int) -> list[Document]:
        """Take the items that have lacked vectors of `model_id` for longest; for a while no other filler gets them."""
        wanted = {"model": model_id, "limit": limit, "seconds": CLAIM}
        async with translate_errors(), transaction(self._pool, EVERYWHERE, "index.claim") as connection:
            rows = await (await connection.execute(CLAIM_INCOMPLETE, wanted)).fetchall()
        return [_document(row) for row in rows]

    async def defer(self, keys: Sequence[Key], seconds: float = 0) -> None:
        """Let these come to fillers again in `seconds`, after all that waits for longer."""
        async with self._within("defer", keys) as connection:
            await connection.execute(DEFER, {**_keys(keys), "seconds": seconds})

    async def count_use(self, counts: Mapping[Key, int]) -> int:
        """Let the rank go by how often items were handed out, where that tells; answers of how many it does."""
        wanted = {**_keys(counts), "counts": list(counts.values()), **USE}
        async with self._within("count_use", counts) as connection:
            return (await connection.execute(COUNT_USE, wanted)).rowcount

    async def used(self, after: Key, limit: int) -> tuple[list[Key], Key | None]:
        """Of the next `limit` items after `after` those whose rank goes by how often they were handed out, and the last
        of all; None where there are no more.
        """
        async with translate_errors(), transaction(self._pool, EVERYWHERE, "index.used") as connection:
            rows = await (await connection.execute(USED, {**after._asdict(), "limit": limit})).fetchall()
        last = _key(rows[-1]) if len(rows) == limit else None
        return [_key(row) for row in rows if row["used"]], last

    async def ping(self) -> None:
        """Raise Unavailable unless the database answers."""
        await ping(self._pool)

    async def weigh(self, after: Key, limit: int) -> Key | None:
        """Weigh the words of at most `limit` documents that never were, in order; answers the last, None of none."""
        async with translate_errors(), transaction(self._pool, EVERYWHERE, "index.weigh") as connection:
            rows = await connection.execute(WEIGH, {**after._asdict(), "limit": limit})
            return max((_key(row) for row in await rows.fetchall()), default=None)

    async def analyze(self) -> None:
        """Renew the planner's statistics: without them it filters vectors after the search, and finds too few."""
        async with translate_errors(), self._pool.connection() as connection:
            with Measured("index.analyze"):
                await connection.execute("ANALYZE documents, chunks, edges, terms")

    @asynccontextmanager
    async def _within(self, operation: str, keys: Iterable[Key]) -> AsyncIterator[Connection]:
        """A transaction in the namespaces of `keys`."""
        reach = Reach(tuple(sorted({key.namespace for key in keys})))
        async with translate_errors(), transaction(self._pool, reach, f"index.{operation}") as connection:
            yield connection

    async def _lock(self, connection: Connection, keys: Sequence[Key]) -> dict[Key, Row]:
        await connection.execute(MAKE_ROWS, _keys(keys))
        rows = await connection.execute(LOCK_ROWS, _keys(keys))
        return {_key(row): row for row in await rows.fetchall()}

    async def _write(self, connection: Connection, fresh: Sequence[Entry], held: Mapping[Key, Row]) -> None:
        if not fresh:
            return
        now = await self._write_documents(connection, fresh)
        chunks = await self._replace_chunks(connection, fresh)
        await self._replace_edges(connection, fresh)
        terms: Counter[tuple[str, str]] = Counter()
        totals: dict[str, tuple[int, int, int]] = {}
        for entry in fresh:
            key, before = entry.document.key, held[entry.document.key]
            terms.update((key.namespace, lexeme) for lexeme in now.get(key, ()))
            terms.subtract((key.namespace, lexeme) for lexeme in before["lexemes"])
            length = 0 if entry.document.deleted else entry.words.length
            documents, total, _ = totals.get(key.namespace, (0, 0, 0))
            # Each live document, and nothing else, has the lexeme of its namespace.
            change = (key in now) - bool(before["lexemes"])
            totals[key.namespace] = (
                documents + change,
                total + length - before["length"],
                chunks.get(key.namespace, 0),
            )
        await self._count(connection, terms, totals)

    async def _write_documents(self, connection: Connection, fresh: Sequence[Entry]) -> dict[Key, list[str]]:
        """Write the rows; answers the lexemes that each live one now has."""
        cursor = connection.cursor()
        gone = [_buried(entry.document) for entry in fresh if entry.document.deleted]
        if gone:
            await cursor.executemany(BURY_DOCUMENT, gone)
        live = [_written(entry) for entry in fresh if not entry.document.deleted]
        lexemes: dict[Key, list[str]] = {}
        if live:
            await cursor.executemany(WRITE_DOCUMENT, live, returning=True)
            async for result in cursor.results():
                row = await result.fetchone()
                if row:
                    lexemes[_key(row)] = row["lexemes"]
        return lexemes

    async def _replace_chunks(self, connection: Connection, entries: Sequence[Entry]) -> Counter[str]:
        """Make the stored chunks those of `entries`, touching only what differs; answers how many more, by namespace.

        A chunk that stays in its place keeps its row: the vector index is spared.
        """
        entries = [entry for entry in entries if entry.chunks is not None]
        rows = await connection.execute(HELD_CHUNKS, _keys([entry.document.key for entry in entries]))
        old = {(*_key(r), r["ordinal"]): (r["digest"], r["model_id"]) for r in await rows.fetchall()}
        new = {
            (*entry.document.key, ordinal): chunk
            for entry in entries
            for ordinal, chunk in enumerate(entry.chunks or ())
        }
        same = {place for place, held in old.items() if place in new and held == _identity(new[place])}
        drop, add = old.keys() - same, sorted(new.keys() - same)
        if drop:
            spaces, ids, ordinals = zip(*sorted(drop), strict=True)
            places = {"namespaces": list(spaces), "ids": list(ids), "ordinals": list(ordinals)}
            await connection.execute(DROP_CHUNKS, places)
        if add:
            await connection.cursor().executemany(ADD_CHUNK, [(*place, *_chunk_row(new[place])) for place in add])
        more = Counter(place[0] for place in new)
        more.subtract(place[0] for place in old)
        return more

    async def _replace_edges(self, connection: Connection, fresh: Sequence[Entry]) -> None:
        await connection.execute(DROP_EDGES, _keys([entry.document.key for entry in fresh]))
        edges = [
            (*entry.document.key, edge.to_id, edge.type, edge.strength)
            for entry in fresh
            for edge in entry.document.edges
        ]
        if edges:
            await connection.cursor().executemany(WRITE_EDGE, edges)

    async def _count(
        self, connection: Connection, terms: Counter[tuple[str, str]], totals: Mapping[str, tuple[int, int, int]]
    ) -> None:
        """Add to the statistics, in one order, last of all: these rows are everybody's."""
        changed = sorted((place, change) for place, change in terms.items() if change)
        if changed:
            counts = {**_places(changed), "changes": [change for _, change in changed]}
            await connection.execute(COUNT_TERMS, counts)
        if left_out := [(place, change) for place, change in changed if change < 0]:
            await connection.execute(DROP_TERMS, _places(left_out))
        for namespace, total in sorted(totals.items()):
            if any(total):
                await connection.execute(COUNT_NAMESPACE, (namespace, *total))


def _keys(keys: Iterable[Key]) -> dict[str, Any]:
    pairs = list(keys)
    return {"namespaces": [key.namespace for key in pairs], "ids": [key.item_id for key in pairs]}


def _places(changed: Iterable[tuple[tuple[str, str], int]]) -> dict[str, list[str]]:
    """Where in `terms` something changes."""
    namespaces, lexemes = zip(*(place for place, _ in changed), strict=True)
    return {"namespaces": list(namespaces), "lexemes": list(lexemes)}


def _key(row: Row) -> Key:
    return Key(row["namespace"], row["item_id"])


def _identity(chunk: Chunk) -> tuple[bytes, str]:
    return chunk.digest, chunk.model_id


def _chunk_row(chunk: Chunk) -> tuple[Any, ...]:
    vector = None if chunk.vector is None else HalfVector(chunk.vector)
    return chunk.text, *chunk.tally, chunk.token_count, chunk.digest, chunk.model_id, vector


def _buried(document: Document) -> dict[str, Any]:
    return {**document.key._asdict(), "change_id": document.change_id}


def _written(entry: Entry) -> dict[str, Any]:
    document, words = entry.document, entry.words
    return {
        **_buried(document),
        "version": document.version,
        "type": document.type,
        "title": document.title,
        "tags": list(document.tags),
        "status": document.status,
        "in_force": document.in_force,
        "item_date": document.item_date,
        "updated_at": document.updated_at,
        "pinned": document.pinned,
        "severity": document.severity,
        "access_count": document.access_count,
        "feedback": document.feedback,
        "provenance": document.provenance,
        "review": document.review,
        "author": document.author,
        "source_uri": document.source_uri,
        "payload": Jsonb(document.payload),
        "length": words.length,
        "text_digest": entry.text_digest,
        "model_id": entry.model_id,
        "tokens": entry.counts.fields.tokens,
        "tokens_of": entry.counts.fields.checksum,
        "frame_tokens": entry.counts.frame.tokens,
        "frame_tokens_of": entry.counts.frame.checksum,
        "mark": f"'@{document.key.namespace}'",
        "title_words": words.title,
        "tag_words": words.tags,
        "identifiers": words.identifiers,
        "body_words": words.body,
    }


def _filled(entry: Entry) -> dict[str, Any]:
    key = entry.document.key._asdict()
    return {**key, "model_id": entry.model_id, "text_digest": entry.text_digest}


def _document(row: Row) -> Document:
    values = {name: value for name, value in row.items() if name not in ("namespace", "item_id")}
    return Document(key=_key(row), **{**values, "tags": tuple(row["tags"])})
