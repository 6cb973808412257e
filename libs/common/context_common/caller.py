"""Who is asking: travels beside every call as metadata, and beside every task as a context variable."""

import re
import secrets
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace

from context_common.errors import Unauthenticated

NAMESPACE = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
KEYS = ("x-context-namespace", "x-context-principal", "x-context-address")
REQUEST = "x-request-id"
LISTS = ("x-context-scopes", "x-context-readable", "x-context-writable")
READ, WRITE, ADMIN = "context:read", "knowledge:write", "admin"
SCOPES = frozenset({READ, WRITE, ADMIN})  # what a credential may have
SERVICE = "service"  # what a service has that works on its own behalf; no credential grants it
EVERY = "*"  # in place of a namespace: all of them


@dataclass(frozen=True)
class Caller:
    """A principal at work in one namespace, on one request.

    Args:
        namespace: The one it works in; whether it may was decided where the request came in.
        principal: `key:<id>`, `user:<subject>` or `service:<name>`.
        request_id: The request's, in every log line of every service. It is no part of who calls.
        address: Where the request came from; empty where a service works on its own behalf.
        scopes: Among SCOPES, or SERVICE.
        readable: The namespaces it may read beside its own; EVERY stands for all.
        writable: The namespaces it may write, as far as its scopes go, its own only where it is named; EVERY stands
            for all. Nobody hands on more than these.
    """

    namespace: str
    principal: str
    request_id: str = field(compare=False)
    address: str = ""
    scopes: frozenset[str] = frozenset()
    readable: frozenset[str] = frozenset()
    writable: frozenset[str] = frozenset()

    def may(self, scope: str) -> bool:
        """Whether it has `scope`; admin stands for every scope of a credential."""
        return scope in self.scopes or (scope in SCOPES and ADMIN in self.scopes)

    def may_read(self, namespace: str) -> bool:
        """Whether it may read what is in `namespace`."""
        return namespace == self.namespace or namespace in self.readable or EVERY in self.readable

    def may_write(self, namespace: str) -> bool:
        """Whether it may write what is in `namespace`, as far as its scopes go."""
        return namespace in self.writable or EVERY in self.writable

    def identity(self) -> tuple[tuple[str, str], ...]:
        """All but the request, as gRPC metadata: what a service vouches for."""
        texts = zip(KEYS, (self.namespace, self.principal, self.address), strict=True)
        lists = zip(LISTS, (self.scopes, self.readable, self.writable), strict=True)
        return (*texts, *((key, " ".join(sorted(values))) for key, values in lists))

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """The caller, and the request, as gRPC metadata."""
        return (*self.identity(), (REQUEST, self.request_id))

    def on(self, request_id: str) -> "Caller":
        """The same caller on the request of that id, or on one with an id of its own where that is none."""
        return replace(self, request_id=request_id if REQUEST_ID.fullmatch(request_id) else new_request_id())

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> "Caller":
        """The caller that a call's metadata names.

        Raises:
            Unauthenticated: The namespace or the principal is missing or malformed.
        """
        namespace, principal, address = (metadata.get(key, "") for key in KEYS)
        scopes, readable, writable = (frozenset(metadata.get(key, "").split()) for key in LISTS)
        if not NAMESPACE.fullmatch(namespace) or not principal:
            raise Unauthenticated("the call does not say for whom it is made")
        who = cls(namespace, principal, "", address, scopes, readable, writable)
        return who.on(metadata.get(REQUEST, ""))


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
