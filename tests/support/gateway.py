"""The real gateway on a real port, over fake services behind the real wire."""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import uvicorn
from google.protobuf.descriptor import ServiceDescriptor

from context.v1 import (
    admin_pb2_grpc,
    embedding_pb2,
    embedding_pb2_grpc,
    knowledge_pb2,
    knowledge_pb2_grpc,
    retrieval_pb2,
    retrieval_pb2_grpc,
)
from context.v1 import types_pb2 as types
from context_common import caller
from context_common.errors import Conflict, Invalid, NotFound, Stale, to_status
from context_common.server import Server
from context_gateway import openapi
from context_gateway.__main__ import server_config
from context_gateway.app import create_app
from context_gateway.clients import ADMIN, EMBEDDING, KNOWLEDGE, RETRIEVAL, open_clients
from context_gateway.rates import open_limiter
from context_gateway.settings import Settings
from tests.support.fake_admin import FakeAdmin
from tests.support.loopback import NOBODY
from tests.support.openapi import Contract
from tests.support.trust import process, trust

PREFIXES = {
    types.ITEM_TYPE_ADR: "ADR",
    types.ITEM_TYPE_FAILURE: "FAIL",
    types.ITEM_TYPE_MEETING: "MEET",
    types.ITEM_TYPE_SNAPSHOT: "SNAP",
}
BODIES = {number: name.lower().removeprefix("item_type_") for name, number in types.ItemType.items()}
RECEIPT = retrieval_pb2.GetReceiptResponse(
    query_id="q1",
    principal="user:ada",
    request_id="r1",
    asked=retrieval_pb2.QueryContextRequest(
        query="why?", filter=retrieval_pb2.Filter(namespaces=["web"], types=[types.ITEM_TYPE_ADR], tags=["db"])
    ),
    entries=[
        retrieval_pb2.BundleEntry(
            id="ADR-001",
            namespace="web",
            version=3,
            section=retrieval_pb2.SECTION_KEY_DECISIONS,
            score=0.5,
            tokens=120,
            trust=retrieval_pb2.TRUST_UNVOUCHED,
        )
    ],
    omitted=[retrieval_pb2.Omission(id="ADR-002", reason="duplicate", tokens=90)],
    tokens_used=200,
)
RECEIPT.asked_at.FromJsonString("2026-01-31T12:00:00Z")
CONTRACT: list[Contract] = []  # one for all apps, as it takes a while to make and is the same for each
BUNDLE = (  # spaced as no encoder would
    b'{"query_id": "q1",  "key_decisions":[],"known_issues":[],"recent_changes":[],'
    b'"total_items":0,"tokens_used":9,"omitted":[],"degraded":false}'
)


@dataclass
class Fake:
    """What every fake has: a log of its requests, and an error or a pause to answer with instead."""

    requests: list[Any] = field(default_factory=list)
    callers: list[caller.Caller] = field(default_factory=list)
    error: Exception | None = None
    pause: float = 0.0
    cancelled: int = 0
    ready: bool = True

    def reset(self) -> None:
        """Forget everything."""
        vars(self).update(vars(type(self)()))

    async def take(self, request: Any) -> None:
        """Note `request`, then do what the test asks for."""
        self.requests.append(request)
        self.callers.append(caller.current())
        try:
            await asyncio.sleep(self.pause)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error:
            raise self.error

    async def ping(self) -> None:
        """Raise unless ready."""
        if not self.ready:
            raise RuntimeError("not ready")


