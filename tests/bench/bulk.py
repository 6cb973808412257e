"""Fills the index's own tables by COPY, its indexes aside, and builds them afterwards: how a million chunks get in.

The rows are what `Index.apply` would write: the same lexemes, the trigger that weighs them, and the same statistics,
counted once at the end instead of with each batch.
"""

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

import psycopg
from pgvector import HalfVector
from pgvector.psycopg import register_vector
from psycopg import sql
from psycopg.types.json import Jsonb

from context_retrieval.model import Entry
from tests.bench.show import say
from tests.bench.synthetic import BLOCK, Around, entries
from tests.bench.timing import CORES

OPTIONS = "-c search_path=retrieval,public -c jit=off -c work_mem=256MB"
STAGED = (
    "namespace text, item_id text, change_id bigint, type text, title text, tags text[], status text, item_date date,"
    " source_uri text, payload jsonb, length integer, text_digest bytea, model_id text, tokens integer,"
    " tokens_of bigint, frame_tokens integer, frame_tokens_of bigint,"
    " title_words text, tag_words text, identifiers text, body_words text"
)
STAGE = "COPY staged FROM STDIN"
STORE = """
INSERT INTO documents (namespace, item_id, change_id, version, type, title, tags, status, in_force, item_date,
    provenance, source_uri, payload, length, text_digest, model_id, tokens, tokens_of, frame_tokens,
    frame_tokens_of, lexemes)
SELECT namespace, item_id, change_id, 1, type, title, tags, status, true, item_date,
    'import', source_uri, payload, length, text_digest, model_id, tokens, tokens_of, frame_tokens,
    frame_tokens_of, ('''@' || namespace || '''')::tsvector || setweight(to_tsvector('english', title_words), 'A')
        || setweight(to_tsvector('english', tag_words), 'B') || identifiers::tsvector
        || to_tsvector('english', body_words)
FROM staged"""
STORE_CHUNKS = """
COPY chunks (namespace, item_id, ordinal, text, tokens, tokens_of, token_count, digest, model_id, embedding)
FROM STDIN (FORMAT BINARY)"""
STORE_EDGES = "COPY edges (namespace, from_id, to_id, type, strength) FROM STDIN"
CHUNK_TYPES = ("text", "text", "int4", "text", "int4", "int8", "int4", "bytea", "text", "halfvec")
COUNT = (
    "TRUNCATE terms, namespace_stats",
    """INSERT INTO terms SELECT namespace, lexeme, count(*)
    FROM documents, unnest(tsvector_to_array(lexemes)) AS lexeme GROUP BY namespace, lexeme""",
    """INSERT INTO namespace_stats SELECT namespace, count(*), sum(length),
        (SELECT count(*) FROM chunks c WHERE c.namespace = d.namespace)
    FROM documents d GROUP BY namespace""",
    "VACUUM ANALYZE documents, chunks, edges, terms, namespace_stats",
)
INDEXES = """
SELECT i.indexrelid::regclass::text AS name, pg_get_indexdef(i.indexrelid) AS definition FROM pg_index i
WHERE i.indrelid IN ('documents'::regclass, 'chunks'::regclass) AND NOT i.indisprimary ORDER BY 1"""
VECTORS = "chunks_embedding"  # the index that takes longest


@dataclass
class Loaded:
    """What is in, and the seconds that it took; each figure of the whole, not of what came last."""

    blocks: int = 0
    documents: int = 0
    chunks: int = 0
    copying: float = 0.0
    indexing: float = 0.0  # everything but the vectors, of the last time
    vectors: float = 0.0  # their index, of the last time
    indexes: dict[str, str] = field(default_factory=dict)


def connect(url: str) -> "psycopg.Connection[tuple[Any, ...]]":
    """A connection of the owner's, whom no policy holds."""
    connection = psycopg.connect(url, autocommit=True, options=OPTIONS)
    register_vector(connection)
    return connection


