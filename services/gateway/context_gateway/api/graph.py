"""The graph: what is related to an item, and the edges drawn by hand."""

from typing import Annotated

from fastapi import Query, Request
from starlette.responses import Response

from context.v1 import knowledge_pb2 as knowledge
from context.v1 import types_pb2 as types
from context_common.client import call
from context_common.errors import NotFound
from context_gateway.answers import answer, preference
from context_gateway.api import BUDGET, clients, idempotency_key, router
from context_gateway.indexed import wait_indexed
from context_gateway.openapi import answered
from context_gateway.schemas import answers
from context_gateway.schemas.fields import canonical_id
from context_gateway.schemas.requests import Ends, Walk, relationship_number
from context_gateway.schemas.shapes import Drawn, Erased, Neighbours

routes = router("Graph")
DIRECTIONS = {name: number for number, name in answers.DIRECTIONS.items()}


@routes.get(
    "/api/graph/related/{id}",
    operation_id="get_related",
    summary="What is related to an item, nearest first",
    responses=answered(Neighbours),
)
async def get_related(request: Request, id: str, query: Annotated[Walk, Query()]) -> Response:  # noqa: A002
    """Each item once, at its least depth."""
    item_id = canonical_id(id)
    if item_id is None:
        raise NotFound
    message = knowledge.GetRelatedRequest(
        id=item_id,
        depth=query.depth,
        direction=DIRECTIONS[query.direction],
        types=[relationship_number(name) for name in query.types],
        limit=query.limit,
    )
    found = await call(clients(request).knowledge.GetRelated, message, within=BUDGET)
    (item,) = answers.items([found.item], query.fields)
    related = [{"id": entry.id} if query.fields == "ids" else answers.found(entry) for entry in found.related]
    return answer({"item": item, "related": related, "total_related": found.total_related})


@routes.post(
    "/api/graph/relationships",
    status_code=201,
    operation_id="create_relationship",
    summary="Draw a relationship",
    responses=answered(Drawn, "Preference-Applied", status=201, description="Drawn")
    | answered(Drawn, "Preference-Applied", description="It stood already"),
)
async def create_relationship(request: Request, body: Ends) -> Response:
    """201 where it is new, 200 where it stood already; its strength is now the one given."""
    preferred = preference(request.headers)
    edge = types.Relationship(
        from_id=body.from_id,
        to_id=body.to_id,
        type=relationship_number(body.type),
        strength=1.0 if body.strength is None else body.strength,
    )
    message = knowledge.CreateRelationshipRequest(relationship=edge, idempotency_key=idempotency_key(request))
    drawn = await call(clients(request).knowledge.CreateRelationship, message, within=BUDGET)
    point = (drawn.relationship.from_id, drawn.change_id)
    (indexed,) = await wait_indexed(clients(request), [point], preferred.seconds)
    edge_drawn = answers.relationship(drawn.relationship)
    content: Drawn = {**edge_drawn, "created": drawn.created, "indexed": indexed}
    return answer(content, 201 if drawn.created else 200, preferred.headers)


@routes.delete(
    "/api/graph/relationships",
    operation_id="delete_relationship",
    summary="Erase a relationship",
    responses=answered(Erased, "Preference-Applied", description="Erased"),
)
async def delete_relationship(request: Request, body: Ends) -> Response:
    """The body is the one that drew it; `strength` does not matter."""
    preferred = preference(request.headers)
    message = knowledge.DeleteRelationshipRequest(
        from_id=body.from_id, to_id=body.to_id, type=relationship_number(body.type)
    )
    erased = await call(clients(request).knowledge.DeleteRelationship, message, within=BUDGET)
    (indexed,) = await wait_indexed(clients(request), [(body.from_id, erased.change_id)], preferred.seconds)
    content: Erased = {"from": body.from_id, "to": body.to_id, "type": body.type, "deleted": True, "indexed": indexed}
    return answer(content, headers=preferred.headers)
