"""Changes that the index could not take: what administrators may ask, and how it is answered."""

from typing import Annotated

from pydantic import Field

from context.v1 import admin_pb2 as pb
from context_gateway.schemas import shapes
from context_gateway.schemas.fields import AnyId, Body, Cursor, Parameters


class AsideListing(Parameters):
    """Which part of the list."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Cursor = ""


class Retry(Body):
    """Which changes to try again; all of the namespace where none is named."""

    ids: Annotated[list[AnyId], Field(max_length=200)] | None = None


def change(message: pb.SetAside) -> shapes.SetAside:
    """A change that was given up on, and why."""
    return {
        "id": message.item_id,
        "attempts": message.attempts,
        "reason": message.reason,
        "at": message.at.ToJsonString(),
    }
