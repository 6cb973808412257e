"""Retrieval as its callers meet it: the real service on a real database, between stand-ins for its two neighbours.

The stand-ins are servicers behind the real wire. Where a test is about meaning, the real model takes their place.
"""

import asyncio
import hashlib
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import grpc
import numpy as np
import psycopg
from psycopg.rows import dict_row

from context.v1 import embedding_pb2, embedding_pb2_grpc, knowledge_pb2, knowledge_pb2_grpc, types_pb2
from context.v1 import retrieval_pb2 as pb
from context.v1 import retrieval_pb2_grpc as rpc
from context_common import caller
from context_common.client import call, connect
from context_common.errors import AppError, Invalid
from context_common.server import Server
from context_retrieval.service import EMBEDDING, KNOWLEDGE, RETRIEVAL, build
from context_retrieval.settings import Settings
from tests.support.trust import process, trust

DIMENSION = 384
WINDOW = 64  # tokens of the stand-in's model: small, so that short texts already need several passages
PIECE = re.compile(r"[^\W_]{1,6}|[^\w\s]|_")
WORD = re.compile(r"[^\W_]+")
ENDS_WITHIN = 120.0  # seconds for what is waited for: five hundred items and the real model take six
ATTEMPTS = 3  # deliveries after which the stand-in sets a change aside


class FakeEmbedding(embedding_pb2_grpc.EmbeddingServiceServicer):
    """A model that knows words but no meanings: a text is the sum of its words."""

    def __init__(self) -> None:
        self.model = embedding_pb2.Model(id="words-1", dimension=DIMENSION, max_tokens=WINDOW)
        self.embedded: list[str] = []
        self.failure: AppError | None = None  # what every call ends with
        self.refused: dict[str, str] = {}  # words that passages must not have, and what it says then
        self.hanging = False

    async def _answer(self) -> None:
        if self.hanging:
            await asyncio.sleep(60)
        if self.failure:
            raise self.failure

    def embedding(self, text: str) -> embedding_pb2.Embedding:
        tokens = len(PIECE.findall(text)) + 2
        vector = sum((word_vector(word) for word in WORD.findall(text.lower())), np.full(DIMENSION, 1e-6))
        vector = vector / np.linalg.norm(vector)
        return embedding_pb2.Embedding(
            vector=vector.astype("<f4").tobytes(), token_count=min(tokens, WINDOW), truncated=tokens > WINDOW
        )

    async def Embed(self, request: embedding_pb2.EmbedRequest, context: Any) -> embedding_pb2.EmbedResponse:
        await self._answer()
        return embedding_pb2.EmbedResponse(embeddings=map(self.embedding, request.texts), model=self.model)

    async def EmbedMany(self, request_iterator: Any, context: Any) -> AsyncIterator[embedding_pb2.EmbedManyResponse]:
        async for request in request_iterator:
            await self._answer()
            for word, reason in self.refused.items():
                if any(word in text for text in request.texts):
                    raise Invalid({"texts": [reason]})
            self.embedded.extend(request.texts)
            yield embedding_pb2.EmbedManyResponse(embeddings=map(self.embedding, request.texts), model=self.model)

    async def DescribeModel(self, request: Any, context: Any) -> embedding_pb2.DescribeModelResponse:
        await self._answer()
        return embedding_pb2.DescribeModelResponse(model=self.model, name="words")

    async def Tokenize(self, request: embedding_pb2.TokenizeRequest, context: Any) -> embedding_pb2.TokenizeResponse:
        await self._answer()
        texts = [
            embedding_pb2.TokenizedText(starts=[match.start() for match in PIECE.finditer(text)])
            for text in request.texts
        ]
        return embedding_pb2.TokenizeResponse(texts=texts)


@cache
def word_vector(word: str) -> Any:
    """A direction of its own for each word."""
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8])
    return np.random.default_rng(seed).standard_normal(DIMENSION)


