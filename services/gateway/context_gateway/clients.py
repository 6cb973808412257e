"""The stubs of the three services behind the gateway."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc

from context.v1 import (
    admin_pb2,
    admin_pb2_grpc,
    embedding_pb2,
    embedding_pb2_grpc,
    knowledge_pb2,
    knowledge_pb2_grpc,
    retrieval_pb2,
    retrieval_pb2_grpc,
)
from context_common.client import call, connect
from context_common.errors import AppError
from context_gateway.settings import Settings

HEALTH_SECONDS = 1.0  # a service that takes longer to say how it is, is not well

ADMIN = admin_pb2.DESCRIPTOR.services_by_name["AdminService"]  # a part of the knowledge service
KNOWLEDGE = knowledge_pb2.DESCRIPTOR.services_by_name["KnowledgeService"]
EMBEDDING = embedding_pb2.DESCRIPTOR.services_by_name["EmbeddingService"]
RETRIEVAL = retrieval_pb2.DESCRIPTOR.services_by_name["RetrievalService"]


@dataclass(frozen=True)
class Clients:
    """One stub per service; `health` asks each how it is, by the service's full name."""

    knowledge: "knowledge_pb2_grpc.KnowledgeServiceAsyncStub"
    embedding: "embedding_pb2_grpc.EmbeddingServiceAsyncStub"
    retrieval: "retrieval_pb2_grpc.RetrievalServiceAsyncStub"
    admin: "admin_pb2_grpc.AdminServiceAsyncStub"
    health: Mapping[str, Any]

    async def serves(self, service: ServiceDescriptor) -> bool:
        """Whether `service` answers, and says that it can do its work."""
        request = health_pb2.HealthCheckRequest(service=service.full_name)
        try:
            answer = await call(self.health[service.full_name].Check, request, within=HEALTH_SECONDS)
        except (AppError, RuntimeError):
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


@asynccontextmanager
async def open_clients(settings: Settings) -> AsyncIterator[Clients]:
    """Channels to the three services, closed when the block ends. They connect at their first call."""
    async with AsyncExitStack() as stack:
        health: dict[str, Any] = {}

        async def channel(to: str, addr: str, service: ServiceDescriptor) -> grpc.aio.Channel:
            opened = await stack.enter_async_context(connect(addr, service, trust=settings.process.trust, to=to))
            health[service.full_name] = health_pb2_grpc.HealthStub(opened)
            return opened

        yield Clients(
            knowledge=knowledge_pb2_grpc.KnowledgeServiceStub(
                await channel("knowledge", settings.knowledge_addr, KNOWLEDGE)
            ),
            embedding=embedding_pb2_grpc.EmbeddingServiceStub(
                await channel("embedding", settings.embedding_addr, EMBEDDING)
            ),
            retrieval=retrieval_pb2_grpc.RetrievalServiceStub(
                await channel("retrieval", settings.retrieval_addr, RETRIEVAL)
            ),
            admin=admin_pb2_grpc.AdminServiceStub(await channel("knowledge", settings.knowledge_addr, ADMIN)),
            health=health,
        )
