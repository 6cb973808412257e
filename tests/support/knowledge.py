"""A caller of the knowledge service, with short words for what tests do often."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from context.v1 import knowledge_pb2 as pb
from context.v1 import knowledge_pb2_grpc as rpc
from context.v1 import types_pb2 as types
from context_common import caller
from context_common.client import call
from context_knowledge.feed import Feed
from tests.support.administration import Administration
from tests.support.trust import admin, service

NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)  # what the service takes for now
SERVICE = "service:"


@dataclass
class Knowledge:
    """The stub, and short words for what tests do often."""

    stub: "rpc.KnowledgeServiceAsyncStub"
    url: str
    feed: Feed
    administration: Administration
    namespace: str = "web"
    principal: str = "ada"

    def as_(self, namespace: str = "web", principal: str = "ada") -> "Knowledge":
        """The same service for another caller."""
        return replace(self, namespace=namespace, principal=principal)

    async def ask(self, method: str, request: Any) -> Any:
        is_service = self.principal.startswith(SERVICE)
        name = self.principal.removeprefix(SERVICE)
        caller.bind(service(name, self.namespace) if is_service else admin(self.namespace, name))
        return await call(getattr(self.stub, method), request, within=30)

    async def create(self, item: types.Item) -> pb.Recorded:
        response: pb.CreateItemResponse = await self.ask("CreateItem", pb.CreateItemRequest(item=item))
        return response.recorded

    async def record(self, *items: types.Item) -> list[pb.RecordResult]:
        return list((await self.ask("RecordItems", pb.RecordItemsRequest(items=items))).results)

    async def get(self, item_id: str) -> types.Item:
        response: pb.GetItemResponse = await self.ask("GetItem", pb.GetItemRequest(id=item_id))
        return response.item

    async def related(self, item_id: str, **wanted: Any) -> pb.GetRelatedResponse:
        response: pb.GetRelatedResponse = await self.ask("GetRelated", pb.GetRelatedRequest(id=item_id, **wanted))
        return response

    async def update(self, item: types.Item, paths: Sequence[str], expected_version: int = 0) -> pb.UpdateItemResponse:
        request = pb.UpdateItemRequest(item=item, expected_version=expected_version)
        request.update_mask.paths.extend(paths)
        response: pb.UpdateItemResponse = await self.ask("UpdateItem", request)
        return response

    async def delete(self, item_id: str, expected_version: int = 0) -> int:
        request = pb.DeleteItemRequest(id=item_id, expected_version=expected_version)
        return int((await self.ask("DeleteItem", request)).change_id)

    async def page(self, **wanted: Any) -> pb.ListItemsResponse:
        response: pb.ListItemsResponse = await self.ask("ListItems", pb.ListItemsRequest(**wanted))
        return response

    async def lease(
        self, worker: str = "w1", *, most: int = 100, lease: float = 60, wait: float = 0
    ) -> list[pb.Change]:
        request = pb.LeaseChangesRequest(worker=worker, max_changes=most)
        request.lease.FromMilliseconds(int(lease * 1000))
        request.wait.FromMilliseconds(int(wait * 1000))
        return list((await self.as_(principal="service:retrieval").ask("LeaseChanges", request)).changes)

    async def renew(self, worker: str = "w1", *, lease: float = 60) -> int:
        """Let a worker keep what it holds; answers how many changes those are."""
        request = pb.RenewChangesRequest(worker=worker)
        request.lease.FromMilliseconds(int(lease * 1000))
        return int((await self.as_(principal="service:retrieval").ask("RenewChanges", request)).renewed)

    async def ack(self, *changes: pb.Change) -> int:
        done = [pb.ChangeRef(namespace=c.namespace, item_id=c.item_id, change_id=c.change_id) for c in changes]
        request = pb.AckChangesRequest(done=done)
        return int((await self.as_(principal="service:retrieval").ask("AckChanges", request)).acknowledged)

    async def fail(self, *changes: pb.Change, reason: str = "it broke") -> int:
        """Give changes back; answers how many are set aside with it."""
        refs = [pb.ChangeRef(namespace=c.namespace, item_id=c.item_id, change_id=c.change_id) for c in changes]
        request = pb.FailChangesRequest(failed=[pb.ChangeFailure(change=ref, reason=reason) for ref in refs])
        return int((await self.as_(principal="service:retrieval").ask("FailChanges", request)).set_aside)

    async def drain(self) -> None:
        """Take everything off the feed."""
        while changes := await self.lease():
            await self.ack(*changes)

    async def rows(self, query: Any, *params: Any) -> list[dict[str, Any]]:
        """What stands in the tables."""
        async with await psycopg.AsyncConnection.connect(
            self.url, row_factory=dict_row, options="-c search_path=knowledge,public"
        ) as connection:
            return await (await connection.execute(query, params)).fetchall()

    async def count(self, table: str) -> int:
        """How many rows a table has."""
        query = sql.SQL("SELECT count(*) AS count FROM {}").format(sql.Identifier(table))
        return int((await self.rows(query))[0]["count"])

    async def until_one_waits(self) -> None:
        """Return once a transaction waits for what another has locked."""
        waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        async with asyncio.timeout(30):
            while not await self.rows(waiting):
                await asyncio.sleep(0.01)

    async def execute(self, statement: Any, *params: Any) -> None:
        """Change the tables behind the service's back."""
        async with await psycopg.AsyncConnection.connect(
            self.url, options="-c search_path=knowledge,public"
        ) as connection:
            await connection.execute(statement, params)