class FakeKnowledge(Fake, knowledge_pb2_grpc.KnowledgeServiceServicer):
    """Keeps items in memory, one namespace."""

    def __init__(self) -> None:
        super().__init__()
        self.items: dict[str, types.Item] = {}
        self.known: dict[str, types.Item] = {}  # by source or commit
        self.change = 0
        self.edges: set[tuple[str, str]] = set()
        self.feedback: dict[str, knowledge_pb2.Feedback] = {}

    def store(self, item: types.Item) -> knowledge_pb2.Recorded:
        """Create `item`, unless its commit or source is known."""
        key = item.source_uri or item.snapshot.commit_hash
        if key in self.known:
            return knowledge_pb2.Recorded(item=self.known[key], outcome=knowledge_pb2.OUTCOME_UNCHANGED)
        if item.id in self.items:
            raise Conflict(f"{item.id} is taken")
        if item.title == "refuse me":
            raise Invalid({"title": ["is refused"], "adr.decision": ["is refused too"]})
        stored = types.Item()
        stored.CopyFrom(item)
        stored.id = item.id or f"{PREFIXES[item.type]}-{len(self.items) + 1:03d}"
        stored.version = 1
        stored.status = item.status or "active"
        if item.type == types.ITEM_TYPE_FAILURE:
            stored.status = item.status or "investigating"
            stored.failure.severity = item.failure.severity or "medium"
        stored.review = types.REVIEW_HELD if item.title == "hold me" else types.REVIEW_UNSPECIFIED
        stored.created_at.FromJsonString("2026-01-31T12:00:00Z")
        self.items[stored.id] = stored
        if key:
            self.known[key] = stored
        self.change += 1
        edges = [types.Relationship(from_id=stored.id, to_id=to) for to in item.adr.supersedes]
        return knowledge_pb2.Recorded(
            item=stored,
            outcome=knowledge_pb2.OUTCOME_CREATED,
            change_id=self.change,
            relationships_created=edges,
            pending_references=["FAIL-999"] if "FAIL-999" in item.adr.decision else [],
            redactions=[types.Redaction(field="decision", kind="jwt")] if item.adr.decision == "redact me" else [],
        )

    def find(self, item_id: str, version: int = 0) -> types.Item:
        """The item, at `version` where one is given."""
        if item_id not in self.items:
            raise NotFound
        if version not in (0, self.items[item_id].version):
            raise Stale
        return self.items[item_id]

    async def CreateItem(self, request: Any, context: Any) -> Any:
        await self.take(request)
        return knowledge_pb2.CreateItemResponse(recorded=self.store(request.item))

    async def RecordItems(self, request: Any, context: Any) -> Any:
        await self.take(request)
        results = []
        for item in request.items:
            try:
                results.append(knowledge_pb2.RecordResult(recorded=self.store(item)))
            except (Conflict, Invalid) as error:
                results.append(knowledge_pb2.RecordResult(error=to_status(error)))
        return knowledge_pb2.RecordItemsResponse(results=results)

    async def GetItem(self, request: Any, context: Any) -> Any:
        await self.take(request)
        related = knowledge_pb2.RelatedItem(
            id="FAIL-042",
            type=types.ITEM_TYPE_FAILURE,
            title="It broke",
            status="resolved",
            relationship=types.RELATIONSHIP_TYPE_CAUSED_BY,
            direction=knowledge_pb2.DIRECTION_INCOMING,
            depth=1,
        )
        return knowledge_pb2.GetItemResponse(item=self.find(request.id), related=[related])

    async def ListItems(self, request: Any, context: Any) -> Any:
        await self.take(request)
        if request.page_token == "broken":
            raise Invalid({"page_token": ["is no cursor of this list"]})
        items = [item for item in self.items.values() if item.type == request.type]
        return knowledge_pb2.ListItemsResponse(items=items[: request.page_size], next_page_token="next")

    async def UpdateItem(self, request: Any, context: Any) -> Any:
        await self.take(request)
        item = self.find(request.item.id, request.expected_version)
        request.update_mask.MergeMessage(request.item, item, replace_message_field=True, replace_repeated_field=True)
        item.version += 1
        self.change += 1
        recorded = knowledge_pb2.Recorded(item=item, outcome=knowledge_pb2.OUTCOME_UPDATED, change_id=self.change)
        return knowledge_pb2.UpdateItemResponse(recorded=recorded, updated_fields=list(request.update_mask.paths))

    async def DeleteItem(self, request: Any, context: Any) -> Any:
        await self.take(request)
        self.find(request.id, request.expected_version)
        del self.items[request.id]
        self.change += 1
        return knowledge_pb2.DeleteItemResponse(change_id=self.change)

    async def CreateRelationship(self, request: Any, context: Any) -> Any:
        await self.take(request)
        edge = request.relationship
        created = (edge.from_id, edge.to_id) not in self.edges
        self.edges.add((edge.from_id, edge.to_id))
        return knowledge_pb2.CreateRelationshipResponse(relationship=edge, created=created, change_id=7)

    async def DeleteRelationship(self, request: Any, context: Any) -> Any:
        await self.take(request)
        if (request.from_id, request.to_id) not in self.edges:
            raise NotFound("there is no such relationship")
        return knowledge_pb2.DeleteRelationshipResponse(change_id=8)

    async def GetRelated(self, request: Any, context: Any) -> Any:
        await self.take(request)
        found = knowledge_pb2.RelatedItem(
            id="FAIL-042",
            type=types.ITEM_TYPE_FAILURE,
            title="It broke",
            status="resolved",
            relationship=types.RELATIONSHIP_TYPE_RESOLVED_BY,
            direction=knowledge_pb2.DIRECTION_OUTGOING,
            depth=1,
            path=[request.id, "FAIL-042"],
        )
        return knowledge_pb2.GetRelatedResponse(item=self.find(request.id), related=[found], total_related=9)

    async def RecordFeedback(self, request: Any, context: Any) -> Any:
        await self.take(request)
        said = knowledge_pb2.Feedback()
        said.CopyFrom(request.feedback)
        before = [one for one in self.feedback.values() if said.query_id and one.query_id == said.query_id]
        said.id = before[0].id if before else str(len(self.feedback) + 1)
        said.principal = caller.current().principal
        said.created_at.FromJsonString("2026-01-31T12:00:00Z")
        said.updated_at.FromJsonString("2026-01-31T12:00:00Z")
        self.feedback[said.id] = said
        taken = [types.Redaction(field="missing_context", kind="jwt")] if said.missing_context == "redact me" else []
        return knowledge_pb2.RecordFeedbackResponse(feedback=said, replaced=bool(before), redactions=taken)

    async def GetFeedback(self, request: Any, context: Any) -> Any:
        await self.take(request)
        if request.id not in self.feedback:
            raise NotFound
        return knowledge_pb2.GetFeedbackResponse(feedback=self.feedback[request.id])

    async def ListFeedback(self, request: Any, context: Any) -> Any:
        await self.take(request)
        if request.page_token == "broken":
            raise Invalid({"page_token": ["is no cursor of this list"]})
        newest = list(self.feedback.values())[::-1]
        return knowledge_pb2.ListFeedbackResponse(feedback=newest[: request.page_size], next_page_token="next")

    async def GetFeedbackStats(self, request: Any, context: Any) -> Any:
        await self.take(request)
        if not self.feedback:
            return knowledge_pb2.GetFeedbackStatsResponse(days_back=request.days_back)
        item = knowledge_pb2.RatedItem(
            id="ADR-001", type=types.ITEM_TYPE_ADR, title="Use Postgres", helpful=3, not_helpful=1
        )
        return knowledge_pb2.GetFeedbackStatsResponse(
            total_feedback=7,
            average_rating=3.5,
            most_helpful_items=[item],
            common_missing_context=[knowledge_pb2.MissingContext(text="how to roll back", count=2)],
            days_back=request.days_back,
        )