class FakeKnowledge(knowledge_pb2_grpc.KnowledgeServiceServicer):
    """Items and a feed of those that changed, in memory. What retrieval never calls is not there."""

    _missing: Any = None
    CreateItem = RecordItems = GetItem = ListItems = UpdateItem = DeleteItem = _missing
    CreateRelationship = DeleteRelationship = GetRelated = _missing
    RecordFeedback = GetFeedback = ListFeedback = GetFeedbackStats = _missing

    def __init__(self) -> None:
        self.items: dict[tuple[str, str], knowledge_pb2.Change] = {}
        self.feed: dict[tuple[str, str], knowledge_pb2.Change] = {}
        self.leased: dict[tuple[str, str], float] = {}  # until when
        self.workers: dict[tuple[str, str], str] = {}  # who leased it last
        self.aside: dict[tuple[str, str], str] = {}  # what was given up on, and why
        self.accesses: dict[tuple[str, str], int] = {}
        self.callers: set[str] = set()
        self.used: dict[tuple[str, str], int] = {}  # what it says they come to in 30 days
        self.deaf = False  # whether accesses are never acknowledged
        self._last = 0
        self._changed = asyncio.Event()

    def put(
        self, item: types_pb2.Item, namespace: str = "web", edges: Sequence[tuple[str, str]] = (), strength: float = 1.0
    ) -> int:
        """Record `item` with its outgoing `edges` (type, target); answers the change's id."""
        stored = types_pb2.Item()
        stored.CopyFrom(item)
        stored.namespace, stored.status = namespace, item.status or "active"
        stored.version = item.version or 1
        relationships = [
            types_pb2.Relationship(
                from_id=item.id,
                to_id=target,
                type=types_pb2.RelationshipType.Value(f"RELATIONSHIP_TYPE_{kind.upper()}"),
                strength=strength,
            )
            for kind, target in edges
        ]
        return self.change(
            knowledge_pb2.Change(namespace=namespace, item_id=item.id, item=stored, relationships=relationships)
        )

    def delete(self, item_id: str, namespace: str = "web") -> int:
        return self.change(knowledge_pb2.Change(namespace=namespace, item_id=item_id))

    def change(self, change: knowledge_pb2.Change) -> int:
        """Put `change` on the feed as the newest of all."""
        self._last += 1
        change.change_id = self._last
        key = (change.namespace, change.item_id)
        self.items[key] = self.feed[key] = change
        self.aside.pop(key, None)
        self.leased.pop(key, None)
        self._changed.set()
        return self._last

    def expire(self) -> None:
        """Let every lease run out."""
        self.leased.clear()
        self._changed.set()

    async def LeaseChanges(self, request: Any, context: Any) -> knowledge_pb2.LeaseChangesResponse:
        self.callers.add(caller.current().principal)
        until = time.monotonic() + request.wait.ToMilliseconds() / 1000
        while True:
            self._changed.clear()
            now = time.monotonic()
            keys = [key for key in self.feed if self.leased.get(key, now) <= now][: request.max_changes]
            if keys or now >= until:
                break
            with suppress(TimeoutError):
                async with asyncio.timeout(min(until - now, 1.0)):  # a lease may run out
                    await self._changed.wait()
        self.leased.update((key, now + request.lease.ToMilliseconds() / 1000) for key in keys)
        self.workers.update((key, request.worker) for key in keys)
        for key in keys:
            self.feed[key].attempts += 1
        return knowledge_pb2.LeaseChangesResponse(changes=[self.feed[key] for key in keys])

    async def RenewChanges(self, request: Any, context: Any) -> knowledge_pb2.RenewChangesResponse:
        held = [key for key in self.leased if self.workers[key] == request.worker]
        self.leased.update((key, time.monotonic() + request.lease.ToMilliseconds() / 1000) for key in held)
        return knowledge_pb2.RenewChangesResponse(renewed=len(held))

    async def AckChanges(self, request: Any, context: Any) -> knowledge_pb2.AckChangesResponse:
        done = 0
        for ref in request.done:
            key = (ref.namespace, ref.item_id)
            if key in self.feed and self.feed[key].change_id == ref.change_id:
                del self.feed[key]
                self.leased.pop(key, None)
                done += 1
        return knowledge_pb2.AckChangesResponse(acknowledged=done)

    async def FailChanges(self, request: Any, context: Any) -> knowledge_pb2.FailChangesResponse:
        aside = len(self.aside)
        for failure in request.failed:
            key = (failure.change.namespace, failure.change.item_id)
            self.leased.pop(key, None)  # it comes again at once
            if key in self.feed and self.feed[key].attempts >= ATTEMPTS:
                self.aside[key] = failure.reason
                del self.feed[key]
        self._changed.set()
        return knowledge_pb2.FailChangesResponse(set_aside=len(self.aside) - aside)

    async def ReplayChanges(self, request: Any, context: Any) -> knowledge_pb2.ReplayChangesResponse:
        namespace = caller.current().namespace
        keys = [key for key in self.items if request.every_namespace or key[0] == namespace]
        for key in keys:
            self.change(self.items[key])
        return knowledge_pb2.ReplayChangesResponse(replayed=len(keys))

    async def GetFeedStatus(self, request: Any, context: Any) -> knowledge_pb2.GetFeedStatusResponse:
        return knowledge_pb2.GetFeedStatusResponse(pending=len(self.feed), set_aside=len(self.aside))

    async def RecordAccess(self, request: Any, context: Any) -> knowledge_pb2.RecordAccessResponse:
        if self.deaf:
            await asyncio.sleep(60)
        for access in request.accesses:
            key = (access.namespace, access.item_id)
            self.accesses[key] = self.accesses.get(key, 0) + access.count
        return knowledge_pb2.RecordAccessResponse(
            totals=[
                knowledge_pb2.Access(namespace=access.namespace, item_id=access.item_id, count=count)
                for access in request.accesses
                if (count := self.used.get((access.namespace, access.item_id))) is not None
            ]
        )


