"""Reads from the protos who may call which method, and holds callers to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from context_common.caller import ADMIN, READ, SERVICE, WRITE, Caller
from context_common.errors import Denied

# The options of context/v1/permission.proto, found by name: what is shared by all services imports no stubs.
PERMISSION, CALLERS = "context.v1.permission", "context.v1.callers"
SCOPES: Mapping[str, frozenset[str]] = {
    "PERMISSION_READ": frozenset({READ, SERVICE}),
    "PERMISSION_WRITE": frozenset({WRITE}),
    "PERMISSION_ADMIN": frozenset({ADMIN}),
    "PERMISSION_SERVICE": frozenset({SERVICE}),
}


class NotAllowed(Denied):
    """The caller may not call this method."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason  # for the metric: one word


@dataclass(frozen=True)
class Permission:
    """Who may call one method.

    Args:
        scopes: Any of these lets a caller in; none lets nobody in.
        services: Where some are named, the only services that SERVICE stands for.
    """

    scopes: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()

    def check(self, who: Caller) -> None:
        """Let `who` pass.

        Raises:
            NotAllowed: Nobody may, or the scope is missing, or it is another service's method.
        """
        if not self.scopes:
            raise NotAllowed("nobody may call this method", "closed")
        if not any(who.may(scope) for scope in self.scopes):
            raise NotAllowed(f"this needs the scope {' or '.join(sorted(self.scopes))}", "scope")
        if self.services and who.principal.removeprefix("service:") not in self.services:
            raise NotAllowed(f"this is for {' and '.join(sorted(self.services))} only", "caller")


CLOSED = Permission()


def of_service(service: ServiceDescriptor) -> dict[str, Permission]:
    """The permission of each method of `service`, by the path `/package.Service/Method`."""
    return {f"/{service.full_name}/{method.name}": _of_method(method) for method in service.methods}


def _of_method(method: MethodDescriptor) -> Permission:
    """What the options of `method` say; closed where they say nothing."""
    pool = method.containing_service.file.pool
    said: Any = method.GetOptions().Extensions
    permission: Any = pool.FindExtensionByName(PERMISSION)
    name = permission.enum_type.values_by_number[said[permission]].name
    return Permission(SCOPES.get(name, frozenset()), frozenset(said[pool.FindExtensionByName(CALLERS)]))
