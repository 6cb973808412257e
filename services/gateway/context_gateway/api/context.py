"""Context: questions, searches, and what is new."""

from collections.abc import Sequence
from time import perf_counter
from typing import Annotated

from fastapi import Query, Request
from starlette.responses import Response

from context.v1 import retrieval_pb2 as retrieval
from context_common.client import call
from context_gateway.answers import answer, page, select
from context_gateway.api import BUDGET, clients, router
from context_gateway.openapi import answered
from context_gateway.problems import Refused
from context_gateway.schemas import answers, receipts
from context_gateway.schemas.fields import TAG as LONGEST_TAG
from context_gateway.schemas.requests import (
    ContextQuery,
    Reading,
    Recent,
    Search,
    Tagged,
    Timeline,
    type_number,
)
from context_gateway.schemas.shapes import Bundle, ItemId, Listed, ListedSummary, Receipt, SearchResults, page_of

routes = router("Context")
LISTED = page_of("ListedPage", Listed | ListedSummary | ItemId)
MODES = {
    "hybrid": retrieval.SEARCH_MODE_HYBRID,
    "semantic": retrieval.SEARCH_MODE_SEMANTIC,
    "keyword": retrieval.SEARCH_MODE_KEYWORD,
}


@routes.post(
    "/api/context/query",
    operation_id="query_context",
    summary="Ask; answers a bundle within a token budget",
    responses=answered(Bundle, "Server-Timing"),
)
async def query_context(request: Request, body: ContextQuery) -> Response:
    """The bundle is handed on as retrieval wrote and counted it."""
    message = retrieval.QueryContextRequest(
        query=body.query,
        max_tokens=body.max_tokens or 0,
        filter=body.filter(body.domains, include_history=bool(body.include_history)),
        min_score=body.min_score,
        explain=bool(body.explain),
    )
    start = perf_counter()
    found = await call(clients(request).retrieval.QueryContext, message, within=BUDGET)
    timing = _server_timing(found.cost, perf_counter() - start)
    return Response(found.bundle, media_type="application/json", headers={"Server-Timing": timing})


@routes.post(
    "/api/search",
    operation_id="search",
    summary="Search items by meaning and by words",
    responses=answered(SearchResults),
)
async def search(request: Request, body: Search, query: Annotated[Reading, Query()]) -> Response:
    """Best first; an exact id or error code finds its item first."""
    start = perf_counter()
    message = retrieval.SearchRequest(
        query=body.query,
        top_k=body.top_k or 0,
        filter=body.filter(body.tags, statuses=body.statuses or ()),
        mode=MODES[body.mode or "hybrid"],
        explain=bool(body.explain),
    )
    found = await call(clients(request).retrieval.Search, message, within=BUDGET)
    results = [select(answers.hit(hit, bool(body.explain)), query.fields) for hit in found.results]
    took = round((perf_counter() - start) * 1000, 2)
    return answer({"results": results, "took_ms": took, "degraded": found.degraded})


@routes.get(
    "/api/context/receipts/{query_id}",
    operation_id="get_receipt",
    summary="What a query was asked and answered",
    responses=answered(Receipt),
)
async def get_receipt(request: Request, query_id: str) -> Response:
    """Kept for 30 days, for those who may read every namespace that the query asked; secrets are taken out of it."""
    message = retrieval.GetReceiptRequest(query_id=query_id)
    found = await call(clients(request).retrieval.GetReceipt, message, within=BUDGET)
    return answer(receipts.receipt(found))


@routes.get(
    "/api/context/recent",
    operation_id="list_recent",
    summary="The newest items in force",
    responses=answered(LISTED),
)
async def list_recent(request: Request, query: Annotated[Recent, Query()]) -> Response:
    """Newest first."""
    return await _browse(request, _filter(query.types), query)


@routes.get(
    "/api/context/timeline",
    operation_id="list_timeline",
    summary="The items of a time, newest first",
    responses=answered(LISTED),
)
async def list_timeline(request: Request, query: Annotated[Timeline, Query()]) -> Response:
    """Both days included."""
    wanted = _filter(query.types)
    wanted.from_date, wanted.to_date = query.from_date or "", query.to_date or ""
    return await _browse(request, wanted, query)


@routes.get(
    "/api/context/domain/{tag:path}",
    operation_id="list_domain",
    summary="The items that carry a tag, newest first",
    responses=answered(LISTED),
)
async def list_domain(request: Request, tag: str, query: Annotated[Tagged, Query()]) -> Response:
    """A tag that nothing carries answers an empty list."""
    if "\0" in tag or not tag.strip() or len(tag) > LONGEST_TAG:
        raise Refused(404, detail="There is no such tag.")
    wanted = _filter(query.types)
    wanted.tags.append(tag)
    return await _browse(request, wanted, query)


def _server_timing(cost: retrieval.Cost, seconds: float) -> str:
    """Where an answer's time went, in milliseconds: retrieval's stages, then the whole call to it."""
    stages = {field.name: getattr(cost, field.name).ToNanoseconds() / 1e6 for field in cost.DESCRIPTOR.fields}
    return ", ".join(f"{name};dur={ms:.3f}" for name, ms in {**stages, "retrieval": seconds * 1000}.items())


def _filter(types: Sequence[str]) -> retrieval.Filter:
    return retrieval.Filter(types=[type_number(name) for name in types])


async def _browse(request: Request, wanted: retrieval.Filter, query: Recent) -> Response:
    message = retrieval.BrowseRequest(filter=wanted, limit=query.limit, page_token=query.cursor)
    found = await call(clients(request).retrieval.Browse, message, within=BUDGET)
    return page([select(answers.listed(hit), query.fields) for hit in found.items], found.next_page_token)
