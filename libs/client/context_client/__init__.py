"""The Python SDK of the context engine: `Client` speaks its REST API, and errors carry the problem it answered."""

from context_client.client import Client
from context_client.errors import ApiError, Away, ContextError, Denied, NotFound, Refused, ServerError, Unreachable
from context_client.settings import Settings

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
