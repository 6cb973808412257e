"""API keys, for administrators. Knowledge decides what they may hand on; a key itself is seen once."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Query, Request
from starlette.responses import Response

from context.v1 import admin_pb2 as pb
from context_common.client import call
from context_common.errors import NotFound
from context_gateway.answers import answer, page
from context_gateway.api import BUDGET, clients, gate, idempotency_key, router
from context_gateway.openapi import answered
from context_gateway.schemas import admin as schemas
from context_gateway.schemas.admin import OVERLAP, KeyCreate, KeyListing, KeyRotation
from context_gateway.schemas.shapes import Key, KeyMade, KeyRotated, page_of

PAGE = 200  # keys

routes = router("Admin")


@routes.post(
    "/api/admin/keys",
    status_code=201,
    operation_id="create_key",
    summary="Make an API key",
    responses=answered(KeyMade, "Location", status=201, description="Made"),
)
async def create_key(request: Request, body: KeyCreate) -> Response:
    """`key` is the key itself: it is kept nowhere, so this is the only time it is seen.

    Nobody hands on a scope or a namespace that they do not have. An `Idempotency-Key` that made a key already is a 409
    that names it.
    """
    now = datetime.now(UTC)
    message = body.request(now)
    message.idempotency_key = idempotency_key(request)
    made = await call(clients(request).admin.CreateKey, message, within=BUDGET)
    content: KeyMade = {"key": made.secret, **schemas.key(made.key, now)}
    return answer(content, 201, {"Location": f"/api/admin/keys/{made.key.id}"})


@routes.get(
    "/api/admin/keys",
    operation_id="list_keys",
    summary="List API keys, newest first",
    responses=answered(page_of("KeyPage", Key)),
)
async def list_keys(request: Request, query: Annotated[KeyListing, Query()]) -> Response:
    """Those whose namespaces are all the caller's."""
    message = pb.ListKeysRequest(page_size=query.limit, page_token=query.cursor, include_ended=query.include_ended)
    found = await call(clients(request).admin.ListKeys, message, within=BUDGET)
    now = datetime.now(UTC)
    return page([schemas.key(key, now) for key in found.keys], found.next_page_token)


@routes.get(
    "/api/admin/keys/{id}", operation_id="get_key", summary="Read what an API key may do", responses=answered(Key)
)
async def get_key(request: Request, id: str) -> Response:  # noqa: A002
    """Also one that has ended; `last_used_at` is exact to about a minute."""
    message = pb.ListKeysRequest(page_size=PAGE, include_ended=True)
    while True:
        found = await call(clients(request).admin.ListKeys, message, within=BUDGET)
        for key in found.keys:
            if key.id == id:
                return answer(schemas.key(key, datetime.now(UTC)))
        if not found.next_page_token:
            raise NotFound("There is no such key.")
        message.page_token = found.next_page_token


@routes.delete(
    "/api/admin/keys/{id}",
    operation_id="revoke_key",
    summary="End an API key, everywhere within seconds",
    responses=answered(Key),
)
async def revoke_key(request: Request, id: str) -> Response:  # noqa: A002
    """One that was revoked before stays as it is."""
    revoked = await call(clients(request).admin.RevokeKey, pb.RevokeKeyRequest(id=id), within=BUDGET)
    gate(request).keys.forget(id)
    return answer(schemas.key(revoked.key, datetime.now(UTC)))


@routes.post(
    "/api/admin/keys/{id}/rotate",
    status_code=201,
    operation_id="rotate_key",
    summary="Make a key in another's place",
    responses=answered(KeyRotated, "Location", status=201, description="Made"),
)
async def rotate_key(request: Request, id: str, body: KeyRotation | None = None) -> Response:  # noqa: A002
    """The new one may do the same; the old one, under `replaced`, goes on for `overlap_seconds`.

    An `Idempotency-Key` that made a key already is a 409 that names it.
    """
    message = pb.RotateKeyRequest(id=id, idempotency_key=idempotency_key(request))
    overlap = body.overlap_seconds if body else None
    message.overlap.FromSeconds(OVERLAP if overlap is None else overlap)
    made = await call(clients(request).admin.RotateKey, message, within=BUDGET)
    gate(request).keys.forget(id)
    now = datetime.now(UTC)
    replaced = schemas.key(made.replaced, now)
    content: KeyRotated = {"key": made.secret, **schemas.key(made.key, now), "replaced": replaced}
    return answer(content, 201, {"Location": f"/api/admin/keys/{made.key.id}"})
