"""Makes documents ready to be stored: words, passages, and vectors as far as they are to be had."""

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import starmap, zip_longest
from typing import TypeAlias

import structlog

from context_common.errors import AppError, Invalid, TooLate
from context_retrieval.bundle import counted, counted_passage
from context_retrieval.embedder import GROUP, Embedded, Embedder, Failed, Model, unavailable
from context_retrieval.model import Chunk, Document, Entry, Key, Known, Words
from context_retrieval.passages import Passage, Text, words
from context_retrieval.store import Index

EMBED_WAIT = 8.0  # seconds for one batch; what is not done by then is left to the filler

Place: TypeAlias = tuple[Key, int]  # of a chunk in its item

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Prepared:
    """Entries, how many vectors were computed for them, and what ended that before all were."""

    entries: list[Entry]
    gained: int = 0
    stopped: AppError | None = None


class Preparer:
    """Turns documents into entries. No database connection is held while the embedding service works.

    What takes long for a large document is done in threads: questions are answered on the event loop meanwhile.
    """

    def __init__(self, index: Index, embedder: Embedder) -> None:
        self._index, self._embedder = index, embedder

    async def prepare(self, documents: Sequence[Document]) -> list[Entry]:
        """Entries for `documents`. `model_id` is empty where vectors are not to be had in a moment."""
        model = self._embedder.model or await self._model()
        prepared = await self._prepare(documents, model, EMBED_WAIT)
        if prepared.stopped:
            log.warning("indexed_without_vectors", reason=prepared.stopped.message)
        return prepared.entries

    async def complete(
        self, documents: Sequence[Document], wait: float, most: int, *, around: bool = False
    ) -> Prepared:
        """Entries with what is known of the vectors of `documents`, and at most `most` more, had within `wait` seconds;
        without their words, which the index has.

        They are cut as the model reads them or not at all: what is cut otherwise would lose the vectors that it has.
        `around`: what the embedding service fails on or refuses keeps no other passage from its vector.

        Raises:
            AppError: The embedding service cannot be asked where tokens are.
        """
        return await self._prepare(documents, await self._embedder.describe(), wait, most, around=around)

    async def _prepare(
        self,
        documents: Sequence[Document],
        model: Model | None,
        wait: float,
        most: int | None = None,
        *,
        around: bool = False,
    ) -> Prepared:
        entries = [Entry(document, Words("", "", "", "", 0), b"", ()) for document in documents if document.deleted]
        live = {document.key: document for document in documents if not document.deleted}
        known = await self._index.known(list(live), model.id if model else "")
        texts = {key: Text(document) for key, document in live.items()}
        unchanged = [key for key in live if _unchanged(texts[key], known.get(key, Known()), model)]
        entries += [_entry(live[key], texts[key], None, known[key].model_id) for key in unchanged]
        rest = [key for key in live if key not in set(unchanged)]
        passages = await self._cut({key: texts[key] for key in rest}, model, roughly=most is None)
        chunks = await asyncio.to_thread(_chunks, passages, known)
        wanted = _Wanted(passages, chunks)
        if around and most:
            gained, stopped = await self._embed_around(wanted, wait, most)
        else:
            gained, stopped = await self._embed(wanted, wanted.places(most), wait)
        make = _entry if most is None else _filling
        parts = [(live[key], texts[key], chunks[key], _model_of(chunks[key])) for key in rest]
        entries += await asyncio.to_thread(lambda: list(starmap(make, parts)))
        return Prepared(entries, gained, stopped)

    async def _model(self) -> Model | None:
        try:
            return await self._embedder.describe()
        except AppError as error:
            if not unavailable(error):
                raise
            return None

    async def _cut(self, texts: Mapping[Key, Text], model: Model | None, *, roughly: bool) -> dict[Key, list[Passage]]:
        """Each text's passages: by the model's own tokens, or about so where it cannot be asked and that will do."""
        if model:
            asked = [part for text in texts.values() for part in (text.title, text.layout.text)]
            try:
                starts = await self._embedder.tokenize(asked)
            except AppError as error:
                if not (roughly and unavailable(error)):
                    raise
            else:
                return await asyncio.to_thread(_passages, texts, model.window, starts)
        return await asyncio.to_thread(lambda: {key: text.rough_passages() for key, text in texts.items()})

    async def _embed(self, wanted: "_Wanted", places: Sequence[Place], wait: float) -> tuple[int, AppError | None]:
        """Have the vectors at `places` that are to be had in time; answers how many, and what ended it too early."""
        gained = 0
        if not (places and self._embedder.model):
            return gained, None
        try:
            async for embedded in self._embedder.embed([wanted.text(place) for place in places], wait):
                wanted.put(places[gained], embedded)
                gained += 1
        except AppError as error:  # away, full or late; or it fails on one of them, or refuses it
            return gained, error
        return gained, Failed("the embedding service broke off") if gained < len(places) else None

    async def _embed_around(self, wanted: "_Wanted", wait: float, most: int) -> tuple[int, AppError | None]:
        """The same of all places, until about `most` are had, past those that the embedding service fails on: of a
        group that has one, each is tried by itself.
        """
        until, gained, places = time.monotonic() + wait, 0, wanted.shuffled()
        groups = [places[at : at + GROUP] for at in range(0, len(places), GROUP)]
        bad: AppError | None = None
        while groups and gained < most:
            left = until - time.monotonic()
            if left <= 0:
                return gained, bad or TooLate()
            group = groups.pop(0)
            more, error = await self._embed(wanted, group, left)
            gained += more
            if error and not isinstance(error, Failed | Invalid):
                return gained, error
            if error and len(group) > 1:
                groups[:0] = [[place] for place in group[more:]]
            else:
                bad = error or bad
        return gained, bad


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Chunks, some of which lack vectors, and the passages that they are of."""

    passages: Mapping[Key, Sequence[Passage]]
    chunks: Mapping[Key, list[Chunk]]

    def places(self, most: int | None) -> list[Place]:
        """Where vectors are lacking, at most so many.

        Items take turns: one of a thousand passages leaves as much time to the others as one of ten.
        """
        lacking = [
            [(key, at) for at, chunk in enumerate(items) if chunk.vector is None] for key, items in self.chunks.items()
        ]
        return [place for turn in zip_longest(*lacking) for place in turn if place][:most]

    def shuffled(self) -> list[Place]:
        """All of them, in another order every time: those that are never to be had must not keep the rest waiting."""
        lacking = self.places(None)
        return random.sample(lacking, len(lacking))

    def text(self, place: Place) -> str:
        key, at = place
        return self.passages[key][at].embedded

    def put(self, place: Place, embedded: Embedded) -> None:
        key, at = place
        self.chunks[key][at] = _with(self.chunks[key][at], embedded)


def _unchanged(text: Text, known: Known, model: Model | None) -> bool:
    """Whether the stored chunks will do. Where no model can be asked, any model's are better than none."""
    complete = known.model_id == model.id if model else bool(known.model_id)
    return complete and known.text_digest == text.digest


