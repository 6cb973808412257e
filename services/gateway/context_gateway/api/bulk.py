"""Bulk: NDJSON streamed in, one answer a line streamed out."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from time import monotonic

import structlog
from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from context_gateway.answers import MOST_WAIT, Preference, preference
from context_gateway.api import charge, clients, gate, idempotency_key, identity, router
from context_gateway.bodies import require_media_type
from context_gateway.exchange import Exchange
from context_gateway.ingest import Ingest, Terms
from context_gateway.openapi import NDJSON, answered
from context_gateway.problems import Refused
from context_gateway.schemas.shapes import BulkRecorded, BulkRefused

IDLE = 60.0  # seconds in which a line must end, or a caller who sends next to nothing would hold a place for ever

routes = router("Items")
log = structlog.get_logger()


class Lines(Response):
    """NDJSON."""

    media_type = NDJSON


@routes.post(
    "/api/bulk",
    operation_id="bulk",
    summary="Record many items, one JSON object a line",
    openapi_extra={"requestBody": {"required": True, "content": {NDJSON: {"schema": {"type": "string"}}}}},
    response_class=Lines,
    responses=answered(BulkRecorded | BulkRefused, "Preference-Applied", description="What became of each line"),
)
async def bulk(request: Request) -> Response:
    """Each line has a `type` and that type's fields; a bad line stops nothing.

    An item with `source_uri` is an upsert on it; where that item was deleted, a conflict. Answers come while lines are
    still being sent, in their order:
    `{"line":1,"id":"ADR-004","status":"created|updated|unchanged|error","indexed":true}`, an error with the fields
    `error`, `code`, `detail`, `details` and `retry_after` of a problem, and the id that the line brought. Blank lines
    are skipped.

    With an `Idempotency-Key` the same stream may be sent again whole: what was recorded is answered as the first time.
    """
    require_media_type(request.headers, NDJSON)
    return BulkResponse(request, preference(request.headers, MOST_WAIT), idempotency_key(request))


class BulkResponse(Lines):
    """Answers while the request is still being read."""

    def __init__(self, request: Request, preferred: Preference, key: str) -> None:
        super().__init__(headers=preferred.headers)
        del self.headers["content-length"]
        self._request, self._seconds, self._key = request, preferred.seconds, key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the pipeline between the caller and the services."""

        async def send_part(part: bytes) -> None:
            await send({"type": "http.response.body", "body": part, "more_body": True})

        terms = Terms(identity(self._request).imported, self._seconds, self._key)
        ingest = Ingest(clients(self._request), charge(self._request), partial(_still_good, self._request), terms)
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        try:
            await ingest.run(_chunks(self._request), send_part)
        except* ClientDisconnect:
            log.info("caller_left")
        else:
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _still_good(request: Request) -> None:
    """Ask the gate again: a stream may outlive the credential that opened it.

    Raises:
        Unauthenticated: It is not good any more.
    """
    exchange: Exchange = request.scope["state"]["exchange"]
    await gate(request).identify(request.scope, exchange.request_id, exchange.address)


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    """The body as it comes.

    Raises:
        Refused: 413 past the limit, 400 where no line ended for too long.
        ClientDisconnect: The caller left.
    """
    chunks = request.stream()
    until = monotonic() + IDLE
    while True:
        try:
            async with asyncio.timeout(max(until - monotonic(), 0)):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise Refused(400, detail=f"no line ended for {IDLE:.0f} seconds") from error
        yield chunk
        if b"\n" in chunk:
            until = monotonic() + IDLE
