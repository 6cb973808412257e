"""Indexes documents and asks questions of them without the services around: retrieval's own code, the real encoder and
a real Postgres. Vectors may be kept in a file, since nothing here changes them from run to run.
"""

import os
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from context_common import postgres
from context_embedding import files
from context_embedding.encoder import Encoder
from context_retrieval.answer import Answerer
from context_retrieval.embedder import Embedded, Embedder, Model
from context_retrieval.model import Document, Filter, Vector
from context_retrieval.passages import digest
from context_retrieval.prepare import Preparer
from context_retrieval.rank import Scale
from context_retrieval.search import Request, Searcher, Timings
from context_retrieval.store import SESSION, Index, Readers, configure
from tests.support.postgres import ROOT

BATCH = 32
FUSED, RANK_OFFSET = 60, 60  # how many of each search, and how little the first places count for more than the next
UNVOUCHED = 0.3  # of a bundle; nothing here is unvouched
RATE = """
UPDATE documents d SET feedback = rated.said FROM unnest(%(ids)s::text[], %(said)s::real[]) AS rated (id, said)
WHERE d.namespace = %(namespace)s AND d.item_id = rated.id"""
MIGRATIONS = ROOT / "services" / "retrieval" / "context_retrieval" / "migrations"


class Encoding(Embedder):
    """The embedding service's encoder in this process, behind what retrieval takes for that service."""

    def __init__(self, kept: Path | None = None) -> None:
        self._encoder = Encoder.load(files.default_directory(os.environ), "int8")
        self._kept = kept
        self._vectors: dict[bytes, Vector] = {}
        self._new = False
        if kept and kept.exists():
            with np.load(kept) as held:
                self._vectors = {
                    key.tobytes(): vector for key, vector in zip(held["keys"], held["vectors"], strict=True)
                }
        self.model = Model(self._encoder.model_id, self._encoder.manifest.max_tokens)

    async def question(self, windows: Sequence[str], most: float) -> Embedded:
        """The vector of a question."""
        middle = np.sum(self._of(windows), axis=0)
        return Embedded((middle / np.linalg.norm(middle)).astype(np.float32), 0, self._encoder.model_id)

    async def tokenize(self, texts: Sequence[str]) -> list[Sequence[int]]:
        """For each text, the characters at which its tokens start."""
        return [self._encoder.starts(text) for text in texts]

    async def embed(self, texts: Sequence[str], within: float) -> AsyncIterator[Embedded]:
        """The vectors of `texts`, in order."""
        for vector in self._of(texts):
            yield Embedded(vector, 0, self._encoder.model_id)

    def keep(self) -> None:
        """Write down what was computed since the last time."""
        if self._kept and self._new:
            self._new = False
            keys = np.array([np.frombuffer(key, np.uint8) for key in self._vectors])
            with self._kept.open("wb") as file:
                np.savez(file, keys=keys, vectors=np.array(list(self._vectors.values())))

    def _of(self, texts: Sequence[str]) -> list[Vector]:
        keys = [digest(text) for text in texts]
        missing = sorted({text for text, key in zip(texts, keys, strict=True) if key not in self._vectors}, key=len)
        groups = [missing[at : at + BATCH] for at in range(0, len(missing), BATCH)]
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
            for group, vectors in zip(groups, threads.map(self._encoder.embed_now, groups), strict=True):
                self._vectors.update(zip(map(digest, group), vectors, strict=True))
        self._new |= bool(missing)
        return [self._vectors[key] for key in keys]


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a context query answers: its tokens, and those of each item in it."""

    tokens: int
    items: Mapping[str, int]


class Arena:
    """A read model to fill and to ask."""

    def __init__(self, pool: postgres.Pool, encoding: Encoding) -> None:
        self._pool, self._index, self._encoding = pool, Index(pool), encoding
        self._readers = Readers(postgres.Reads(pool))
        self._searchers: dict[Scale, Searcher] = {}

    async def fill(self, documents: Sequence[Document]) -> None:
        """Index `documents`."""
        preparer = Preparer(self._index, self._encoding)
        for at in range(0, len(documents), BATCH):
            await self._index.apply(await preparer.prepare(documents[at : at + BATCH]))
        self._encoding.keep()
        await self._index.analyze()
        self._searchers.clear()  # they remember how much there was

    async def rate(self, namespace: str, feedback: Mapping[str, float]) -> None:
        """Have the items of a namespace rated, by id."""
        async with postgres.transaction(self._pool, postgres.Reach((namespace,))) as connection:
            await connection.execute(
                RATE, {"namespace": namespace, "ids": list(feedback), "said": list(feedback.values())}
            )

    async def ask(self, question: str, within: Filter, scale: Scale, most: int = 10) -> list[str]:
        """The ids that a search answers, best first."""
        request = Request(question, within, bundle=False, named=True, limit=most)
        return [hit.key.item_id for hit in (await self._searcher(scale).find(request, Timings())).hits]

    async def ask_each(self, question: str, within: Filter, scales: Sequence[Scale]) -> list[str]:
        """What several searches answer, fused by reciprocal rank; of one search, what it answers."""
        if len(scales) == 1:
            return await self.ask(question, within, scales[0])
        worth: dict[str, float] = defaultdict(float)
        for scale in scales:
            for place, one in enumerate(await self.ask(question, within, scale, FUSED), 1):
                worth[one] += 1 / (RANK_OFFSET + place)
        return sorted(worth, key=lambda one: (-worth[one], one))[:10]

    async def bundle(self, question: str, within: Filter, budget: int, scale: Scale) -> Bundle:
        """The bundle of at most `budget` tokens that a context query answers."""
        answerer = Answerer(self._searcher(scale), UNVOUCHED)
        answer = await answerer.answer(Request(question, within), budget, explain=False, timings=Timings())
        packed = answer.packed
        return Bundle(packed.tokens, {item.scored.key.item_id: tokens for item, tokens in packed.items})

    def _searcher(self, scale: Scale) -> Searcher:
        if scale not in self._searchers:
            self._searchers[scale] = Searcher(self._readers, self._encoding, scale)
        return self._searchers[scale]


@asynccontextmanager
async def arena(url: str, encoding: Encoding) -> AsyncIterator[Arena]:
    """An arena in the empty database at `url`."""
    await postgres.migrate(url, schema="retrieval", directory=MIGRATIONS)
    async with postgres.open_pool(url, SESSION, name="quality", size=4, configure=configure) as pool:
        yield Arena(pool, encoding)
    encoding.keep()
