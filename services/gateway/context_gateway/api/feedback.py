"""Feedback: what callers say of the answers they got, and what it comes to."""

from typing import Annotated

from fastapi import Query, Request
from starlette.responses import Response

from context.v1 import knowledge_pb2 as knowledge
from context.v1 import retrieval_pb2 as retrieval
from context_common.client import call
from context_common.errors import Invalid, NotFound
from context_gateway.answers import answer, page
from context_gateway.api import BUDGET, clients, idempotency_key, identity, router
from context_gateway.openapi import answered
from context_gateway.schemas import answers
from context_gateway.schemas import feedback as schemas
from context_gateway.schemas.feedback import FeedbackListing, StatsPeriod
from context_gateway.schemas.shapes import Feedback, FeedbackRecorded, FeedbackStats, page_of

routes = router("Feedback")


@routes.post(
    "/api/feedback",
    status_code=201,
    operation_id="record_feedback",
    summary="Say what of an answer helped, and what it lacked",
    responses=answered(FeedbackRecorded, "Location", status=201, description="Recorded")
    | answered(FeedbackRecorded, "Location", description="It takes the place of what the caller had said"),
)
async def record_feedback(request: Request, body: schemas.Feedback) -> Response:
    """201 where it is new, 200 where the caller had said something of that query before: the last word counts."""
    message = knowledge.RecordFeedbackRequest(feedback=body.message(), idempotency_key=idempotency_key(request))
    if body.query_id:
        message.feedback.query_id = await _asked(request, body.query_id)
    recorded = await call(clients(request).knowledge.RecordFeedback, message, within=BUDGET)
    content: FeedbackRecorded = {
        **schemas.said(recorded.feedback),
        "replaced": recorded.replaced,
        "redactions": answers.redactions(recorded),
    }
    headers = {"Location": f"/api/feedback/{recorded.feedback.id}"}
    return answer(content, 200 if recorded.replaced else 201, headers)


@routes.get(
    "/api/feedback",
    operation_id="list_feedback",
    summary="What was said of answers, newest first",
    responses=answered(page_of("FeedbackPage", Feedback)),
)
async def list_feedback(request: Request, query: Annotated[FeedbackListing, Query()]) -> Response:
    """Of one query or one item, or all of the namespace that the request works in."""
    message = knowledge.ListFeedbackRequest(
        query_id=query.query_id, item_id=query.item_id or "", page_size=query.limit, page_token=query.cursor
    )
    found = await call(clients(request).knowledge.ListFeedback, message, within=BUDGET)
    return page([schemas.said(one) for one in found.feedback], found.next_page_token)


@routes.get(
    "/api/feedback/stats",
    operation_id="get_feedback_stats",
    summary="What the feedback of some days comes to",
    responses=answered(FeedbackStats),
)
async def get_feedback_stats(request: Request, query: Annotated[StatsPeriod, Query()]) -> Response:
    """How answers were rated, which items helped, each caller counted once a day, and what was missing."""
    message = knowledge.GetFeedbackStatsRequest(days_back=query.days_back)
    found = await call(clients(request).knowledge.GetFeedbackStats, message, within=BUDGET)
    return answer(schemas.stats(found))


@routes.get(
    "/api/feedback/{id}", operation_id="get_feedback", summary="Read what was said once", responses=answered(Feedback)
)
async def get_feedback(request: Request, id: str) -> Response:  # noqa: A002
    """In the namespace that the request works in."""
    found = await call(clients(request).knowledge.GetFeedback, knowledge.GetFeedbackRequest(id=id), within=BUDGET)
    return answer(schemas.said(found.feedback))


async def _asked(request: Request, query_id: str) -> str:
    """The id of a query as its receipt has it, which says that it was asked of the namespace at hand.

    Raises:
        Invalid: There is no receipt that the caller may read, or the query was asked elsewhere.
    """
    message = retrieval.GetReceiptRequest(query_id=query_id)
    try:
        receipt = await call(clients(request).retrieval.GetReceipt, message, within=BUDGET)
    except NotFound as error:
        raise Invalid({"query_id": ["names no query that is still on record"]}) from error
    if identity(request).caller.namespace not in receipt.asked.filter.namespaces:
        raise Invalid({"query_id": ["was not asked of this namespace"]})
    return receipt.query_id
