"""Makes documents ready to be stored: words, passages, and vectors as far as they are to be had."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import structlog

from context_common.errors import AppError
from context_retrieval.bundle import counted, counted_passage
from context_retrieval.embedder import Embedded, Embedder, Model, unavailable
from context_retrieval.model import Chunk, Document, Entry, Key, Known, Words
from context_retrieval.passages import Passage, Text, words
from context_retrieval.store import Index

EMBED_WAIT = 8.0  # seconds for one batch; what is not done by then is left to the filler

log = structlog.get_logger()


class Preparer:
    """Turns documents into entries. No database connection is held while the embedding service works."""

    def __init__(self, index: Index, embedder: Embedder) -> None:
        self._index, self._embedder = index, embedder

    async def prepare(self, documents: Sequence[Document], wait: float = EMBED_WAIT) -> list[Entry]:
        """Entries for `documents`. `model_id` is empty where vectors are not to be had within `wait` seconds."""
        entries = [Entry(document, Words("", "", "", "", 0), b"", ()) for document in documents if document.deleted]
        live = {document.key: document for document in documents if not document.deleted}
        model = self._embedder.model or await self._model()
        known = await self._index.known(list(live), model.id if model else "")
        texts = {key: Text(document) for key, document in live.items()}
        unchanged = [key for key in live if _unchanged(texts[key], known.get(key, Known()), model)]
        entries += [_entry(live[key], texts[key], None, known[key].model_id) for key in unchanged]
        rest = [key for key in live if key not in set(unchanged)]
        passages = await self._cut({key: texts[key] for key in rest}, model)
        chunks = await self._embed(passages, known, wait)
        return entries + [_entry(live[key], texts[key], chunks[key], _model_of(chunks[key])) for key in rest]

    async def _model(self) -> Model | None:
        try:
            return await self._embedder.describe()
        except AppError as error:
            if not unavailable(error):
                raise
            return None

    async def _cut(self, texts: Mapping[Key, Text], model: Model | None) -> dict[Key, list[Passage]]:
        """Each text's passages: by the model's own tokens, or about so when it cannot be asked."""
        if model:
            asked = [part for text in texts.values() for part in (text.title, text.layout.text)]
            try:
                starts = await self._embedder.tokenize(asked)
            except AppError as error:
                if not unavailable(error):
                    raise
            else:
                pairs = zip(starts[::2], starts[1::2], strict=True)
                return {
                    key: text.passages(model.window, title, body)
                    for (key, text), (title, body) in zip(texts.items(), pairs, strict=True)
                }
        return {key: text.rough_passages() for key, text in texts.items()}

    async def _embed(
        self, passages: Mapping[Key, Sequence[Passage]], known: Mapping[Key, Known], wait: float
    ) -> dict[Key, list[Chunk]]:
        """The chunks of each item, with the vectors that are known or can be had in time."""
        chunks = {
            key: [_chunk(passage, known.get(key, Known())) for passage in items] for key, items in passages.items()
        }
        missing = [(key, at) for key, items in chunks.items() for at, chunk in enumerate(items) if chunk.vector is None]
        places = iter(missing)
        try:
            if missing and self._embedder.model:
                texts = [passages[key][at].embedded for key, at in missing]
                async for embedded in self._embedder.embed(texts, wait):
                    key, at = next(places)
                    chunks[key][at] = _with(chunks[key][at], embedded)
        except AppError as error:
            if not unavailable(error):
                raise
            log.warning("indexed_without_vectors", reason=error.message, chunks=len(list(places)))
        return chunks


def _unchanged(text: Text, known: Known, model: Model | None) -> bool:
    """Whether the stored chunks will do. Where no model can be asked, any model's are better than none."""
    complete = known.model_id == model.id if model else bool(known.model_id)
    return complete and known.text_digest == text.digest


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


def _model_of(chunks: Sequence[Chunk]) -> str:
    """The model that all vectors are of; empty where one is missing."""
    models = {chunk.model_id for chunk in chunks}
    return models.pop() if len(models) == 1 else ""
