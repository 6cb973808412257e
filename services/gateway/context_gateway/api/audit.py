"""The audit trail: who did what to which item, and who was refused."""

from typing import Annotated

from fastapi import Query, Request
from starlette.responses import Response

from context_common.client import call
from context_gateway.answers import page
from context_gateway.api import BUDGET, clients, router
from context_gateway.openapi import answered
from context_gateway.schemas import admin as schemas
from context_gateway.schemas.admin import AuditListing
from context_gateway.schemas.shapes import AuditEntry, page_of

routes = router("Admin")


@routes.get(
    "/api/admin/audit",
    operation_id="list_audit",
    summary="Who did what to which item, newest first",
    responses=answered(page_of("AuditPage", AuditEntry)),
)
async def list_audit(request: Request, query: Annotated[AuditListing, Query()]) -> Response:
    """Of the namespace that the request works in. Denied calls have the action `denied`."""
    found = await call(clients(request).admin.ListAudit, query.request(), within=BUDGET)
    return page([schemas.entry(entry) for entry in found.entries], found.next_page_token)
