"""Feedback: what callers may say of an answer and ask of what was said, and how it is answered."""

import json
import math
from collections.abc import Iterator
from typing import Annotated, Any, cast

from msgspec import Raw
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from context.v1 import knowledge_pb2 as pb
from context_gateway.schemas import shapes
from context_gateway.schemas.answers import TYPES, time
from context_gateway.schemas.fields import AnyId, Body, Cursor, Name, Parameters, Text, storable
from context_gateway.schemas.requests import LONGEST_QUERY


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    """`value`, all of which can be stored and sent: pydantic looks at no more of it than that it is an object."""
    for part in _parts(value):
        if isinstance(part, str):
            storable(part)
        elif isinstance(part, float) and not math.isfinite(part):
            raise PydanticCustomError("refused", "holds a number that is too large")
    return value


def _parts(value: Any) -> Iterator[Any]:
    """Every name, text and number in a JSON value."""
    if isinstance(value, dict | list):
        for part in [*value, *value.values()] if isinstance(value, dict) else value:
            yield from _parts(part)
    else:
        yield value


Ids = Annotated[list[AnyId], Field(max_length=100)]
Missing = Annotated[Text, Field(max_length=LONGEST_QUERY, description="What the answer should have had.")]
Metadata = Annotated[dict[str, Any], AfterValidator(_plain)]


class Feedback(Body):
    """A word on an answer; it says at least one of a rating, items, or what was missing."""

    query_id: Annotated[Name, Field(description="That of the answer.")] | None = None
    query_text: Annotated[Text, Field(max_length=LONGEST_QUERY)] | None = None
    overall_rating: Annotated[int, Field(ge=1, le=5)] | None = None
    items_helpful: Ids | None = None
    items_not_helpful: Ids | None = None
    items_used: Ids | None = None
    missing_context: Missing | None = None
    agent_id: Name | None = None
    session_id: Name | None = None
    metadata: Metadata | None = None

    def message(self) -> pb.Feedback:
        """It on the wire, its metadata as text."""
        values = self.model_dump(exclude_none=True, exclude={"metadata"})
        metadata = json.dumps(self.metadata, ensure_ascii=False, separators=(",", ":")) if self.metadata else ""
        return pb.Feedback(metadata=metadata, **values)


class FeedbackListing(Parameters):
    """Which feedback to list."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Cursor = ""
    query_id: Name = ""
    item_id: Annotated[AnyId | None, Field(description="That it names as helpful, not helpful or used.")] = None


class StatsPeriod(Parameters):
    """Of how many days to count."""

    days_back: Annotated[int, Field(ge=1, le=3650)] = 30


def said(message: pb.Feedback) -> shapes.Feedback:
    """A word on an answer. Its metadata is handed on as it is kept: a number may be longer than our encoder takes."""
    return {
        "id": message.id,
        "query_id": message.query_id or None,
        "query_text": message.query_text or None,
        "overall_rating": message.overall_rating or None,
        "items_helpful": list(message.items_helpful),
        "items_not_helpful": list(message.items_not_helpful),
        "items_used": list(message.items_used),
        "missing_context": message.missing_context or None,
        "agent_id": message.agent_id or None,
        "session_id": message.session_id or None,
        "metadata": cast("dict[str, Any]", Raw((message.metadata or "{}").encode())),
        "principal": message.principal,
        "created_at": time(message, "created_at"),
        "updated_at": time(message, "updated_at"),
    }


def stats(message: pb.GetFeedbackStatsResponse) -> shapes.FeedbackStats:
    """What the feedback of some days comes to."""
    return {
        "total_feedback": message.total_feedback,
        "avg_rating": message.average_rating or None,
        "most_helpful_items": [
            {
                "id": item.id,
                "type": TYPES[item.type],
                "title": item.title,
                "helpful": item.helpful,
                "not_helpful": item.not_helpful,
            }
            for item in message.most_helpful_items
        ],
        "common_missing_context": [
            {"text": missing.text, "count": missing.count} for missing in message.common_missing_context
        ],
        "days_back": message.days_back,
    }
