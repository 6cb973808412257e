"""A knowledge service on a database of its own, behind the real wire."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from context.v1 import admin_pb2
from context.v1 import knowledge_pb2 as pb
from context.v1 import knowledge_pb2_grpc as rpc
from context.v1.admin_pb2_grpc import AdminServiceStub, add_AdminServiceServicer_to_server
from context_common import postgres
from context_common.client import connect
from context_common.server import Server
from context_knowledge.admin_servicer import AdminServicer
from context_knowledge.audit import Audit
from context_knowledge.feed import Feed
from context_knowledge.graph import Graph
from context_knowledge.items import Items
from context_knowledge.keys import Keys
from context_knowledge.review import Reviews
from context_knowledge.servicer import KnowledgeServicer
from context_knowledge.setaside import SetAside
from context_knowledge.store import SESSION, Store
from context_knowledge.store.feed import CHANNEL
from context_knowledge.tags import Vocabulary
from tests.support.administration import Administration
from tests.support.knowledge import NOW, Knowledge
from tests.support.trust import trust

ADMIN = admin_pb2.DESCRIPTOR.services_by_name["AdminService"]
SERVICE = pb.DESCRIPTOR.services_by_name["KnowledgeService"]


@pytest.fixture
async def knowledge(database_url: str) -> AsyncIterator[Knowledge]:
    async with AsyncExitStack() as stack:
        opened = postgres.open_pool(database_url, SESSION, name="test", size=60, ready=1)
        pool = await stack.enter_async_context(opened)
        notifications = await stack.enter_async_context(postgres.Notifications(database_url, CHANNEL))
        store = Store(pool)
        feed = Feed(store, notifications)
        items = Items(store, Vocabulary.load(), lambda: NOW)
        server = Server("127.0.0.1:0", trust=trust("knowledge"), ready=store.ping, on_drain=feed.close)
        servicer = KnowledgeServicer(store, items, Graph(store), feed)
        server.add(rpc.add_KnowledgeServiceServicer_to_server, servicer, SERVICE)
        keys = Keys(store)
        stack.push_async_callback(keys.settled)
        administration = AdminServicer(keys, Audit(store), SetAside(store), Reviews(store))
        server.add(add_AdminServiceServicer_to_server, administration, ADMIN)
        await stack.enter_async_context(server)
        channel = connect(f"127.0.0.1:{server.port}", SERVICE, trust=trust("retrieval"), to="knowledge")
        stack.push_async_callback(channel.close)
        admin_channel = connect(f"127.0.0.1:{server.port}", ADMIN, trust=trust("gateway"), to="knowledge")
        stack.push_async_callback(admin_channel.close)
        administers = Administration(AdminServiceStub(admin_channel))
        yield Knowledge(rpc.KnowledgeServiceStub(channel), database_url, feed, administers)


@pytest.fixture
def administration(knowledge: Knowledge) -> Administration:
    return knowledge.administration
