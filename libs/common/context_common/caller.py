"""Who is asking: travels beside every call as metadata, and beside every task as a context variable."""

import re
import secrets
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass

from context_common.errors import Unauthenticated

NAMESPACE = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
KEYS = ("x-context-namespace", "x-context-principal", "x-request-id")


@dataclass(frozen=True)
class Caller:
    """A principal at work in one namespace, on one request."""

    namespace: str
    principal: str
    request_id: str

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """The caller as gRPC metadata."""
        return tuple(zip(KEYS, (self.namespace, self.principal, self.request_id), strict=True))

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> "Caller":
        """The caller that a call's metadata names.

        Raises:
            Unauthenticated: The namespace or the principal is missing or malformed.
        """
        namespace, principal, request_id = (metadata.get(key, "") for key in KEYS)
        if not NAMESPACE.fullmatch(namespace) or not principal:
            raise Unauthenticated("the call does not say for whom it is made")
        return cls(namespace, principal, request_id if REQUEST_ID.fullmatch(request_id) else new_request_id())


def new_request_id() -> str:
    """A request id that nobody else has."""
    return secrets.token_hex(16)


_current: ContextVar[Caller] = ContextVar("caller")


def current() -> Caller:
    """The caller of the request being worked on.

    Raises:
        Unauthenticated: Nobody is bound to this task.
    """
    try:
        return _current.get()
    except LookupError:
        raise Unauthenticated from None


def bind(caller: Caller) -> None:
    """Make `caller` the one for the rest of this task and those it starts."""
    _current.set(caller)
