"""Puts retrieval's parts together; settings come in, a running service comes out. `__main__` and tests start it."""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

from context.v1 import embedding_pb2, embedding_pb2_grpc, knowledge_pb2, knowledge_pb2_grpc, retrieval_pb2
from context.v1.retrieval_pb2_grpc import add_RetrievalServiceServicer_to_server
from context_common import chores, postgres
from context_common.client import call, connect
from context_common.server import Server
from context_retrieval import access, metrics, tokens
from context_retrieval.access import AccessCounter
from context_retrieval.admission import Admission
from context_retrieval.answer import Answerer
from context_retrieval.embedder import Embedder
from context_retrieval.filler import Filler
from context_retrieval.indexer import Indexer, as_service
from context_retrieval.prepare import Preparer
from context_retrieval.progress import Progress
from context_retrieval.rank import Scale
from context_retrieval.receipts import Ledger
from context_retrieval.search import Searcher
from context_retrieval.servicer import Parts, RetrievalServicer
from context_retrieval.settings import Settings
from context_retrieval.store import CHANNEL, SESSION, Index, Readers, Receipts, Status, configure

GAUGES_EVERY = 5.0  # seconds
UNEMBEDDED_EVERY = 30.0  # seconds
KNOWLEDGE = knowledge_pb2.DESCRIPTOR.services_by_name["KnowledgeService"]
EMBEDDING = embedding_pb2.DESCRIPTOR.services_by_name["EmbeddingService"]
RETRIEVAL = retrieval_pb2.DESCRIPTOR.services_by_name["RetrievalService"]


@asynccontextmanager
async def build(settings: Settings) -> AsyncIterator[Server]:
    """The server, not listening yet, with its indexers at work; leave the block to end them."""
    await postgres.check_session(settings.database_url, SESSION, strict=settings.process.prod)
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(
            postgres.open_pool(
                settings.database_url, SESSION, name="retrieval", size=settings.pool_size, configure=configure
            )
        )
        reads = await stack.enter_async_context(
            postgres.open_reads(
                pool,
                settings.database_url,
                SESSION,
                channel=CHANNEL,
                replicas=settings.replicas,
                configure=configure,
            )
        )
        indexed = await stack.enter_async_context(postgres.Notifications(settings.database_url, CHANNEL))
        knowledge_channel = await stack.enter_async_context(
            connect(settings.knowledge_addr, KNOWLEDGE, trust=settings.process.trust, to="knowledge")
        )
        embedding_channel = await stack.enter_async_context(
            connect(settings.embedding_addr, EMBEDDING, trust=settings.process.trust, to="embedding")
        )
        knowledge: knowledge_pb2_grpc.KnowledgeServiceAsyncStub = knowledge_pb2_grpc.KnowledgeServiceStub(
            knowledge_channel
        )
        embedding: embedding_pb2_grpc.EmbeddingServiceAsyncStub = embedding_pb2_grpc.EmbeddingServiceStub(
            embedding_channel
        )
        await asyncio.to_thread(tokens.encoding)
        embedder, index, readers, status = Embedder(embedding), Index(pool), Readers(reads), Status(pool)
        preparer, accesses, lacking = Preparer(index, embedder), AccessCounter(knowledge, index), asyncio.Event()
        # Another at each start, since the feed tells by it who came back from a change: a container's pid is always 1.
        name = f"{socket.gethostname()}-{secrets.token_hex(4)}"
        work: list[Coroutine[Any, Any, None]] = [
            Indexer(knowledge, index, preparer, name=f"{name}-{number}", lacking=lacking).run()
            for number in range(settings.indexers)
        ]
        ledger = Ledger(Receipts(pool), settings.receipt_days)
        work += [
            Filler(index, embedder, preparer, lacking).run(),
            accesses.run(),
            chores.every(access.LOOK, "accesses", accesses.look_again),
            chores.every(GAUGES_EVERY, "gauges", partial(_measure, knowledge)),
            chores.every(UNEMBEDDED_EVERY, "unembedded", partial(_measure_vectors, status, embedder)),
        ]
        work += [ledger.write(), ledger.purge(), postgres.watch_limits(pool)]
        stack.push_async_callback(chores.end, [chores.start(task) for task in work])
        stack.push_async_callback(ledger.flush)
        searcher = Searcher(readers, embedder, Scale())
        parts = Parts(
            searcher=searcher,
            answerer=Answerer(searcher, settings.unvouched_share),
            readers=readers,
            progress=Progress(status, indexed, knowledge, embedder, reads),
            accesses=accesses,
            ledger=ledger,
            admission=Admission(settings.max_queries),
            log_queries=settings.process.telemetry.log_queries,
        )
        server = Server.of(settings.process, ready=lambda: postgres.ping(pool))
        yield server.add(add_RetrievalServiceServicer_to_server, RetrievalServicer(parts), RETRIEVAL)


async def _measure(knowledge: "knowledge_pb2_grpc.KnowledgeServiceAsyncStub") -> None:
    """Tell Prometheus how far the index is behind."""
    as_service()
    status = await call(knowledge.GetFeedStatus, knowledge_pb2.GetFeedStatusRequest(), within=GAUGES_EVERY)
    metrics.PENDING.set(status.pending)
    metrics.LAG.set(status.lag.ToMilliseconds() / 1000)


async def _measure_vectors(status: Status, embedder: Embedder) -> None:
    """Tell Prometheus how much is found by words alone."""
    if embedder.model:
        metrics.UNEMBEDDED.set(await status.unembedded(embedder.model.id))
