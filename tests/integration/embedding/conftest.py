"""A stub to the real embedding service, for a caller with a name."""

from collections.abc import AsyncIterator

import pytest

from context.v1 import embedding_pb2 as pb
from context.v1 import embedding_pb2_grpc as rpc
from context_common import caller
from context_common.client import connect
from tests.support.trust import admin, trust

SERVICE = pb.DESCRIPTOR.services_by_name["EmbeddingService"]


@pytest.fixture
async def embedding(embedding_addr: str) -> AsyncIterator["rpc.EmbeddingServiceAsyncStub"]:
    channel = connect(embedding_addr, SERVICE, trust=trust("gateway"), to="embedding")
    caller.bind(admin())
    yield rpc.EmbeddingServiceStub(channel)
    await channel.close()
