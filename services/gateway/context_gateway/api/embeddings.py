"""The local model for anyone who speaks OpenAI's protocol."""

import base64
import struct
from collections.abc import AsyncIterator, Sequence

from fastapi import Request
from starlette.responses import Response

from context.v1 import embedding_pb2 as pb
from context_common.client import call, stream
from context_common.errors import Invalid, Unavailable
from context_gateway.answers import answer
from context_gateway.api import BUDGET, charge, clients, router
from context_gateway.clients import Clients
from context_gateway.openapi import answered
from context_gateway.rates import TooMany
from context_gateway.schemas.requests import Embeddings
from context_gateway.schemas.shapes import Usage, Vector, Vectors

BATCH = 64  # texts that Embed takes at most

routes = router("Embeddings")


@routes.post(
    "/v1/embeddings",
    operation_id="create_embeddings",
    summary="Texts to vectors, as OpenAI's API does",
    responses=answered(Vectors),
)
async def create_embeddings(request: Request, body: Embeddings) -> Response:
    """`model` is echoed; every name stands for the one model there is."""
    if len(body.input) > BATCH:
        standing = await charge(request)(len(body.input))
        if standing and standing.over:
            raise TooMany(standing)
    embeddings, model = await _embed(clients(request), body.input)
    if body.dimensions is not None and body.dimensions != model.dimension:
        raise Invalid({"dimensions": [f"must be {model.dimension}"]})
    write = _base64 if body.encoding_format == "base64" else _floats
    tokens = sum(embedding.token_count for embedding in embeddings)
    data: list[Vector] = [
        {"object": "embedding", "index": index, "embedding": write(embedding.vector)}
        for index, embedding in enumerate(embeddings)
    ]
    usage: Usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    content: Vectors = {"object": "list", "data": data, "model": body.model or model.id, "usage": usage}
    return answer(content)


async def _embed(services: Clients, texts: Sequence[str]) -> tuple[list[pb.Embedding], pb.Model]:
    """The vectors of `texts`: at once for a few, as background work for many."""
    if len(texts) <= BATCH:
        answered = await call(services.embedding.Embed, pb.EmbedRequest(texts=texts), within=BUDGET)
        return list(answered.embeddings), answered.model
    embeddings: list[pb.Embedding] = []
    model = pb.Model()
    async for part in stream(services.embedding.EmbedMany, _batches(texts), within=BUDGET):
        embeddings.extend(part.embeddings)
        model = part.model
    if len(embeddings) != len(texts):
        raise Unavailable("the embedding service broke off")
    return embeddings, model


async def _batches(texts: Sequence[str]) -> AsyncIterator[pb.EmbedManyRequest]:
    for start in range(0, len(texts), BATCH):
        yield pb.EmbedManyRequest(texts=texts[start : start + BATCH])


def _floats(vector: bytes) -> tuple[float, ...]:
    return struct.unpack(f"<{len(vector) // 4}f", vector)


def _base64(vector: bytes) -> str:
    return base64.b64encode(vector).decode()
