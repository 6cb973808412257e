"""The gRPC skin of knowledge: messages in, messages out."""

from dataclasses import replace
from typing import Any, TypeAlias

import structlog
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from context.v1 import knowledge_pb2 as pb
from context.v1 import knowledge_pb2_grpc as rpc
from context.v1 import types_pb2 as types
from context_common import caller
from context_common.errors import Invalid
from context_knowledge import redaction, wire
from context_knowledge.apart import apart
from context_knowledge.bulk import Bulk, Sent, clean
from context_knowledge.feed import Feed
from context_knowledge.feedback import Feedbacks
from context_knowledge.graph import Graph, Related, Walk
from context_knowledge.items import Items, Patch, noting
from context_knowledge.lists import list_items
from context_knowledge.model import Edge, Filter, RatedItem
from context_knowledge.once import Once, Request
from context_knowledge.store import Store
from context_knowledge.store.aside import Failed
from context_knowledge.store.feed import Leased

BULK = 200  # items in one call
ACCESSES = 1_000

log = structlog.get_logger()

Context: TypeAlias = Any  # grpc's own is generic for type checkers only


class KnowledgeServicer(rpc.KnowledgeServiceServicer):
    """Answers for KnowledgeService."""

    def __init__(self, store: Store, items: Items, graph: Graph, feed: Feed) -> None:
        self._store, self._items, self._graph, self._feed = store, items, graph, feed
        self._once, self._bulk, self._feedback = Once(store), Bulk(store, items), Feedbacks(store)

    async def CreateItem(self, request: pb.CreateItemRequest, context: Context) -> pb.CreateItemResponse:
        redactions = await clean(request.item)
        asked = Request.of(request.idempotency_key, request.item)
        work = noting(await self._items.create(wire.read_item(request.item)), redactions)
        recorded = await self._once.write(caller.current(), work, asked)
        await self._store.settle()
        return pb.CreateItemResponse(recorded=recorded)

    async def RecordItems(self, request: pb.RecordItemsRequest, context: Context) -> pb.RecordItemsResponse:
        if len(request.items) > BULK:
            raise Invalid({"items": [f"has more than {BULK} entries"]})
        keys = request.idempotency_keys or [""] * len(request.items)
        if len(keys) != len(request.items):
            raise Invalid({"idempotency_keys": ["must be none, or one for each item"]})
        results = await self._bulk.record(caller.current(), list(map(Sent, request.items, keys)))
        await self._store.settle()
        return pb.RecordItemsResponse(results=results)

    async def GetItem(self, request: pb.GetItemRequest, context: Context) -> pb.GetItemResponse:
        item, related = await self._graph.get(caller.current(), wire.item_id(request.id, "id"))
        return pb.GetItemResponse(item=wire.write_item(item), related=[_related(entry) for entry in related])

    async def ListItems(self, request: pb.ListItemsRequest, context: Context) -> pb.ListItemsResponse:
        wanted = Filter(
            type=wire.item_type(request.type, "type"),
            statuses=tuple(request.statuses),
            tags=tuple(request.tags),
            author=request.author,
            from_date=request.from_date,
            to_date=request.to_date,
            text=request.text,
            severity=request.severity,
            pattern=request.pattern,
            app_name=request.app_name,
            in_force=request.in_force,
        )
        page = await list_items(self._store, caller.current(), wanted, request.page_size, request.page_token)
        return pb.ListItemsResponse(items=map(wire.write_item, page.items), next_page_token=page.cursor)

    async def UpdateItem(self, request: pb.UpdateItemRequest, context: Context) -> pb.UpdateItemResponse:
        redactions = await clean(request.item)
        item_id = wire.item_id(request.item.id, "id")
        given = wire.read_item(wire.typed(request.item, item_id))
        values = given.values()
        changed = {name: values[name] for name in wire.masked_fields(request, given)}
        patch = Patch(item_id, changed, request.expected_version, wire.provenance(request.item))
        recorded = replace(await self._items.update(caller.current(), patch), redactions=redactions)
        await self._store.settle()
        return pb.UpdateItemResponse(recorded=wire.write_recorded(recorded), updated_fields=recorded.updated_fields)

    async def DeleteItem(self, request: pb.DeleteItemRequest, context: Context) -> pb.DeleteItemResponse:
        item_id = wire.item_id(request.id, "id")
        change_id = await self._items.delete(caller.current(), item_id, request.expected_version)
        await self._store.settle()
        return pb.DeleteItemResponse(change_id=change_id)

    async def CreateRelationship(
        self, request: pb.CreateRelationshipRequest, context: Context
    ) -> pb.CreateRelationshipResponse:
        edge = _edge(request.relationship)
        asked = Request.of(request.idempotency_key, request.relationship)
        created, change_id = await self._graph.create(caller.current(), edge, asked)
        await self._store.settle()
        return pb.CreateRelationshipResponse(relationship=wire.write_edge(edge), created=created, change_id=change_id)

    async def DeleteRelationship(
        self, request: pb.DeleteRelationshipRequest, context: Context
    ) -> pb.DeleteRelationshipResponse:
        edge = _edge(types.Relationship(from_id=request.from_id, to_id=request.to_id, type=request.type))
        change_id = await self._graph.delete(caller.current(), edge)
        await self._store.settle()
        return pb.DeleteRelationshipResponse(change_id=change_id)

    async def GetRelated(self, request: pb.GetRelatedRequest, context: Context) -> pb.GetRelatedResponse:
        if request.direction not in pb.Direction.values():
            raise Invalid({"direction": ["must be both, outgoing or incoming"]})
        walk = Walk(
            depth=request.depth,
            outgoing=request.direction != pb.DIRECTION_INCOMING,
            incoming=request.direction != pb.DIRECTION_OUTGOING,
            types=[wire.relationship_type(kind, "types") for kind in request.types],
            limit=request.limit,
        )
        item, found, total = await self._graph.related(caller.current(), wire.item_id(request.id, "id"), walk)
        return pb.GetRelatedResponse(
            item=wire.write_item(item), related=[_related(entry) for entry in found], total_related=total
        )

    async def RecordFeedback(self, request: pb.RecordFeedbackRequest, context: Context) -> pb.RecordFeedbackResponse:
        message = request.feedback
        redactions = await apart(message.ByteSize(), lambda: redaction.clean_feedback(message))
        asked = Request.of(request.idempotency_key, message)
        said = wire.read_feedback(message)
        answer = await self._feedback.record(caller.current(), said, redactions, asked)
        await self._store.settle()
        return answer

    async def GetFeedback(self, request: pb.GetFeedbackRequest, context: Context) -> pb.GetFeedbackResponse:
        said = await self._feedback.get(caller.current(), request.id)
        return pb.GetFeedbackResponse(feedback=wire.write_feedback(said))

    async def ListFeedback(self, request: pb.ListFeedbackRequest, context: Context) -> pb.ListFeedbackResponse:
        page = await self._feedback.list(
            caller.current(), request.query_id, request.item_id, request.page_size, request.page_token
        )
        return pb.ListFeedbackResponse(feedback=map(wire.write_feedback, page.items), next_page_token=page.cursor)

    async def GetFeedbackStats(
        self, request: pb.GetFeedbackStatsRequest, context: Context
    ) -> pb.GetFeedbackStatsResponse:
        stats = await self._feedback.stats(caller.current(), request.days_back)
        return pb.GetFeedbackStatsResponse(
            total_feedback=stats.total,
            average_rating=stats.rating,
            most_helpful_items=map(_rated, stats.rated),
            common_missing_context=[pb.MissingContext(text=text, count=count) for text, count in stats.missing],
            days_back=stats.days,
        )

    async def LeaseChanges(self, request: pb.LeaseChangesRequest, context: Context) -> pb.LeaseChangesResponse:
        changes = await self._feed.lease(
            caller.current(), request.worker, request.max_changes, _seconds(request.lease), _seconds(request.wait)
        )
        return pb.LeaseChangesResponse(changes=[_change(change) for change in changes])

    async def RenewChanges(self, request: pb.RenewChangesRequest, context: Context) -> pb.RenewChangesResponse:
        renewed = await self._feed.renew(caller.current(), request.worker, _seconds(request.lease))
        return pb.RenewChangesResponse(renewed=renewed)

    async def AckChanges(self, request: pb.AckChangesRequest, context: Context) -> pb.AckChangesResponse:
        done = [(ref.namespace, ref.item_id, ref.change_id) for ref in request.done]
        return pb.AckChangesResponse(acknowledged=await self._feed.acknowledge(caller.current(), done))

    async def FailChanges(self, request: pb.FailChangesRequest, context: Context) -> pb.FailChangesResponse:
        failed = [
            Failed(
                given.change.namespace, given.change.item_id, given.change.change_id, redaction.clean_text(given.reason)
            )
            for given in request.failed
        ]
        return pb.FailChangesResponse(set_aside=await self._feed.fail(caller.current(), failed))

    async def ReplayChanges(self, request: pb.ReplayChangesRequest, context: Context) -> pb.ReplayChangesResponse:
        replayed = await self._feed.replay(caller.current(), every_namespace=request.every_namespace)
        return pb.ReplayChangesResponse(replayed=replayed)

    async def GetFeedStatus(self, request: pb.GetFeedStatusRequest, context: Context) -> pb.GetFeedStatusResponse:
        status = await self._feed.status(caller.current())
        lag = Duration()
        lag.FromTimedelta(status.lag)
        return pb.GetFeedStatusResponse(pending=status.pending, lag=lag, set_aside=status.set_aside)

    async def RecordAccess(self, request: pb.RecordAccessRequest, context: Context) -> pb.RecordAccessResponse:
        if len(request.accesses) > ACCESSES:
            raise Invalid({"accesses": [f"has more than {ACCESSES} entries"]})
        seen = [(access.namespace, access.item_id, access.count) for access in request.accesses]
        totals = await self._feed.count_access(caller.current(), seen)
        return pb.RecordAccessResponse(
            totals=[pb.Access(namespace=namespace, item_id=item_id, count=n) for namespace, item_id, n in totals]
        )


