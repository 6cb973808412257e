"""The Python SDK of the context engine: `Client` speaks its REST API, and errors carry the problem it answered."""

from typing import TYPE_CHECKING, Any

from context_client.errors import ApiError, Away, ContextError, Denied, NotFound, Refused, ServerError, Unreachable
from context_client.settings import Settings

if TYPE_CHECKING:
    from context_client.client import Client

__all__ = [
    "ApiError",
    "Away",
    "Client",
    "ContextError",
    "Denied",
    "NotFound",
    "Refused",
    "ServerError",
    "Settings",
    "Unreachable",
]


def __getattr__(name: str) -> Any:
    """`Client` when it is first asked for: the HTTP library behind it takes longer to load than `--help` may."""
    if name == "Client":
        from context_client.client import Client

        return Client
    raise AttributeError(name)
