"""Asks the index as retrieval does, with vectors that are given: how long a question takes and what it misses."""

import os
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from context_common import postgres
from context_common.postgres import Options
from context_embedding import files
from context_embedding.encoder import Encoder
from context_retrieval.analysis import analyse, codes_in
from context_retrieval.embedder import Embedded, Embedder, Model
from context_retrieval.model import Filter, Question, Vector
from context_retrieval.rank import Mode, Scale
from context_retrieval.search import COUNTED, Request, Searcher, Timings, plan_for
from context_retrieval.store import SESSION, Passing, Readers, configure
from context_retrieval.store.statement import Way
from context_retrieval.vocabulary import Vocabulary
from tests.bench import corpus
from tests.bench.timing import percentile

TOP = 10
LONGEST = 60.0  # seconds of questions of one kind


class Given(Embedder):
    """Vectors that were made before, behind what retrieval takes for the embedding service."""

    def __init__(self, vectors: Mapping[str, Vector], model: Model) -> None:
        self.vectors, self.model = vectors, model

    @classmethod
    def encode(cls, count: int, seed: int) -> "Given":
        """So many questions of the corpus and their real vectors."""
        encoder = Encoder.load(files.default_directory(os.environ), "int8")
        asked = corpus.questions(count, seed)
        vectors = {question: encoder.embed_now([question])[0] for question in asked}
        return cls(vectors, Model(encoder.model_id, encoder.manifest.max_tokens))

    @property
    def questions(self) -> list[str]:
        """Those whose vectors there are."""
        return list(self.vectors)

    async def question(self, windows: Sequence[str], most: float) -> Embedded:
        """The vector of a question."""
        assert self.model
        return Embedded(self.vectors[windows[0]], 0, self.model.id)


class Probe:
    """A connection to ask on."""

    def __init__(self, readers: Readers, given: Given) -> None:
        self._readers, self._given = readers, given
        self._searcher = Searcher(readers, given, Scale())
        self._vocabulary = Vocabulary()

    async def took(self, wanted: Filter, warm: int) -> dict[str, float]:
        """Milliseconds of a search without its embedding, one by one: p50, p99, and p50 of the statement alone.

        The first `warm` questions do not count. Where they take long, fewer are asked.
        """
        whole, statement, until = list[float](), list[float](), time.perf_counter() + LONGEST
        for question in self._given.questions:
            if time.perf_counter() > until and len(whole) > 2 * warm:
                break
            timings, start = Timings(), time.perf_counter()
            await self._searcher.find(Request(question, wanted, bundle=False, named=True, limit=TOP), timings)
            whole.append((time.perf_counter() - start) * 1000)
            statement.append(timings.seconds["sql"] * 1000)
        whole, statement = whole[warm:], statement[warm:]
        return {"p50": percentile(whole, 0.5), "p99": percentile(whole, 0.99), "sql": percentile(statement, 0.5)}

    async def recall(self, wanted: Filter, questions: int) -> dict[str, float]:
        """Of the ten that a search finds which compares every vector, the share that ours finds: by meaning alone, and
        by meaning and words.
        """
        reader = self._readers.of(wanted.namespaces)
        size = await reader.size(wanted.namespaces)
        passing = Passing(size.documents, size.unvouched)
        if wanted.narrow:
            passing = await reader.passing(wanted, COUNTED)
        found = {"semantic": 0, "hybrid": 0}
        all_of = dict.fromkeys(found, 0)
        for text in self._given.questions[:questions]:
            for mode in found:
                question = await self._question(text, wanted, size.documents, words=mode == "hybrid")
                plan, far = plan_for(Request(text, wanted, bundle=False), Mode(mode), size, passing, TOP)
                every = replace(plan, way=Way.PART if wanted.narrow else Way.WHOLE)
                exact, ours = [
                    {hit.key for hit in (await reader.search(question, wanted, how, TOP, far))[0]}
                    for how in (every, plan)
                ]
                found[mode] += len(exact & ours)
                all_of[mode] += len(exact)
        return {mode: found[mode] / max(all_of[mode], 1) for mode in found}

    async def _question(self, text: str, wanted: Filter, documents: int, *, words: bool) -> Question:
        embedded = await self._given.question([text], 0)
        plain = Question(vector=embedded.vector, model_id=embedded.model_id)
        if not words:
            return plain
        said, reader = analyse(text), self._readers.of(wanted.namespaces)
        weights = await self._vocabulary.weigh(reader, wanted.namespaces, documents, said, codes_in(text))
        return Question(said.plain, weights, (), embedded.vector, embedded.model_id)


@asynccontextmanager
async def probe(url: str, given: Given, schema: str = SESSION.schema) -> AsyncIterator[Probe]:
    """Asks the index at `url`; what `schema` names first is found there first."""
    options = Options(schema, SESSION.role)
    async with postgres.open_pool(url, options, name="bench", size=1, configure=configure) as pool:
        yield Probe(Readers(postgres.Reads(pool)), given)
