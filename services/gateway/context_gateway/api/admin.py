"""The state of the index, and its rebuilding."""

from fastapi import Request
from starlette.responses import Response

from context.v1 import retrieval_pb2 as retrieval
from context_common.client import call
from context_gateway.answers import answer
from context_gateway.api import BUDGET, clients, router
from context_gateway.schemas.requests import Reindex

routes = router("Admin")


@routes.get("/api/admin/index", operation_id="get_index", summary="How far the index is, and which model made it")
async def get_index(request: Request) -> Response:
    """`lag_seconds` is the age of the oldest change that is not indexed yet."""
    message = retrieval.GetIndexStatusRequest()
    status = await call(clients(request).retrieval.GetIndexStatus, message, within=BUDGET)
    return answer(
        {
            "pending": status.pending,
            "lag_seconds": status.lag.ToMilliseconds() / 1000,
            "model": status.model_id or None,
            "items": status.items,
            "chunks": status.chunks,
            "unembedded_chunks": status.unembedded_chunks,
        }
    )


@routes.post("/api/admin/reindex", status_code=202, operation_id="reindex", summary="Index everything again")
async def reindex(request: Request, body: Reindex | None = None) -> Response:
    """Search goes on meanwhile; `replayed` items are on their way."""
    message = retrieval.RebuildIndexRequest(every_namespace=bool(body and body.every_namespace))
    rebuilt = await call(clients(request).retrieval.RebuildIndex, message, within=BUDGET)
    return answer({"replayed": rebuilt.replayed}, 202)