class FakeRetrieval(Fake, retrieval_pb2_grpc.RetrievalServiceServicer):
    """Answers one hit to everything; has indexed what it is asked for when `indexed` says so."""

    def __init__(self) -> None:
        super().__init__()
        self.indexed: Callable[[int], bool] = lambda _change: True

    async def QueryContext(self, request: Any, context: Any) -> Any:
        await self.take(request)
        return retrieval_pb2.QueryContextResponse(query_id="q1", bundle=BUNDLE, tokens_used=20)

    async def GetReceipt(self, request: Any, context: Any) -> Any:
        await self.take(request)
        if request.query_id != "q1":
            raise NotFound
        return RECEIPT

    async def Search(self, request: Any, context: Any) -> Any:
        await self.take(request)
        return retrieval_pb2.SearchResponse(results=[_hit()], degraded=True)

    async def Browse(self, request: Any, context: Any) -> Any:
        await self.take(request)
        return retrieval_pb2.BrowseResponse(items=[_hit()])

    async def WaitIndexed(self, request: Any, context: Any) -> Any:
        await self.take(request)
        return retrieval_pb2.WaitIndexedResponse(indexed=[self.indexed(point.change_id) for point in request.points])

    async def GetIndexStatus(self, request: Any, context: Any) -> Any:
        await self.take(request)
        status = retrieval_pb2.GetIndexStatusResponse(pending=3, model_id="mini", items=5, chunks=8, set_aside=2)
        status.lag.FromMilliseconds(1500)
        return status

    async def RebuildIndex(self, request: Any, context: Any) -> Any:
        await self.take(request)
        return retrieval_pb2.RebuildIndexResponse(replayed=5)


class FakeEmbedding(Fake, embedding_pb2_grpc.EmbeddingServiceServicer):
    """The vector of a text is its length, three times."""

    async def Embed(self, request: Any, context: Any) -> Any:
        await self.take(request)
        return embedding_pb2.EmbedResponse(embeddings=_vectors(request.texts), model=_model())

    async def EmbedMany(self, request_iterator: Any, context: Any) -> Any:
        async for request in request_iterator:
            await self.take(request)
            yield embedding_pb2.EmbedManyResponse(embeddings=_vectors(request.texts), model=_model())


def _vectors(texts: Any) -> list[embedding_pb2.Embedding]:
    return [
        embedding_pb2.Embedding(vector=struct.pack("<3f", *[len(text)] * 3), token_count=len(text.split()) + 2)
        for text in texts
    ]