def grow(url: str, loaded: Loaded, size: int, around: Around, memory: str) -> None:
    """Bring the index to `size` chunks or a few hundred more, with all its indexes and statistics.

    `memory`: what building an index may take, as Postgres writes it.
    """
    with connect(url) as connection:
        loaded.indexes |= dict(connection.execute(INDEXES).fetchall())
        for name in loaded.indexes:
            connection.execute(sql.SQL("DROP INDEX IF EXISTS {}").format(sql.Identifier(name)))
        start = time.perf_counter()
        _copy(url, loaded, size, around)
        loaded.copying += time.perf_counter() - start
        connection.execute("SELECT set_config('maintenance_work_mem', %s, false)", (memory,))
        connection.execute("SELECT set_config('max_parallel_maintenance_workers', %s, false)", (str(CORES - 1),))
        start = time.perf_counter()
        for name, definition in loaded.indexes.items():
            if name != VECTORS:
                connection.execute(definition.encode())
        for statement in COUNT:
            connection.execute(statement.encode())
        loaded.indexing = time.perf_counter() - start
        say(f"{loaded.chunks} chunks: indexes on words and statistics made in {loaded.indexing:.0f} s")
        start = time.perf_counter()
        connection.execute(loaded.indexes[VECTORS].encode())
        loaded.vectors = time.perf_counter() - start
        say(f"{loaded.chunks} chunks: index on vectors made in {loaded.vectors:.0f} s")


def _copy(url: str, loaded: Loaded, size: int, around: Around) -> None:
    """Have processes make blocks and store them until there are `size` chunks."""
    context = multiprocessing.get_context("spawn")
    told = time.monotonic()
    with ProcessPoolExecutor(CORES, context, initializer=_start, initargs=(url, around)) as pool:
        under_way: set[Future[int]] = set()
        while loaded.chunks < size or under_way:
            while loaded.chunks < size and len(under_way) < CORES:
                under_way.add(pool.submit(_store, loaded.blocks))
                loaded.blocks += 1
            done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            loaded.documents += BLOCK * len(done)
            loaded.chunks += sum(one.result() for one in done)
            if time.monotonic() - told > 10:
                told = time.monotonic()
                say(f"{loaded.chunks} of {size} chunks stored")


@dataclass(frozen=True)
class Process:
    """What one of the processes has."""

    connection: "psycopg.Connection[tuple[Any, ...]]"
    around: Around


_own: list[Process] = []


def _start(url: str, around: Around) -> None:
    connection = connect(url)
    connection.execute(f"CREATE TEMP TABLE staged ({STAGED})".encode())
    _own.append(Process(connection, around))


def _store(block: int) -> int:
    """Make and store a block; answers its chunks."""
    connection, made = _own[0].connection, list(entries(block, _own[0].around))
    with connection.transaction(), connection.cursor() as cursor:
        with cursor.copy(STAGE) as copy:
            for entry in made:
                copy.write_row(_staged(entry))
        cursor.execute(STORE)
        cursor.execute("TRUNCATE staged")
        with cursor.copy(STORE_EDGES) as copy:
            for entry in made:
                for edge in entry.document.edges:
                    copy.write_row((*entry.document.key, edge.to_id, edge.type, edge.strength))
        with cursor.copy(STORE_CHUNKS) as copy:
            copy.set_types(CHUNK_TYPES)
            rows = list(_chunk_rows(made))
            for row in rows:
                copy.write_row(row)
    return len(rows)


def _staged(entry: Entry) -> Sequence[Any]:
    document, words = entry.document, entry.words
    return (
        document.key.namespace, document.key.item_id, document.change_id, document.type, document.title,
        list(document.tags), document.status, document.item_date, document.source_uri, Jsonb(document.payload),
        words.length, entry.text_digest, entry.model_id,
        *entry.counts.fields, *entry.counts.frame,
        words.title, words.tags, words.identifiers, words.body,
    )  # fmt: skip


def _chunk_rows(made: Sequence[Entry]) -> Iterator[Sequence[Any]]:
    for entry in made:
        for ordinal, chunk in enumerate(entry.chunks or ()):
            held = (chunk.token_count, chunk.digest, chunk.model_id)
            vector = None if chunk.vector is None else HalfVector(chunk.vector)
            yield (*entry.document.key, ordinal, chunk.text, *chunk.tally, *held, vector)