def _edge(message: types.Relationship) -> Edge:
    """The edge in `message`; strength 0, which is none, is the default 1."""
    wrong: dict[str, list[str]] = {}
    found = [_try(wrong, wire.item_id, text, name) for text, name in ((message.from_id, "from"), (message.to_id, "to"))]
    kind = _try(wrong, wire.relationship_type, message.type, "type")
    if wrong:
        raise Invalid(wrong)
    return Edge(found[0], found[1], kind, message.strength or 1.0)


def _try(wrong: dict[str, list[str]], read: Any, value: Any, name: str) -> Any:
    """What `read` makes of `value`; what is wrong with it goes into `wrong`."""
    try:
        return read(value, name)
    except Invalid as error:
        wrong |= error.fields
        return None


def _rated(item: RatedItem) -> pb.RatedItem:
    return pb.RatedItem(
        id=item.id,
        type=types.ItemType.Value(f"ITEM_TYPE_{item.type.name}"),
        title=item.title,
        helpful=item.helpful,
        not_helpful=item.not_helpful,
    )


def _related(related: Related) -> pb.RelatedItem:
    return pb.RelatedItem(
        id=related.id,
        type=types.ItemType.Value(f"ITEM_TYPE_{related.type.name}"),
        title=related.title,
        status=related.status,
        relationship=types.RelationshipType.Value(f"RELATIONSHIP_TYPE_{related.relationship.name}"),
        direction=pb.DIRECTION_OUTGOING if related.outgoing else pb.DIRECTION_INCOMING,
        depth=related.depth,
        path=related.path,
    )


def _change(change: Leased) -> pb.Change:
    changed_at = Timestamp()
    changed_at.FromDatetime(change.changed_at)
    return pb.Change(
        change_id=change.change_id,
        namespace=change.namespace,
        item_id=change.item_id,
        item=wire.write_item(change.item) if change.item else None,
        relationships=[wire.write_edge(edge) for edge in change.edges],
        attempts=change.attempts,
        changed_at=changed_at,
    )


def _seconds(duration: Duration) -> float:
    return duration.seconds + duration.nanos / 1e9
