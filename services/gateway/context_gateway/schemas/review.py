"""What is held for review: what administrators may ask and say, and how it is answered."""

from typing import Annotated, Literal

from pydantic import Field

from context.v1 import admin_pb2 as pb
from context.v1 import types_pb2 as types
from context_gateway.schemas import answers
from context_gateway.schemas.fields import Body, Cursor, Parameters, Text
from context_gateway.schemas.shapes import Suspicion


class HeldListing(Parameters):
    """Which part of the list."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Cursor = ""


class Decision(Body):
    """A verdict, and why."""

    verdict: Literal["approve", "reject"]
    note: Annotated[Text, Field(max_length=2_000)] | None = None

    @property
    def number(self) -> types.Review.ValueType:
        """The verdict on the wire."""
        return types.REVIEW_APPROVED if self.verdict == "approve" else types.REVIEW_REJECTED


def held(message: pb.HeldItem) -> dict[str, object]:
    """An item that waits, and why."""
    found: list[Suspicion] = [{"field": s.field, "rule": s.rule, "excerpt": s.excerpt} for s in message.suspicions]
    return {**answers.item(message.item), "suspicions": found}
