"""From ten thousand chunks to a million on this machine: `make bench-scale`.

One database grows; at each size the time to load it and to build its indexes, what it needs on disk and in memory, how
long a question takes with and without filters, and recall@10 against the search that compares every vector. A tenth of
the documents live in a namespace of their own; at each size that one is asked in the table of all and in a table and an
index of its own, which is what partitions by namespace would bring.
"""

import argparse
import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from context_common import logs, postgres
from context_retrieval.model import Filter
from tests.bench import bulk, engine
from tests.bench.probe import Given, Probe, probe
from tests.bench.show import keep, number, say, table
from tests.bench.synthetic import MAIN, TENTH, Around
from tests.support.postgres import ROOT, scratch_database, scratch_server

SIZES = (10_000, 100_000, 1_000_000)
MIGRATIONS = ROOT / "services" / "retrieval" / "context_retrieval" / "migrations"
REAL = 1500  # documents whose chunks are really embedded; the others' vectors are drawn around them
QUESTIONS, WARM = 400, 50
RECALL_QUESTIONS = 40
SEED = 21
ASKED = {
    "all of a namespace": Filter((MAIN,)),
    "12 % by tag": Filter((MAIN,), tags=("tag-2",)),
    "0.8 % by tag": Filter((MAIN,), tags=("tag-6",)),
    "0.1 % by tag": Filter((MAIN,), tags=("tag-9",)),
    "a namespace with a tenth": Filter((TENTH,)),
    "a namespace with a hundredth": Filter(("small-0",)),
}
ALONE = "a tenth, partitioned"
# Of the server: room for a million chunks. It need not outlive a power cut.
LARGE = {
    "shared_buffers": "8GB",  # all of it: what has to come in from elsewhere is another matter
    "autovacuum": "off",  # at each size it is done by hand, so that it is not under way while we measure
    "checkpoint_timeout": "1h",
    "max_wal_size": "32GB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}
PARTITION = (
    "DROP SCHEMA IF EXISTS part CASCADE",
    "CREATE SCHEMA part",
    "CREATE TABLE part.chunks (LIKE retrieval.chunks INCLUDING DEFAULTS INCLUDING STORAGE)",
    "GRANT USAGE ON SCHEMA part TO context_retrieval",
    "GRANT SELECT ON part.chunks TO context_retrieval",
    f"INSERT INTO part.chunks SELECT * FROM retrieval.chunks WHERE namespace = '{TENTH}'",  # noqa: S608
    "ALTER TABLE part.chunks ADD PRIMARY KEY (namespace, item_id, ordinal)",
)
PARTITION_INDEX = (
    "CREATE INDEX ON part.chunks USING hnsw (embedding halfvec_cosine_ops) WITH (m = 16, ef_construction = 128)"
)
SIZE = """
SELECT pg_table_size('retrieval.chunks'), pg_relation_size('retrieval.chunks_embedding'),
    pg_total_relation_size('retrieval.documents'), pg_database_size(current_database()),
    (SELECT pg_relation_size(indexrelid) FROM pg_index WHERE indrelid = 'part.chunks'::regclass AND NOT indisprimary)"""


async def measure(sizes: Sequence[int], memory: str, out: Path | None) -> list[dict[str, Any]]:
    """The figures of each size, which are kept in `out` as they come."""
    say("embedding real chunks and questions")
    around, given = Around.encode(REAL), Given.encode(QUESTIONS, SEED)
    loaded, found = bulk.Loaded(), list[dict[str, Any]]()
    with scratch_server(LARGE) as server, scratch_database(server) as url:
        await postgres.migrate(url, schema="retrieval", directory=MIGRATIONS)
        for size in sizes:
            await asyncio.to_thread(bulk.grow, url, loaded, size, around, memory)
            alone = await asyncio.to_thread(_partition, url, memory)
            asked = {}
            async with probe(url, given) as asking:
                for name, wanted in ASKED.items():
                    asked[name] = await _ask(asking, name, wanted)
                # While that connection is open: what it has touched counts as its own.
                used = await asyncio.to_thread(engine.postgres_memory, url)
            async with probe(url, given, "part,retrieval") as asking:
                asked[ALONE] = await _ask(asking, ALONE, Filter((TENTH,)))
            found.append(
                {**_sizes(url, loaded), "memory_megabytes": used, "partition_index_seconds": alone, "asked": asked}
            )
            keep(out, {"sizes": found})
    return found


async def _ask(asking: Probe, name: str, wanted: Filter) -> dict[str, float]:
    took = await asking.took(wanted, WARM)
    recall = await asking.recall(wanted, RECALL_QUESTIONS)
    say(f"{name}: p50 {took['p50']:.1f} ms, p99 {took['p99']:.1f} ms, recall {recall['semantic']:.3f}")
    return {**took, **recall}


def _partition(url: str, memory: str) -> float:
    """Make a table of its own for the namespace with a tenth; answers the seconds that its index took."""
    with bulk.connect(url) as connection:
        for statement in PARTITION:
            connection.execute(statement.encode())
        connection.execute("SELECT set_config('maintenance_work_mem', %s, false)", (memory,))
        start = time.perf_counter()
        connection.execute(PARTITION_INDEX)
        seconds = time.perf_counter() - start
        connection.execute("VACUUM ANALYZE part.chunks")
    return seconds


def _sizes(url: str, loaded: bulk.Loaded) -> dict[str, Any]:
    """How large everything is, in bytes, and how long it took to get there, in seconds."""
    with bulk.connect(url) as connection:
        row = connection.execute(SIZE).fetchone()
    assert row
    names = ("chunks_bytes", "vectors_bytes", "documents_bytes", "database_bytes", "partition_index_bytes")
    return {
        "documents": loaded.documents,
        "chunks": loaded.chunks,
        "copy_seconds": loaded.copying,
        "indexes_seconds": loaded.indexing,
        "vectors_seconds": loaded.vectors,
        **dict(zip(names, row, strict=True)),
    }


def show(found: Sequence[Mapping[str, Any]]) -> None:
    """Print it."""
    head = [f"{size['chunks']:,} chunks" for size in found]
    rows = {
        "documents": [f"{one['documents']:,}" for one in found],
        "chunks stored a second, indexes aside": [number(one["chunks"] / one["copy_seconds"]) for one in found],
        "other indexes and statistics, s": [number(one["indexes_seconds"]) for one in found],
        "index on vectors, s": [number(one["vectors_seconds"]) for one in found],
        "the same of a tenth, s": [number(one["partition_index_seconds"]) for one in found],
        "index on vectors, bytes a chunk": [number(one["vectors_bytes"] / one["chunks"]) for one in found],
        "table of chunks, bytes a chunk": [number(one["chunks_bytes"] / one["chunks"]) for one in found],
        "documents with their indexes, bytes a chunk": [
            number(one["documents_bytes"] / one["chunks"]) for one in found
        ],
        "all of it on disk, MB": [number(one["database_bytes"] / 2**20) for one in found],
        "Postgres in memory, MB": [number(one["memory_megabytes"]) for one in found],
    }
    table(("", *head), [(name, *values) for name, values in rows.items()])
    for figure, title in (("p50", "p50 ms"), ("p99", "p99 ms"), ("sql", "the statement alone, p50 ms")):
        table(
            (title, *head), [(name, *(number(one["asked"][name][figure]) for one in found)) for name in (*ASKED, ALONE)]
        )
    for figure, title in (("semantic", "recall@10 by meaning"), ("hybrid", "recall@10 by meaning and words")):
        table(
            (title, *head),
            [(name, *(f"{one['asked'][name][figure]:.3f}" for one in found)) for name in (*ASKED, ALONE)],
        )
    first, last = found[0]["asked"], found[-1]["asked"]
    growth = [(name, number(last[name]["p50"] / first[name]["p50"])) for name in ASKED]
    table((f"p50 at {head[-1]} / at {head[0]}", ""), growth)


def main() -> None:
    """Measure, print, keep."""
    read = argparse.ArgumentParser(description=__doc__)
    read.add_argument("--sizes", default=",".join(map(str, SIZES)), help="chunks, from few to many")
    read.add_argument("--memory", default="4GB", help="what building an index may take")
    read.add_argument("--out", type=Path, help="where the figures go as JSON")
    given = read.parse_args()
    logs.configure("bench", "warning")  # that migrations ran is no figure
    found = asyncio.run(measure(sorted(int(size) for size in given.sizes.split(",")), given.memory, given.out))
    show(found)


if __name__ == "__main__":
    main()
