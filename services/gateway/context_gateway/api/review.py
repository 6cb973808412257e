"""Text that waits for somebody's verdict before any agent is shown it, for administrators."""

from typing import Annotated

from fastapi import Query, Request
from starlette.responses import Response

from context.v1 import admin_pb2 as pb
from context_common.client import call
from context_common.errors import NotFound
from context_gateway.answers import answer, etag, expected_version, page, preference
from context_gateway.api import BUDGET, clients, router
from context_gateway.indexed import wait_indexed
from context_gateway.openapi import answered
from context_gateway.schemas import answers
from context_gateway.schemas import review as schemas
from context_gateway.schemas.fields import canonical_id
from context_gateway.schemas.review import Decision, HeldListing
from context_gateway.schemas.shapes import ITEMS, Indexed, Suspected, beside, either, page_of

routes = router("Admin")


@routes.get(
    "/api/admin/review",
    operation_id="list_review",
    summary="What is held for review, longest unchanged first",
    responses=answered(page_of("HeldPage", either(beside(kind, Suspected, "Held") for kind in ITEMS))),
)
async def list_review(request: Request, query: Annotated[HeldListing, Query()]) -> Response:
    """Items of agents, programs and imports that look like instructions; `suspicions` says what gave rise to it."""
    message = pb.ListReviewRequest(page_size=query.limit, page_token=query.cursor)
    found = await call(clients(request).admin.ListReview, message, within=BUDGET)
    return page([schemas.held(item) for item in found.items], found.next_page_token)


@routes.post(
    "/api/admin/review/{id}",
    operation_id="review_item",
    summary="Approve or reject an item",
    responses=answered(either(beside(kind, Indexed, "Reviewed") for kind in ITEMS), "ETag", "Preference-Applied"),
)
async def review_item(request: Request, id: str, body: Decision) -> Response:  # noqa: A002
    """An approved item is found and trusted as a person's, until an agent changes its text; a rejected one is out.

    `If-Match` guards what was read. The note goes to the audit trail.
    """
    item_id = canonical_id(id)
    if item_id is None:
        raise NotFound
    preferred = preference(request.headers)
    message = pb.ReviewItemRequest(
        id=item_id,
        verdict=body.number,
        expected_version=expected_version(request.headers),
        note=body.note or "",
    )
    done = await call(clients(request).admin.ReviewItem, message, within=BUDGET)
    (indexed,) = await wait_indexed(clients(request), [(item_id, done.change_id)], preferred.seconds)
    content = {**answers.item(done.item), "indexed": indexed and not answers.withheld(done.item)}
    return answer(content, headers={"ETag": etag(done.item.version)} | preferred.headers)
