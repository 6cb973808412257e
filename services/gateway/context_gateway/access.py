"""Who may do what: one table over every operation that HTTP can reach. What is not in it is refused."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeAlias

from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import Scope

from context_common.caller import ADMIN, READ, WRITE
from context_gateway.lanes import ITEMS
from context_gateway.problems import Refused

RateClass: TypeAlias = Literal["open", "read", "write", "bulk", "admin"]
ANYBODY = ""  # in place of a scope: no credential is asked for, and none is looked at
ANY_METHOD = "*"
REST = "{path:path}"  # the end of a mounted application's template


@dataclass(frozen=True, slots=True)
class Operation:
    """A method and a route template, the scope it takes and the class under which its rate is limited.

    Attributes:
        lane: Whose places it takes, where they are not those of its class.
    """

    name: str
    scope: str
    rate: RateClass
    lane: str = ""

    @property
    def open(self) -> bool:
        """Whether anybody may, without saying who they are."""
        return self.scope == ANYBODY

    @property
    def topic(self) -> str:
        """What it is about, in a word for the log; empty for what is open."""
        return "" if self.open else _topic(self.name)


@cache
def _topic(name: str) -> str:
    """`adr` of `/api/adr/{id}`, `context` of the query, and of what else stands below /api/context its own word."""
    *_, area, word = [part for part in f"/{name}".split("/") if part and not part.startswith("{")]
    if area == "context":
        return "context" if word == "query" else word.removesuffix("s")
    return next((part for part in name.split("/")[2:] if part not in ("admin", "v1")), word)


def _rows(scope: str, rate: RateClass, *names: str, lane: str = "") -> dict[str, Operation]:
    return {name: Operation(name, scope, rate, lane) for name in names}


def _items(kind: str) -> dict[str, Operation]:
    one = f"/api/{kind}/{{id}}"
    create = "/api/context/snapshot" if kind == "snapshot" else f"/api/{kind}"
    return {
        **_rows(READ, "read", f"GET /api/{kind}", f"GET {one}", lane=ITEMS),
        **_rows(WRITE, "write", f"POST {create}", f"PUT {one}", f"PATCH {one}"),
        **_rows(ADMIN, "write", f"DELETE {one}"),
    }


SLASHED = "{tag}"  # the parameter that may have slashes in it, such as ci/cd; it is the last of its path
OPERATIONS: Mapping[str, Operation] = {
    # Nothing that is stored shows here: how the system is, and what its interface looks like.
    **_rows(ANYBODY, "open", "GET /", "GET /docs", "GET /openapi.json", "GET /health", "GET /livez", "GET /readyz"),
    **_items("adr"),
    **_items("failure"),
    **_items("meeting"),
    **_items("snapshot"),
    **_rows(WRITE, "bulk", "POST /api/bulk"),
    **_rows(READ, "read", "POST /api/context/query", "POST /api/search", "GET /api/context/recent"),
    **_rows(READ, "read", "GET /api/context/timeline", "GET /api/context/domain/{tag}"),
    **_rows(READ, "read", "GET /api/graph/related/{id}", lane=ITEMS),
    **_rows(READ, "read", "GET /api/context/receipts/{query_id}", "GET /api/skills", "GET /api/skills/{name}"),
    # It changes no item, so whoever may ask may say what the answer was worth.
    **_rows(READ, "write", "POST /api/feedback"),
    **_rows(READ, "read", "GET /api/feedback", "GET /api/feedback/stats", "GET /api/feedback/{id}", lane=ITEMS),
    **_rows(WRITE, "write", "POST /api/graph/relationships", "DELETE /api/graph/relationships"),
    **_rows(READ, "read", "POST /v1/embeddings"),
    **_rows(ADMIN, "admin", "GET /api/admin/index", "POST /api/admin/reindex", "GET /api/admin/audit"),
    **_rows(ADMIN, "admin", "GET /api/admin/index/set-aside", "POST /api/admin/index/set-aside/retry"),
    **_rows(ADMIN, "admin", "GET /api/admin/keys", "POST /api/admin/keys", "GET /api/admin/keys/{id}"),
    **_rows(ADMIN, "admin", "DELETE /api/admin/keys/{id}", "POST /api/admin/keys/{id}/rotate"),
    **_rows(ADMIN, "admin", "GET /api/admin/review", "POST /api/admin/review/{id}"),
    # They count what every namespace does. Prometheus has METRICS_LISTEN, and needs no administrator's credential.
    **_rows(ADMIN, "admin", "GET /metrics"),
}


class Table:
    """Finds the operation that a request asks for, by the templates of `operations`."""

    def __init__(self, operations: Mapping[str, Operation] = OPERATIONS) -> None:
        self._operations = operations
        self._tree: dict[str, Any] = {}
        for operation in operations.values():
            method, _, template = operation.name.partition(" ")
            node = self._tree
            for segment in template.split("/"):
                name = REST if segment in (REST, SLASHED) else "{}" if segment.startswith("{") else segment
                node = node.setdefault(f"/{name}", {})
            node[method] = operation

    def find(self, method: str, path: str) -> Operation:
        """The operation that is `method` on `path`.

        Raises:
            HTTPException: 404 where there is none, 405 where the path takes other methods.
        """
        methods = self._methods(self._tree, path.split("/"))
        operation = methods.get(method) or methods.get(ANY_METHOD)
        if operation:
            return operation
        if not methods:
            raise Refused(404, detail="There is no such address.")
        allowed = {*methods, "HEAD"} if "GET" in methods else methods
        raise HTTPException(405, headers={"Allow": ", ".join(sorted(allowed))})

    def _methods(self, node: Mapping[str, Any], segments: list[str]) -> Mapping[str, Operation]:
        """What stands at the end of a path; a literal segment goes before a parameter, both before a mount's rest."""
        if not segments:
            return {name: operation for name, operation in node.items() if not name.startswith("/")}
        first, *others = segments
        if f"/{first}" in node and (found := self._methods(node[f"/{first}"], others)):
            return found
        if first and "/{}" in node and (found := self._methods(node["/{}"], others)):
            return found
        return self._methods(node[f"/{REST}"], []) if f"/{REST}" in node else {}

    def cover(self, routes: Iterable[BaseRoute]) -> None:
        """Raise LookupError where an operation of `routes` has no row: nobody could ever reach it."""
        if missing := set(names(routes)) - self._operations.keys():
            raise LookupError(f"access.py does not say who may: {', '.join(sorted(missing))}")


def names(routes: Iterable[BaseRoute]) -> Iterator[str]:
    """Every operation that `routes` answer, as the table calls it."""
    for route in routes:
        if isinstance(route, APIRoute | Route):
            yield from (f"{method} {route.path_format}" for method in sorted(route.methods or {ANY_METHOD}))
        elif isinstance(route, Mount):
            yield f"{ANY_METHOD} {route.path}/{REST}"
        else:
            yield f"{ANY_METHOD} {type(route).__name__}"


def confirm(scope: Scope) -> None:
    """Refuse, as if it was not there, a route that is not the one that was allowed: two readings of a path differ."""
    operation = scope["state"]["identity"].operation
    if operation.name.partition(" ")[2] != scope["route"].path_format:
        raise Refused(404, detail="There is no such address.")
