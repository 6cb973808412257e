"""The gRPC skin of embedding: limits, cache, then the embedder."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeAlias

from google.protobuf.duration_pb2 import Duration

from context.v1 import embedding_pb2 as pb
from context.v1 import embedding_pb2_grpc as rpc
from context_common.errors import Invalid
from context_embedding.cache import Cache
from context_embedding.model import Description, Embedder, Embedding, Timings

TEXTS = 64  # in one Embed or Tokenize
BULK_TEXTS = 256  # in one message of EmbedMany
CHARACTERS = 100_000  # of a text to embed
TOKENIZED_CHARACTERS = 2_000_000  # of a text to tokenise: whole documents come, to be cut

Context: TypeAlias = Any  # grpc's own is generic for type checkers only


class EmbeddingServicer(rpc.EmbeddingServiceServicer):
    """Answers for EmbeddingService."""

    def __init__(self, embedder: Embedder, cache: Cache) -> None:
        self._embedder, self._cache = embedder, cache

    async def Embed(self, request: pb.EmbedRequest, context: Context) -> pb.EmbedResponse:
        _check(request.texts, TEXTS, CHARACTERS)
        description = await self._embedder.describe()
        embeddings, timings = await self._by_cache(description.id, request.texts)
        return pb.EmbedResponse(
            embeddings=map(_embedding, embeddings), model=_model(description), timings=_timings(timings)
        )

    async def EmbedMany(
        self, request_iterator: AsyncIterator[pb.EmbedManyRequest], context: Context
    ) -> AsyncIterator[pb.EmbedManyResponse]:
        model = _model(await self._embedder.describe())
        async for request in request_iterator:
            _check(request.texts, BULK_TEXTS, CHARACTERS)
            embeddings, timings = await self._embedder.embed(request.texts, interactive=False)
            yield pb.EmbedManyResponse(embeddings=map(_embedding, embeddings), model=model, timings=_timings(timings))

    async def DescribeModel(self, request: pb.DescribeModelRequest, context: Context) -> pb.DescribeModelResponse:
        description = await self._embedder.describe()
        return pb.DescribeModelResponse(
            model=_model(description),
            name=description.name,
            quantization=description.quantization,
            pooling=description.pooling,
            normalized=True,
        )

    async def Tokenize(self, request: pb.TokenizeRequest, context: Context) -> pb.TokenizeResponse:
        _check(request.texts, TEXTS, TOKENIZED_CHARACTERS)
        found = await self._embedder.starts(request.texts)
        return pb.TokenizeResponse(texts=[pb.TokenizedText(starts=starts) for starts in found])

    async def _by_cache(self, model_id: str, texts: Sequence[str]) -> tuple[list[Embedding], Timings]:
        """The embeddings of `texts`, computed where the cache has none."""
        found = await self._cache.get(model_id, texts)
        wanted = list(dict.fromkeys(text for text, hit in zip(texts, found, strict=True) if hit is None))
        if not wanted:
            return [hit for hit in found if hit], Timings()
        made, timings = await self._embedder.embed(wanted, interactive=True)
        await self._cache.put(model_id, wanted, made)
        new = dict(zip(wanted, made, strict=True))
        return [hit or new[text] for text, hit in zip(texts, found, strict=True)], timings


def _check(texts: Sequence[str], most: int, characters: int) -> None:
    """Raise Invalid with everything that is too many or too long."""
    wrong = {
        f"texts[{at}]": [f"is longer than {characters} characters"]
        for at, text in enumerate(texts[:most])
        if len(text) > characters
    }
    if len(texts) > most:
        wrong["texts"] = [f"has more than {most} entries"]
    if wrong:
        raise Invalid(wrong)


def _model(description: Description) -> pb.Model:
    return pb.Model(id=description.id, dimension=description.dimension, max_tokens=description.max_tokens)


def _embedding(one: Embedding) -> pb.Embedding:
    return pb.Embedding(vector=one.vector, token_count=one.token_count, truncated=one.truncated)


def _timings(timings: Timings) -> pb.Timings:
    return pb.Timings(
        queued=_duration(timings.queued), tokenized=_duration(timings.tokenized), inferred=_duration(timings.inferred)
    )


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(int(seconds * 1e9))
    return duration
