"""The gRPC skin of embedding: limits, cache, then the batcher."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from time import perf_counter
from typing import Any

from google.protobuf.duration_pb2 import Duration

from context.v1 import embedding_pb2 as pb
from context.v1 import embedding_pb2_grpc as rpc
from context_common.errors import Invalid
from context_embedding.batcher import Batcher, in_order_of_length
from context_embedding.cache import Cache, Cached
from context_embedding.encoder import Encoder

MOST_TEXTS = 64  # of an Embed
MOST_BULK_TEXTS = 256  # of one EmbedMany message
MOST_CHARACTERS = 100_000  # of a text


class EmbeddingServicer(rpc.EmbeddingServiceServicer):
    """Answers with vectors of one model."""

    def __init__(self, encoder: Encoder, quantization: str, batcher: Batcher, cache: Cache) -> None:
        self._encoder, self._quantization, self._batcher, self._cache = encoder, quantization, batcher, cache
        manifest = encoder.manifest
        self._model = pb.Model(
            id=manifest.model_id(quantization), dimension=manifest.dimension, max_tokens=manifest.max_tokens
        )

    async def Embed(self, request: pb.EmbedRequest, context: Any) -> pb.EmbedResponse:
        embeddings, timings = await self._embed(request.texts, MOST_TEXTS, interactive=True)
        return pb.EmbedResponse(embeddings=embeddings, model=self._model, timings=timings)

    async def EmbedMany(self, request_iterator: Any, context: Any) -> AsyncIterator[pb.EmbedManyResponse]:
        async for request in request_iterator:
            embeddings, timings = await self._embed(request.texts, MOST_BULK_TEXTS, interactive=False)
            yield pb.EmbedManyResponse(embeddings=embeddings, model=self._model, timings=timings)

    async def DescribeModel(self, request: pb.DescribeModelRequest, context: Any) -> pb.DescribeModelResponse:
        manifest = self._encoder.manifest
        return pb.DescribeModelResponse(
            model=self._model,
            name=manifest.name,
            quantization=self._quantization,
            pooling=manifest.pooling,
            normalized=manifest.normalization == "l2",
        )

    async def Tokenize(self, request: pb.TokenizeRequest, context: Any) -> pb.TokenizeResponse:
        _check(request.texts, MOST_BULK_TEXTS)
        starts = await asyncio.to_thread(lambda: [self._encoder.starts(text) for text in request.texts])
        return pb.TokenizeResponse(texts=[pb.TokenizedText(starts=row) for row in starts])

    async def _embed(
        self, texts: Sequence[str], most: int, *, interactive: bool
    ) -> tuple[list[pb.Embedding], pb.Timings]:
        """Vectors in the order of `texts`; what the cache knows is not computed again."""
        _check(texts, most)
        found: list[Cached | None] = await self._cache.get(texts) if interactive else [None] * len(texts)
        missing = [position for position, hit in enumerate(found) if hit is None]
        timings = pb.Timings()
        if missing:
            wanted = [texts[position] for position in missing]
            vectors = await self._compute(wanted, timings, interactive=interactive)
            if interactive:
                await self._cache.put(wanted, vectors)
            for position, vector in zip(missing, vectors, strict=True):
                found[position] = vector
        return [
            pb.Embedding(vector=hit.vector, token_count=hit.token_count, truncated=hit.truncated)
            for hit in found
            if hit is not None
        ], timings

    async def _compute(self, texts: Sequence[str], timings: pb.Timings, *, interactive: bool) -> list[Cached]:
        self._batcher.reserve(len(texts))
        start = perf_counter()
        tokens = (
            self._encoder.tokenize(texts)
            if interactive and sum(map(len, texts)) < MOST_CHARACTERS // 10
            else await asyncio.to_thread(self._encoder.tokenize, texts)
        )
        _set(timings.tokenized, perf_counter() - start)
        order = in_order_of_length(tokens)
        results = await self._batcher.embed([tokens[position] for position in order], interactive=interactive)
        _set(timings.queued, max(queued for _, queued, _ in results))
        _set(timings.inferred, max(inferred for _, _, inferred in results))
        vectors: list[Cached | None] = [None] * len(texts)
        for position, (vector, _, _) in zip(order, results, strict=True):
            cut = tokens[position]
            vectors[position] = Cached(vector.astype("<f4").tobytes(), len(cut.ids), cut.truncated)
        return [vector for vector in vectors if vector is not None]


def _check(texts: Sequence[str], most: int) -> None:
    """Raise Invalid with everything that is too many or too long."""
    wrong = {
        f"texts[{position}]": [f"is longer than {MOST_CHARACTERS} characters"]
        for position, text in enumerate(texts)
        if len(text) > MOST_CHARACTERS
    }
    if not 1 <= len(texts) <= most:
        wrong["texts"] = [f"must be 1 to {most}, not {len(texts)}"]
    if wrong:
        raise Invalid(wrong)


def _set(duration: Duration, seconds: float) -> None:
    duration.FromNanoseconds(int(seconds * 1e9))
