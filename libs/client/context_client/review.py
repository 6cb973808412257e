"""Text that waits for a verdict, over the REST API."""

from collections.abc import Callable
from typing import Any, Literal, cast

from context_client.types import Item, Page
from context_client.wire import if_match, segment

PATH = "/api/admin/review"


class Review:
    """What administrators do with items held for review. `call` is the client's own way to call."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def list(self, cursor: str = "", limit: int = 50) -> Page:
        """One page of the items held, longest unchanged first; each says under `suspicions` what gave rise to it."""
        params = {"limit": str(limit)} | ({"cursor": cursor} if cursor else {})
        return cast("Page", self._call("GET", PATH, params=params))

    def decide(self, item_id: str, verdict: Literal["approve", "reject"], note: str = "", version: int = 0) -> Item:
        """Approve or reject an item, where it is still at `version` (0: whatever it is)."""
        body = {"verdict": verdict} | ({"note": note} if note else {})
        path = f"{PATH}/{segment(item_id)}"
        return cast("Item", self._call("POST", path, body=body, idempotent=not version, headers=if_match(version)))