@dataclass
class Retrieval:
    """The service under test, with short words for what tests do often."""

    stub: "rpc.RetrievalServiceAsyncStub"
    url: str
    knowledge: FakeKnowledge
    embedding: FakeEmbedding
    stop_knowledge: Callable[[], Awaitable[None]]
    namespace: str = "web"
    readable: frozenset[str] = frozenset()  # beside its own

    def as_(self, namespace: str, *readable: str) -> "Retrieval":
        """The same service for a caller in another namespace, who may read those in `readable` as well."""
        return replace(self, namespace=namespace, readable=frozenset(readable))

    @property
    def who(self) -> caller.Caller:
        """Whom the service is asked for."""
        return caller.Caller(
            self.namespace, "ada", "request-1", scopes=frozenset({caller.ADMIN}), readable=self.readable
        )

    async def ask(self, method: str, request: Any, within: float = 30) -> Any:
        caller.bind(self.who)
        return await call(getattr(self.stub, method), request, within=within)

    async def put(self, *items: types_pb2.Item, **how: Any) -> None:
        """Record `items` and wait until they are searchable."""
        for item in items:
            self.knowledge.put(item, **{"namespace": self.namespace, **how})
        await self.settled()

    async def settled(self) -> None:
        """Wait until the feed is empty."""
        async with asyncio.timeout(ENDS_WITHIN):
            while self.knowledge.feed:
                await asyncio.sleep(0.01)

    async def filled(self) -> None:
        """Wait until every passage has a vector of the model in use."""
        async with asyncio.timeout(ENDS_WITHIN):
            while (await self.status()).unembedded_chunks or self.knowledge.feed:
                await asyncio.sleep(0.05)

    async def status(self) -> pb.GetIndexStatusResponse:
        response: pb.GetIndexStatusResponse = await self.ask("GetIndexStatus", pb.GetIndexStatusRequest())
        return response

    async def query(self, text: str, **wanted: Any) -> tuple[dict[str, Any], pb.QueryContextResponse]:
        """The bundle as JSON, and the whole response."""
        filters = {name: wanted.pop(name) for name in list(wanted) if name in pb.Filter.DESCRIPTOR.fields_by_name}
        request = pb.QueryContextRequest(query=text, filter=pb.Filter(**filters), **wanted)
        response: pb.QueryContextResponse = await self.ask("QueryContext", request)
        return json.loads(response.bundle), response

    async def search(self, text: str, **wanted: Any) -> list[str]:
        """The ids of what a search finds, best first."""
        return [hit.id for hit in (await self.hits(text, **wanted)).results]

    async def hits(self, text: str, **wanted: Any) -> pb.SearchResponse:
        filters = {name: wanted.pop(name) for name in list(wanted) if name in pb.Filter.DESCRIPTOR.fields_by_name}
        response: pb.SearchResponse = await self.ask(
            "Search", pb.SearchRequest(query=text, filter=pb.Filter(**filters), **wanted)
        )
        return response

    async def rows(self, query: str, values: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """What stands in the tables."""
        async with await psycopg.AsyncConnection.connect(
            self.url, row_factory=dict_row, options="-c search_path=retrieval,public"
        ) as connection:
            return await (await connection.execute(query.encode(), values)).fetchall()


def ids(bundle: Mapping[str, Any]) -> list[str]:
    """The ids of all items of a bundle."""
    return [item["id"] for name in ("key_decisions", "known_issues", "recent_changes") for item in bundle[name]]


async def ready() -> None:
    """A stand-in is always ready."""


@asynccontextmanager
async def serving(name: str, servicer: Any, register: Any, descriptor: Any) -> AsyncIterator[str]:
    """The address at which `servicer` answers."""
    server = Server("127.0.0.1:0", trust=trust(name), ready=ready, grace=0.2)
    async with server.add(register, servicer, descriptor):
        yield f"127.0.0.1:{server.port}"


@asynccontextmanager
async def running(
    url: str,
    *,
    knowledge: FakeKnowledge | None = None,
    embedding_addr: str | None = None,
    embedding: FakeEmbedding | None = None,
    indexers: int = 2,
    **more: Any,
) -> AsyncIterator[Retrieval]:
    """Retrieval on the database at `url`; by the real model where `embedding_addr` is given. `more` are settings."""
    knowledge, embedding = knowledge or FakeKnowledge(), embedding or FakeEmbedding()
    async with AsyncExitStack() as beside, AsyncExitStack() as stack:
        knowledge_addr = await beside.enter_async_context(
            serving("knowledge", knowledge, knowledge_pb2_grpc.add_KnowledgeServiceServicer_to_server, KNOWLEDGE)
        )
        if embedding_addr is None:
            embedding_addr = await stack.enter_async_context(
                serving("embedding", embedding, embedding_pb2_grpc.add_EmbeddingServiceServicer_to_server, EMBEDDING)
            )
        settings = Settings(process("retrieval", "127.0.0.1:0"), url, 10, knowledge_addr, embedding_addr, indexers)
        server = await stack.enter_async_context(build(replace(settings, **more)))
        await stack.enter_async_context(server)
        channel: grpc.aio.Channel = await stack.enter_async_context(
            connect(f"127.0.0.1:{server.port}", RETRIEVAL, trust=trust("gateway"), to="retrieval")
        )
        yield Retrieval(rpc.RetrievalServiceStub(channel), url, knowledge, embedding, beside.aclose)
