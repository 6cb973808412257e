"""Items: the same seven operations for each type; a snapshot is created elsewhere and only once per commit."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from context.v1 import knowledge_pb2 as knowledge
from context.v1 import types_pb2 as types
from context_common.caller import READ
from context_common.client import call
from context_common.errors import NotFound, Stale
from context_gateway.answers import Preference, answer, etag, expected_version, page, preference
from context_gateway.api import BUDGET, clients, idempotency_key, identity, router
from context_gateway.indexed import wait_indexed
from context_gateway.openapi import answered
from context_gateway.problems import MissingScope, Refused
from context_gateway.schemas import answers, kept
from context_gateway.schemas.fields import canonical_id
from context_gateway.schemas.items import ADR, FAILURE, MEETING, SNAPSHOT, Change, Kept, Kind, to_item, to_mask
from context_gateway.schemas.requests import (
    AdrListing,
    FailureListing,
    Listing,
    MeetingListing,
    Reading,
    SnapshotListing,
)
from context_gateway.schemas.shapes import (
    ITEMS,
    Brief,
    BrieflyChanged,
    BrieflyRecorded,
    Changed,
    Deleted,
    ItemId,
    ItemSummary,
    SnapshotRecorded,
    WithRelated,
    Written,
    beside,
    page_of,
)

TAG = "Items"
SHOWN_STATUS = {
    knowledge.OUTCOME_CREATED: 201,
    knowledge.OUTCOME_UPDATED: 200,
    knowledge.OUTCOME_UNCHANGED: 200,
}


LISTINGS: Mapping[str, type[Listing]] = {
    ADR.name: AdrListing,
    FAILURE.name: FailureListing,
    MEETING.name: MeetingListing,
    SNAPSHOT.name: SnapshotListing,
}


def item_routes(kind: Kind) -> APIRouter:
    """Creating (but for snapshots), reading, listing, changing and deleting items of one type."""
    routes = router(TAG)
    for add in (_add_create, _add_read, _add_change, _add_delete):
        add(routes, kind)
    return routes


def _add_create(routes: APIRouter, kind: Kind) -> None:
    async def create(request: Request, body: Change) -> Response:
        preferred = preference(request.headers)
        recorded = await record(request, kind, body)
        content = {**answers.item(recorded.item), **await settled(request, recorded, preferred)}
        return _written(kind, recorded, content, preferred)

    if kind is SNAPSHOT:
        path = "/api/context/snapshot"
        summary = "Record a commit or a deploy; again is `unchanged`, or `updated` by what is newly said of it"
        create = create_snapshot
    else:
        path, summary = f"/api/{kind.name}", f"Create {_a(kind)}"
    # FastAPI reads a handler's annotations; the body's is the type's own.
    endpoint = _with_annotations(create, body=kind.create)
    shape = SnapshotRecorded | BrieflyRecorded if kind is SNAPSHOT else beside(kind.name, Written, "Created")
    responses = answered(shape, "ETag", "Location", "Preference-Applied", status=201, description="Recorded")
    if kind is SNAPSHOT:
        said = "That commit is recorded already"
        responses |= answered(shape, "ETag", "Location", "Preference-Applied", description=said)
    operation = f"create_{kind.name}"
    routes.post(path, status_code=201, operation_id=operation, summary=summary, responses=responses)(endpoint)


async def create_snapshot(request: Request, body: Change) -> Response:
    """Answers `created`, `updated` or `unchanged` as `status`, as a line of a bulk answer does."""
    preferred = preference(request.headers)
    recorded = await record(request, SNAPSHOT, body)
    content = {**_shown(request, recorded.item), **await settled(request, recorded, preferred)}
    content["status"] = answers.OUTCOMES[recorded.outcome]
    return _written(SNAPSHOT, recorded, content, preferred)


def _add_read(routes: APIRouter, kind: Kind) -> None:
    async def get(request: Request, id: str, query: Annotated[Reading, Query()]) -> Response:  # noqa: A002
        found = await call(
            clients(request).knowledge.GetItem, knowledge.GetItemRequest(id=item_id(kind, id)), within=BUDGET
        )
        content: Mapping[str, object]
        [content] = [answers.read(found)] if query.fields == "full" else answers.items([found.item], query.fields)
        return answer(content, headers={"ETag": etag(found.item.version)})

    async def list_items(request: Request, query: Listing) -> Response:
        message = listing(kind, query)
        listed = await call(clients(request).knowledge.ListItems, message, within=BUDGET)
        return page(answers.items(listed.items, query.fields), listed.next_page_token)

    _with_annotations(list_items, query=Annotated[LISTINGS[kind.name], Query()])
    routes.get(
        f"/api/{kind.name}",
        operation_id=f"list_{kind.name}",
        summary=f"List items of type {kind.name}, newest first",
        responses=answered(page_of(f"{kind.name.capitalize()}Page", ITEMS[kind.name] | ItemSummary | ItemId)),
    )(list_items)
    routes.get(
        f"/api/{kind.name}/{{id}}",
        operation_id=f"get_{kind.name}",
        summary=f"Read {_a(kind)}",
        responses=answered(beside(kind.name, WithRelated, "Read") | ItemSummary | ItemId, "ETag"),
    )(get)


def _add_change(routes: APIRouter, kind: Kind) -> None:
    async def change(request: Request, id: str, body: Kept) -> Response:  # noqa: A002
        preferred = preference(request.headers)
        found = item_id(kind, id)
        expected = kept.expected(body, expected_version(request.headers))
        await _refuse_unlike(request, kind, found, body, expected)
        message = knowledge.UpdateItemRequest(
            item=to_item(kind, body, identity(request).provenance),
            update_mask=to_mask(kind, body),
            expected_version=expected,
        )
        message.item.id = found
        updated = await call(clients(request).knowledge.UpdateItem, message, within=BUDGET)
        content = {
            **_shown(request, updated.recorded.item),
            **await settled(request, updated.recorded, preferred),
            "updated_fields": [_field(kind, name) for name in updated.updated_fields],
        }
        return answer(content, headers={"ETag": etag(updated.recorded.item.version)} | preferred.headers)

    endpoint = _with_annotations(change, body=kind.change)
    shape = beside(kind.name, Changed, "Changed") | BrieflyChanged
    for method in ("PUT", "PATCH"):
        routes.api_route(
            f"/api/{kind.name}/{{id}}",
            methods=[method],
            operation_id=f"{method.lower()}_{kind.name}",
            summary=f"Change the fields given of {_a(kind)}",
            responses=answered(shape, "ETag", "Preference-Applied", description="Changed"),
        )(endpoint)


def _add_delete(routes: APIRouter, kind: Kind) -> None:
    async def delete(request: Request, id: str) -> Response:  # noqa: A002
        preferred = preference(request.headers)
        found = item_id(kind, id)
        message = knowledge.DeleteItemRequest(id=found, expected_version=expected_version(request.headers))
        deleted = await call(clients(request).knowledge.DeleteItem, message, within=BUDGET)
        (indexed,) = await wait_indexed(clients(request), [(found, deleted.change_id)], preferred.seconds)
        return answer({"id": found, "deleted": True, "indexed": indexed}, headers=preferred.headers)

    routes.delete(
        f"/api/{kind.name}/{{id}}",
        operation_id=f"delete_{kind.name}",
        summary=f"Delete {_a(kind)}",
        responses=answered(Deleted, "Preference-Applied", description="Deleted"),
    )(delete)


async def _refuse_unlike(request: Request, kind: Kind, found: str, body: Kept, expected: int) -> None:
    """Refuse a change of what only the engine writes; what stands is read only where `body` says something of it.

    Raises:
        Invalid: Names every such field.
        Stale: The item is at another version than the expected one, and so may well differ.
        NotFound: There is no such item.
        MissingScope: The caller may not read it, and so cannot know what stands.
    """
    standing: Mapping[str, object] = {"id": found, "type": kind.name}
    if kept.compared(body) - standing.keys():
        if not identity(request).caller.may(READ):
            raise MissingScope(READ)
        read = await call(clients(request).knowledge.GetItem, knowledge.GetItemRequest(id=found), within=BUDGET)
        if expected not in (0, read.item.version):
            raise Stale(f"{found} is at version {read.item.version}, not {expected}")
        standing = answers.read(read)
    kept.compare(body, standing)


async def record(request: Request, kind: Kind, body: Change) -> knowledge.Recorded:
    """Create the item in `body`."""
    message = knowledge.CreateItemRequest(
        item=to_item(kind, body, identity(request).provenance), idempotency_key=idempotency_key(request)
    )
    return (await call(clients(request).knowledge.CreateItem, message, within=BUDGET)).recorded


def _shown(request: Request, item: types.Item) -> Mapping[str, object]:
    """What a write answers of an item that others may have written: all of it only to who may read it."""
    if identity(request).caller.may(READ):
        return answers.item(item)
    brief: Brief = {
        "id": item.id,
        "type": answers.TYPES[item.type],
        "version": item.version,
        "status": item.status,
    }
    return brief


async def settled(request: Request, recorded: knowledge.Recorded, preferred: Preference) -> Written:
    """What a write answers beside its item, once it is searchable or the wait is over."""
    points = [(recorded.item.id, recorded.change_id)]
    withheld = answers.withheld(recorded.item)
    (indexed,) = [False] if withheld else await wait_indexed(clients(request), points, preferred.seconds)
    return {
        "indexed": indexed,
        "redactions": answers.redactions(recorded),
        "relationships_created": [answers.edge(edge) for edge in recorded.relationships_created],
        "pending_references": list(recorded.pending_references),
    }


def item_id(kind: Kind, text: str) -> str:
    """`text` as the services write it, where it can be the id of such an item.

    Raises:
        NotFound: It cannot, so that nothing is stored under it.
    """
    found = canonical_id(text)
    if found is None or not found.startswith(kind.prefix):
        raise NotFound
    return found


def listing(kind: Kind, query: Listing) -> knowledge.ListItemsRequest:
    """The query on the wire.

    Raises:
        Refused: 400, such items never have that status.
    """
    if not set(query.status) <= set(kind.statuses):
        raise Refused(400, {"status": [f"must be one of {', '.join(kind.statuses)}"]})
    message = knowledge.ListItemsRequest(
        type=kind.number,
        statuses=query.status,
        tags=query.tags,
        author=query.author,
        from_date=query.from_date or "",
        to_date=query.to_date or "",
        text=query.q,
        page_size=query.limit,
        page_token=query.cursor,
    )
    if isinstance(query, FailureListing):
        message.severity, message.pattern, message.app_name = query.severity, query.pattern, query.app_name
    return message


def _written(kind: Kind, recorded: knowledge.Recorded, content: Any, preferred: Preference) -> Response:
    item = recorded.item
    headers = {"Location": f"/api/{kind.name}/{item.id}", "ETag": etag(item.version)} | preferred.headers
    return answer(content, SHOWN_STATUS.get(recorded.outcome, 201), headers)


def _field(kind: Kind, path: str) -> str:
    name = path.removeprefix(f"{kind.name}.")
    return "meeting_title" if (kind is MEETING and name == "title") else name


def _a(kind: Kind) -> str:
    return f"{'an' if kind is ADR else 'a'} {kind.name}"


def _with_annotations(endpoint: Any, **annotations: Any) -> Any:
    endpoint.__annotations__.update(annotations)
    return endpoint
