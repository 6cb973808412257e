"""A service whose every method does the same: for tests of what happens around calls, not in them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass

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
from context_common.channel import Channel
from context_common.client import connect
from context_common.server import Server
from context_common.trust import Trust
from tests.support.trust import trust

# Which process serves what, and the stubs.
PROCESSES: dict[str, tuple[tuple[ModuleType, ModuleType], ...]] = {
    "knowledge": ((knowledge_pb2, knowledge_pb2_grpc), (admin_pb2, admin_pb2_grpc)),
    "embedding": ((embedding_pb2, embedding_pb2_grpc),),
    "retrieval": ((retrieval_pb2, retrieval_pb2_grpc),),
}
Behaviour = Callable[[str], Awaitable[None]]


def services(process: str) -> list[tuple[ServiceDescriptor, ModuleType]]:
    """The services of one process, each with its stubs."""
    return [
        (service, stubs)
        for messages, stubs in PROCESSES[process]
        for service in messages.DESCRIPTOR.services_by_name.values()
    ]


class StandIn:
    """Does `behaviour` with the method's name, then answers with an empty message."""

    def __init__(self, service: ServiceDescriptor, behaviour: Behaviour) -> None:
        for method in service.methods:
            setattr(self, method.name, self._handler(method, behaviour))

    @staticmethod
    def _handler(method: MethodDescriptor, behaviour: Behaviour) -> Callable[..., Any]:
        answer = GetMessageClass(method.output_type)

        async def unary(request: Any, context: Any) -> Any:
            await behaviour(method.name)
            return answer()

        async def stream(requests: Any, context: Any) -> Any:
            await behaviour(method.name)
            async for _ in requests:
                yield answer()

        return stream if method.server_streaming else unary


async def ready() -> None:
    """It always is."""


@asynccontextmanager
async def serving(process: str, behaviour: Behaviour, listen: str = "127.0.0.1:0") -> AsyncIterator[str]:
    """The address of a stand-in for `process`."""
    server = Server(listen, trust=trust(process), ready=ready, grace=0.2)
    for service, stubs in services(process):
        register = getattr(stubs, f"add_{service.name}Servicer_to_server")
        server.add(register, StandIn(service, behaviour), service)
    async with server:
        yield f"127.0.0.1:{server.port}"


@asynccontextmanager
async def calling(process: str, addr: str, who: Trust | None = None) -> AsyncIterator[tuple[Channel, Any]]:
    """A channel to `addr`, and the stub of the first service there; from the gateway unless `who` says otherwise."""
    descriptors = [service for service, _ in services(process)]
    (first, stubs), *_ = services(process)
    async with connect(addr, *descriptors, trust=who or trust("gateway"), to=process) as channel:
        yield channel, getattr(stubs, f"{first.name}Stub")(channel)