def _passages(texts: Mapping[Key, Text], window: int, starts: Sequence[Sequence[int]]) -> dict[Key, list[Passage]]:
    """The passages of each text, by where the tokens of its title and of its body start."""
    pairs = zip(texts.items(), starts[::2], starts[1::2], strict=True)
    return {key: text.passages(window, title, body) for (key, text), title, body in pairs}


def _chunks(passages: Mapping[Key, Sequence[Passage]], known: Mapping[Key, Known]) -> dict[Key, list[Chunk]]:
    return {key: [_chunk(passage, known.get(key, Known())) for passage in items] for key, items in passages.items()}


def _chunk(passage: Passage, known: Known) -> Chunk:
    """The passage with the vector that its text had already, if it had one."""
    chunk = known.vectors.get(passage.digest) or Chunk("", passage.digest)
    return replace(chunk, text=passage.text, tally=counted_passage(passage.text))


def _with(chunk: Chunk, embedded: Embedded) -> Chunk:
    return replace(chunk, vector=embedded.vector, token_count=embedded.token_count, model_id=embedded.model_id)


def _entry(document: Document, text: Text, chunks: Sequence[Chunk] | None, model_id: str) -> Entry:
    return Entry(
        document,
        words(document),
        text.digest,
        None if chunks is None else tuple(chunks),
        model_id,
        counted(document),
    )


def _filling(document: Document, text: Text, chunks: Sequence[Chunk], model_id: str) -> Entry:
    """The entry of a document of which nothing but vectors is missing."""
    return Entry(document, Words("", "", "", "", 0), text.digest, tuple(chunks), model_id)


def _model_of(chunks: Sequence[Chunk]) -> str:
    """The model that all vectors are of; empty where one is missing."""
    models = {chunk.model_id for chunk in chunks}
    return models.pop() if len(models) == 1 else ""
