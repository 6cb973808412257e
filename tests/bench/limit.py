"""The bare limit: the same ONNX session and one vector query on the same Postgres, with nothing around them.

One process for each core, each with an encoder of one thread and a connection of its own. No engine that embeds with
this model and searches with this index can be quicker.
"""

import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import psycopg
from pgvector import HalfVector
from pgvector.psycopg import register_vector

from context_embedding import files
from context_embedding.encoder import Encoder, Tokens
from context_embedding.settings import BATCH_TOKENS
from tests.bench.timing import CORES, Load, one_by_one

GROUP = 8  # questions that a process takes at once: the fewer, the more even the end
LOOK = 40  # hnsw.ef_search, as pgvector has it
TABLE = (
    "CREATE EXTENSION IF NOT EXISTS vector",
    "CREATE TABLE chunks (id integer NOT NULL, embedding halfvec(384) NOT NULL)",
    "ALTER TABLE chunks ALTER COLUMN embedding SET STORAGE PLAIN",
)
INDEX = "CREATE INDEX ON chunks USING hnsw (embedding halfvec_cosine_ops) WITH (m = 16, ef_construction = 128)"
NEAREST = "SELECT id FROM chunks ORDER BY embedding <=> %b LIMIT 10"


def fill(url: str, vectors: npt.NDArray[np.float32]) -> None:
    """Make the table of `vectors` in the empty database at `url`."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in TABLE:
            connection.execute(statement.encode())
        register_vector(connection)
        with connection.cursor().copy("COPY chunks (id, embedding) FROM STDIN WITH (FORMAT BINARY)") as copy:
            copy.set_types(["int4", "halfvec"])
            for number, vector in enumerate(vectors):
                copy.write_row((number, HalfVector(vector)))
        connection.execute(INDEX)
        connection.execute("VACUUM ANALYZE chunks")


class Bare:
    """What one process has."""

    def __init__(self, url: str) -> None:
        self._encoder = Encoder.load(files.default_directory(os.environ), "int8")
        self._connection = psycopg.connect(url, autocommit=True)
        register_vector(self._connection)
        self._connection.execute("SELECT set_config('hnsw.ef_search', %s, false)", (str(LOOK),))
        # The planner would read a small table from end to end.
        for name, value in (("enable_seqscan", "off"), ("plan_cache_mode", "force_generic_plan")):
            self._connection.execute("SELECT set_config(%s, %s, false)", (name, value))

    def ask(self, question: str) -> list[int]:
        """The ids of the ten nearest."""
        vector = self._encoder.embed_now([question])[0]
        found = self._connection.execute(NEAREST, (HalfVector(vector),), prepare=True, binary=True)
        return [row[0] for row in found.fetchall()]

    def embed(self, texts: Sequence[str]) -> None:
        """Embed `texts`, those of like length in one run."""
        tokens = sorted(self._encoder.tokenize(texts), key=lambda one: len(one.ids))
        for batch in _batches(tokens):
            self._encoder.run(batch)


class Limit:
    """The processes."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def one_by_one(self, questions: Sequence[str]) -> list[float]:
        """The milliseconds of each, asked by one process."""
        return self._pool.submit(_ask, questions).result()

    def at_once(self, questions: Sequence[str]) -> Load:
        """Every process at work, one question after the other in each."""
        start = time.perf_counter()
        parts = [self._pool.submit(_ask, questions[at : at + GROUP]) for at in range(0, len(questions), GROUP)]
        ms = [took for part in parts for took in part.result()]
        return Load(len(ms) / (time.perf_counter() - start), ms)

    def embed(self, texts: Sequence[str]) -> float:
        """Seconds until all of `texts` are embedded, every process at work."""
        ordered = sorted(texts, key=len)
        start = time.perf_counter()
        parts = [self._pool.submit(_embed, ordered[first::CORES]) for first in range(CORES)]
        for part in parts:
            part.result()
        return time.perf_counter() - start


@contextmanager
def running(url: str) -> Iterator[Limit]:
    """The limit, ready, on the database at `url`, which `fill` filled."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(CORES, context, initializer=_start, initargs=(url,)) as pool:
        limit = Limit(pool)
        # So many at once that each process has to come up.
        limit.at_once(["is it warm?"] * GROUP * CORES * 4)
        yield limit


_bare: list[Bare] = []  # this process's own, once it is one of the pool's


def _start(url: str) -> None:
    _bare.append(Bare(url))


def _ask(questions: Sequence[str]) -> list[float]:
    return one_by_one(_bare[0].ask, questions)


def _embed(texts: Sequence[str]) -> None:
    _bare[0].embed(texts)


def _batches(tokens: Sequence[Tokens]) -> Iterator[Sequence[Tokens]]:
    """`tokens`, which go from short to long, in runs of at most BATCH_TOKENS."""
    start = 0
    for at in range(1, len(tokens) + 1):
        if at == len(tokens) or (at - start + 1) * len(tokens[at].ids) > BATCH_TOKENS:
            yield tokens[start:at]
            start = at
