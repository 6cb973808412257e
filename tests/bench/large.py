"""Search in a large index beside the bare limit, without the hours of taking it in: `make bench-large`.

The index is filled by COPY as in scale.py, with vectors around real ones; then the four services are started on it and
asked as in `make bench`. What is taken in by them, and the peers, are measured there.
"""

import argparse
import asyncio
from pathlib import Path

from context_common import postgres
from tests.bench import bulk, engine, limit, rounds
from tests.bench.scale import MIGRATIONS, REAL
from tests.bench.show import keep, number, say, table
from tests.bench.synthetic import BLOCK, Around
from tests.support.postgres import scratch_database, scratch_server
from tests.support.stack import run_stack

SHARE = 0.8  # of the documents live in the namespace that is asked
PER_DOCUMENT = 1.68  # chunks, about


def fill(url: str, documents: int) -> bulk.Loaded:
    """Fill the index at `url` so that so many documents, or a few more, live in the namespace that is asked."""
    asyncio.run(postgres.migrate(url, schema="retrieval", directory=MIGRATIONS))
    around, loaded = Around.encode(REAL), bulk.Loaded()
    while loaded.documents * SHARE < documents - BLOCK:
        missing = documents / SHARE - loaded.documents
        bulk.grow(url, loaded, loaded.chunks + int(missing * PER_DOCUMENT), around, "2GB")
    return loaded


def measure(documents: int, questions: int) -> dict[str, float]:
    """Figures of search, of context queries and of the limit, over one index."""
    with scratch_server() as server, scratch_database(server) as ours, scratch_database(server) as bare:
        say(f"filling an index until {documents} documents live in the namespace that is asked")
        loaded = fill(ours, documents)
        limit.fill(bare, engine.chunks(ours)[1])
        with run_stack(ours) as stack, limit.running(bare) as least:
            found = rounds.measure(stack.url, least, questions)
    return {**found, "documents": loaded.documents, "chunks": loaded.chunks}


def show(found: dict[str, float]) -> None:
    """Print it."""
    head = f"{found['documents']:,.0f} documents, {found['chunks']:,.0f} chunks"
    table((head, *rounds.COLUMNS.values()), [rounds.row(found, kind) for kind in rounds.NAMES])
    table(("ratio", ""), [(name, number(value)) for name, value in rounds.ratios(found).items()])


def main() -> None:
    """Measure, print, keep."""
    read = argparse.ArgumentParser(description=__doc__)
    read.add_argument("--documents", type=int, default=20_000, help="in the namespace that is asked")
    read.add_argument("--questions", type=int, default=400, help="asked one by one; twice as many at once")
    read.add_argument("--out", type=Path, help="where the figures go as JSON")
    given = read.parse_args()
    found = measure(given.documents, given.questions)
    show(found)
    keep(given.out, found)


if __name__ == "__main__":
    main()
