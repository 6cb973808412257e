"""Retrieval's view of the embedding service: vectors for questions at once or not at all, for passages in bulk."""

import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import structlog

from context.v1 import embedding_pb2 as pb
from context.v1 import embedding_pb2_grpc as rpc
from context_common import deadline
from context_common.client import away, call, stream
from context_common.errors import AppError, Invalid, Overloaded, TooLate, Unavailable
from context_retrieval.model import DIMENSION, Vector

REST = 1.0  # seconds for which a service that was away is not asked again
PROBE_WAIT = 2.0  # seconds to answer what costs it next to nothing
QUESTIONS, BULK = "questions", "bulk"
FAIR = 0.25  # seconds in which a service that is well answers a question, for each of its windows
SHARE = 0.4  # of what a request has left may go by before words alone have to do
GROUP = 16  # texts in one message
CHARACTERS = 200_000  # in one message, but for a text that is longer by itself
READ = 100_000  # characters a second that are tokenised at least; a quarter of what one core does
REMEMBERED = 2000  # questions whose vectors are kept, 3 MB

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Model:
    """The model in use. Vectors of two models never compare."""

    id: str
    window: int  # tokens, special ones included


@dataclass(frozen=True, slots=True)
class Embedded:
    """A vector, by which model, and how many tokens it stands for."""

    vector: Vector
    token_count: int
    model_id: str


class Failed(Unavailable):
    """The embedding service failed on what it was given; another time, or on another text, it may not."""


class Embedder:
    """The embedding service. Every method raises Unavailable, TooLate or Overloaded where it has no answer; those for
    passages raise Invalid where it refuses what it was given.
    """

    def __init__(self, stub: "rpc.EmbeddingServiceAsyncStub") -> None:
        self._stub = stub
        self._rest_until = {QUESTIONS: 0.0, BULK: 0.0}
        self.model: Model | None = None
        self._questions: dict[tuple[str, ...], Embedded] = {}  # those asked lately, the oldest first

    async def describe(self) -> Model:
        """Which model answers now."""
        with self._watched(BULK):
            answer = await call(self._stub.DescribeModel, pb.DescribeModelRequest(), within=PROBE_WAIT)
        return self._learn(answer.model)

    async def question(self, windows: Sequence[str], most: float) -> Embedded:
        """The vector of a question, waited for `most` seconds or a share of what the request has left.

        A question longer than the model's window comes in several, and its vector points between theirs.
        """
        asked = tuple(windows)
        remembered = self._questions.get(asked)
        if remembered:
            return remembered
        within = min(most, deadline.remaining(60.0) * SHARE)
        with self._watched(QUESTIONS):
            answer = await call(self._stub.Embed, pb.EmbedRequest(texts=asked), within=within, fair=FAIR * len(asked))
        model = self._learn(answer.model)
        found = _middle([_embedded(embedding, model) for embedding in answer.embeddings])
        while len(self._questions) >= REMEMBERED:
            self._questions.pop(next(iter(self._questions)))
        self._questions[asked] = found
        return found

    async def tokenize(self, texts: Sequence[str]) -> list[Sequence[int]]:
        """For each text, the characters at which its tokens start."""
        found: list[Sequence[int]] = []
        with self._watched(BULK):
            for group in _groups(texts):
                within = PROBE_WAIT + sum(map(len, group)) / READ
                answer = await call(self._stub.Tokenize, pb.TokenizeRequest(texts=group), within=within)
                found.extend(text.starts for text in answer.texts)
        return found

    async def embed(self, texts: Sequence[str], within: float) -> AsyncIterator[Embedded]:
        """The vectors of `texts`, in order, as they come; `within` is for all of them."""

        async def requests() -> AsyncIterator[pb.EmbedManyRequest]:
            for group in _groups(texts):
                yield pb.EmbedManyRequest(texts=group)

        with self._watched(BULK):
            async for answer in stream(self._stub.EmbedMany, requests(), within=within):
                model = self._learn(answer.model)
                for embedding in answer.embeddings:
                    yield _embedded(embedding, model)

    @contextmanager
    def _watched(self, lane: str) -> Iterator[None]:
        """Leave a service alone for a moment after it was away, so that not everybody asks it in turn.

        One that is late answers others: it may have been asked for much, or have had no time. When it is late to call
        after call that had time enough, the circuit opens, and that is away. Bulk work says nothing about questions.
        """
        if time.monotonic() < self._rest_until[lane]:
            raise Unavailable("the embedding service did not answer a moment ago")
        try:
            yield
        except (Overloaded, Unavailable, TooLate) as error:
            if isinstance(error, Unavailable):
                self._rest_until[lane] = time.monotonic() + REST
            raise
        except (AppError, RuntimeError) as error:  # it answers, but not to this
            if lane is BULK and isinstance(error, Invalid):
                raise
            raise Failed(f"the embedding service failed: {error}") from error

    def _learn(self, model: pb.Model) -> Model:
        if model.dimension != DIMENSION:
            log.error("model_does_not_fit", model=model.id, dimension=model.dimension, index_dimension=DIMENSION)
            raise Unavailable(
                f"model {model.id} has {model.dimension} dimensions, the index {DIMENSION}: they cannot be compared", 60
            )
        if self.model is None or self.model.id != model.id:
            log.info("model", model=model.id, before=self.model and self.model.id)
            self.model = Model(model.id, model.max_tokens)
            self._questions.clear()
        return self.model


def unavailable(error: Exception) -> bool:
    """Whether `error` means that there are no vectors to be had just now, and one does without."""
    return away(error) or isinstance(error, Overloaded)


def _embedded(embedding: pb.Embedding, model: Model) -> Embedded:
    vector = np.frombuffer(embedding.vector, dtype="<f4")
    return Embedded(vector.astype(np.float32, copy=False), embedding.token_count, model.id)


def _middle(parts: Sequence[Embedded]) -> Embedded:
    """The vector that points between those of `parts`."""
    if len(parts) == 1:
        return parts[0]
    middle = np.sum([part.vector for part in parts], axis=0)
    vector = (middle / max(float(np.linalg.norm(middle)), 1e-9)).astype(np.float32)
    return Embedded(vector, sum(part.token_count for part in parts), parts[0].model_id)


def _groups(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """`texts` in messages, none of them too large."""
    group: list[str] = []
    for text in texts:
        if group and (len(group) == GROUP or sum(map(len, group)) + len(text) > CHARACTERS):
            yield group
            group = []
        group.append(text)
    if group:
        yield group
