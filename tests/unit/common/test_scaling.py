"""A replica that came later is called too, without anybody being told of it."""

import asyncio
from typing import Any

import pytest

from context.v1 import embedding_pb2 as pb
from context.v1 import embedding_pb2_grpc as rpc
from context_common import caller
from context_common.client import call, connect
from context_common.server import Server
from context_local.health import free_ports
from tests.support.names import Names
from tests.support.trust import admin, trust

SERVICE = pb.DESCRIPTOR.services_by_name["EmbeddingService"]
AGE = 1.0  # seconds
CALLED_WITHIN = 30.0  # seconds


class Replica(rpc.EmbeddingServiceServicer):
    """Counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    async def DescribeModel(self, request: Any, context: Any) -> Any:
        self.calls += 1
        return pb.DescribeModelResponse()

    async def ready(self) -> None:
        """It always is."""


def serve(replica: Replica, address: str, port: int) -> Server:
    server = Server(f"{address}:{port}", trust=trust("embedding"), ready=replica.ready, connection_age=AGE, grace=0.0)
    return server.add(rpc.add_EmbeddingServiceServicer_to_server, replica, SERVICE)


@pytest.mark.asyncio
async def test_a_new_replica_gets_its_share_when_connections_have_aged() -> None:
    (port,) = free_ports(1)
    first, second = Replica(), Replica()  # type: ignore[abstract]  # one method is enough
    caller.bind(admin())
    with Names("127.0.0.1") as names:
        name = f"dns://127.0.0.1:{names.port}/embedding.test:{port}"
        async with (
            serve(first, "127.0.0.1", port),
            serve(second, "127.0.0.2", port),
            connect(name, SERVICE, trust=trust("gateway"), to="embedding") as channel,
        ):
            stub = rpc.EmbeddingServiceStub(channel)
            await call(stub.DescribeModel, pb.DescribeModelRequest(), within=10)
            assert (first.calls, second.calls) == (1, 0)
            names.addresses = ["127.0.0.1", "127.0.0.2"]
            async with asyncio.timeout(CALLED_WITHIN):
                while not second.calls:
                    await call(stub.DescribeModel, pb.DescribeModelRequest(), within=10)
                    await asyncio.sleep(0.02)
            before = first.calls, second.calls
            for _ in range(20):
                await call(stub.DescribeModel, pb.DescribeModelRequest(), within=10)
            assert first.calls > before[0]
            assert second.calls > before[1]
