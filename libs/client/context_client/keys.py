"""API keys over the REST API."""

from collections.abc import Callable, Mapping
from typing import Any, cast

from context_client.types import Key, KeyPage, NewKey
from context_client.wire import segment

PATH = "/api/admin/keys"


class Keys:
    """What administrators do with keys. `call` is the client's own way to call."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def create(self, fields: Mapping[str, Any]) -> NewKey:
        """Make a key: `name` and `scopes`, `namespaces`, and what else the API takes. Its `key` is never seen again.

        Not tried again where the answer was lost: nobody would know of the first one.
        """
        return cast("NewKey", self._call("POST", PATH, body=fields, idempotent=False))

    def list(self, cursor: str = "", *, ended: bool = False) -> KeyPage:
        """One page of keys, newest first; `ended` adds revoked and expired ones."""
        params = {"include_ended": "true"} if ended else {}
        return cast("KeyPage", self._call("GET", PATH, params=params | ({"cursor": cursor} if cursor else {})))

    def get(self, key_id: str) -> Key:
        """What a key may do."""
        return cast("Key", self._call("GET", _one(key_id)))

    def revoke(self, key_id: str) -> Key:
        """End a key, everywhere within seconds."""
        return cast("Key", self._call("DELETE", _one(key_id)))

    def rotate(self, key_id: str, overlap_seconds: int) -> NewKey:
        """Make a key in another's place, which goes on for `overlap_seconds`."""
        body = {"overlap_seconds": overlap_seconds}
        return cast("NewKey", self._call("POST", f"{_one(key_id)}/rotate", body=body, idempotent=False))


def _one(key_id: str) -> str:
    return f"{PATH}/{segment(key_id)}"