def _model() -> embedding_pb2.Model:
    return embedding_pb2.Model(id="mini", dimension=3, max_tokens=256)


def _hit() -> retrieval_pb2.SearchHit:
    return retrieval_pb2.SearchHit(
        id="ADR-001",
        type=types.ITEM_TYPE_ADR,
        title="Use Postgres",
        snippet="One database.",
        score=0.75,
        date="2026-01-31",
        tags=["database"],
        status="active",
        namespace="default",
        why=retrieval_pb2.Why(semantic=0.5, keyword=0.25),
        provenance=types.PROVENANCE_AGENT,
        trust=retrieval_pb2.TRUST_UNVOUCHED,
    )


@dataclass
class Gateway:
    """A gateway that serves, the client that talks to it, and the fakes behind it."""

    http: httpx2.AsyncClient
    port: int
    app: Any
    knowledge: FakeKnowledge
    retrieval: FakeRetrieval
    embedding: FakeEmbedding
    admin: FakeAdmin

    def reset(self) -> None:
        """Make the fakes as new."""
        for fake in (self.knowledge, self.retrieval, self.embedding, self.admin):
            fake.reset()

    async def raw(self, request: bytes) -> bytes:
        """Send bytes as they are; what comes back until the connection closes or falls silent."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        await writer.drain()
        answer = b""
        try:
            async with asyncio.timeout(1):
                while part := await reader.read(65536):
                    answer += part
        except TimeoutError:
            pass
        writer.close()
        return answer

    async def abandon(self, request: bytes, fake: Fake) -> None:
        """Send `request`, leave as soon as it reaches `fake`, and wait until its work there has stopped."""
        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        async with asyncio.timeout(10):
            while not fake.requests:
                await asyncio.sleep(0.01)
            writer.close()
            while not fake.cancelled:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def serve(**settings: Any) -> AsyncIterator[Gateway]:
    """A gateway with `settings`, for the length of a block."""
    knowledge = FakeKnowledge()  # type: ignore[abstract]  # the feed is not the gateway's
    embedding = FakeEmbedding()  # type: ignore[abstract]  # nor is chunking
    retrieval = FakeRetrieval()
    admin = FakeAdmin()
    async with AsyncExitStack() as stack:
        parts: tuple[tuple[str, Fake, Any, ServiceDescriptor], ...] = (
            ("knowledge_addr", knowledge, knowledge_pb2_grpc.add_KnowledgeServiceServicer_to_server, KNOWLEDGE),
            ("embedding_addr", embedding, embedding_pb2_grpc.add_EmbeddingServiceServicer_to_server, EMBEDDING),
            ("retrieval_addr", retrieval, retrieval_pb2_grpc.add_RetrievalServiceServicer_to_server, RETRIEVAL),
        )
        chosen: dict[str, Any] = {"port": 0, "process": process("gateway")}
        for name, servicer, register, descriptor in parts:
            server = Server(
                "127.0.0.1:0", trust=trust(name.removesuffix("_addr")), ready=servicer.ping, grace=0.0, ready_every=0.1
            )
            server.add(register, servicer, descriptor)
            if servicer is knowledge:
                server.add(admin_pb2_grpc.add_AdminServiceServicer_to_server, admin, ADMIN)
            chosen[name] = f"127.0.0.1:{(await stack.enter_async_context(server)).port}"
        configured = Settings(**(chosen | settings))
        opened = await stack.enter_async_context(open_clients(configured))
        app = create_app(opened, configured, await stack.enter_async_context(open_limiter(configured.limits)))
        await stack.enter_async_context(app.state.gate.denials)
        port = await stack.enter_async_context(_listen(app, configured))
        hooks = {"response": [_contract(app)]}
        client = httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20, event_hooks=hooks, verify=NOBODY)
        http = await stack.enter_async_context(client)
        yield Gateway(http, port, app, knowledge, retrieval, embedding, admin)


def _contract(app: Any) -> Callable[[httpx2.Response], Awaitable[None]]:
    """Fails the test whose answer is not what the OpenAPI document says."""

    async def hold(response: httpx2.Response) -> None:
        if not CONTRACT:
            CONTRACT.append(Contract(openapi.document(app)))
        request, body = response.request, await response.aread()
        faults = CONTRACT[0].faults(request.method, request.url.path, response.status_code, response.headers, body)
        assert not faults, f"{request.method} {request.url.path}: {faults}"

    return hold


@asynccontextmanager
async def _listen(app: Any, settings: Settings) -> AsyncIterator[int]:
    server = uvicorn.Server(server_config(app, settings))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.005)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        # A test that fails has its socket closed too: left open, it fails whichever test it is collected in.
        server.should_exit = True
        await serving
