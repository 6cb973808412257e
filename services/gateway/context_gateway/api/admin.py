"""The state of the index, its rebuilding, and what it could not take."""

from typing import Annotated

from fastapi import Query, Request
from starlette.responses import Response

from context.v1 import admin_pb2
from context.v1 import retrieval_pb2 as retrieval
from context_common.client import call
from context_gateway.answers import answer, page
from context_gateway.api import BUDGET, clients, router
from context_gateway.openapi import answered
from context_gateway.schemas import aside
from context_gateway.schemas.aside import AsideListing, Retry
from context_gateway.schemas.requests import Reindex
from context_gateway.schemas.shapes import IndexStatus, Replayed, Retried, SetAside, page_of

routes = router("Admin")


@routes.get(
    "/api/admin/index",
    operation_id="get_index",
    summary="How far the index is, and which model made it",
    responses=answered(IndexStatus),
)
async def get_index(request: Request) -> Response:
    """`lag_seconds` is the age of the oldest change that is not indexed yet; `set_aside` counts changes given up on."""
    message = retrieval.GetIndexStatusRequest()
    status = await call(clients(request).retrieval.GetIndexStatus, message, within=BUDGET)
    content: IndexStatus = {
        "pending": status.pending,
        "lag_seconds": status.lag.ToMilliseconds() / 1000,
        "model": status.model_id or None,
        "items": status.items,
        "chunks": status.chunks,
        "unembedded_chunks": status.unembedded_chunks,
        "set_aside": status.set_aside,
    }
    return answer(content)


@routes.post(
    "/api/admin/reindex",
    status_code=202,
    operation_id="reindex",
    summary="Index everything again",
    responses=answered(Replayed, status=202, description="On their way"),
)
async def reindex(request: Request, body: Reindex | None = None) -> Response:
    """Search goes on meanwhile; `replayed` items are on their way. `every_namespace` takes a credential for all."""
    message = retrieval.RebuildIndexRequest(every_namespace=bool(body and body.every_namespace))
    rebuilt = await call(clients(request).retrieval.RebuildIndex, message, within=BUDGET)
    content: Replayed = {"replayed": rebuilt.replayed}
    return answer(content, 202)


@routes.get(
    "/api/admin/index/set-aside",
    operation_id="list_set_aside",
    summary="Changes that the index could not take",
    responses=answered(page_of("SetAsidePage", SetAside)),
)
async def list_set_aside(request: Request, query: Annotated[AsideListing, Query()]) -> Response:
    """Of the namespace that the request works in; `reason` is that of the last attempt."""
    message = admin_pb2.ListSetAsideRequest(page_size=query.limit, page_token=query.cursor)
    found = await call(clients(request).admin.ListSetAside, message, within=BUDGET)
    return page([aside.change(change) for change in found.changes], found.next_page_token)


@routes.post(
    "/api/admin/index/set-aside/retry",
    status_code=202,
    operation_id="retry_set_aside",
    summary="Try changes again that were set aside",
    responses=answered(Retried, status=202, description="On their way"),
)
async def retry_set_aside(request: Request, body: Retry | None = None) -> Response:
    """Those of `ids`, or all; `retried` of them are on their way to the index."""
    message = admin_pb2.RetrySetAsideRequest(item_ids=(body and body.ids) or ())
    retried = await call(clients(request).admin.RetrySetAside, message, within=BUDGET)
    content: Retried = {"retried": retried.retried}
    return answer(content, 202)
