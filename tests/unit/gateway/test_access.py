"""The table of who may do what: it has a row for every route there is, and finds it as the framework would."""

import asyncio
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from starlette.exceptions import HTTPException
from starlette.routing import Match, Mount

from context_common.caller import ADMIN, READ, WRITE
from context_gateway.access import ANYBODY, OPERATIONS, Operation, Table, confirm, names
from context_gateway.identity import Identity
from context_gateway.lanes import ITEMS
from context_gateway.problems import Refused
from tests.support.openapi import make_app

# By hand, and not from the table: a slip there must show here.
OPEN = {"GET /", "GET /docs", "GET /openapi.json", "GET /health", "GET /livez", "GET /readyz"}


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return asyncio.run(make_app())


def test_every_route_has_a_row_and_every_row_a_route(app: FastAPI) -> None:
    assert set(names(app.routes)) == OPERATIONS.keys()


def test_nothing_else_is_open() -> None:
    assert {name for name, operation in OPERATIONS.items() if operation.open} == OPEN


def test_what_administers_or_deletes_is_for_administrators_and_writing_is_not_reading() -> None:
    for name, operation in OPERATIONS.items():
        method, path = name.split(" ")
        if path.startswith("/api/admin/") or path == "/metrics" or (method == "DELETE" and path.endswith("{id}")):
            assert operation.scope == ADMIN, name
        elif method in ("PUT", "PATCH", "DELETE"):
            assert operation.scope == WRITE, name
        elif method == "GET" and name not in OPEN:
            assert operation.scope == READ, name


def test_what_knowledge_answers_takes_no_place_of_a_question() -> None:
    apart = {name for name, operation in OPERATIONS.items() if operation.lane == ITEMS}
    assert apart >= {"GET /api/adr", "GET /api/feedback", "GET /api/feedback/stats", "GET /api/feedback/{id}"}
    assert OPERATIONS["POST /api/feedback"].rate == "write"
    assert "POST /api/context/query" not in apart


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_path_finds_its_row(name: str) -> None:
    method, template = name.split(" ")
    path = template.replace("{id}", "ADR-001").replace("{tag}", "database").replace("{query_id}", "q-1")
    assert Table().find(method, path).name == name


SEGMENTS = sorted({part for name in OPERATIONS for part in name.split(" ")[1].split("/") if not part.startswith("{")})
paths = st.lists(st.one_of(st.sampled_from(SEGMENTS), st.sampled_from(["", ".", "..", "x", "%2e", "a\n", "é", "{id}"])))


@given(segments=paths, method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"]))
def test_the_table_reads_a_path_as_the_framework_does(segments: list[str], method: str, app: FastAPI) -> None:
    path = "/" + "/".join(segments)
    scope: dict[str, Any] = {"type": "http", "method": method, "path": path, "root_path": "", "headers": []}
    routes = [route for route in app.routes if route.matches(scope)[0] is Match.FULL]
    found = f"{method} {routes[0].path}" if routes else ""  # type: ignore[attr-defined]
    # The framework lets a line end follow the end of a path. There the table is stricter, and nothing is served.
    assert row(method, path) == found or (path.endswith("\n") and not row(method, path))


def row(method: str, path: str) -> str:
    """The name of the row that the table finds; empty where it refuses."""
    try:
        return Table().find(method, path).name
    except HTTPException:
        return ""


def test_what_has_no_row_is_refused() -> None:
    for method, path in (("GET", "/nowhere"), ("GET", "/api/adr/ADR-001/"), ("GET", "/api//adr"), ("GET", "")):
        with pytest.raises(Refused) as caught:
            Table().find(method, path)
        assert caught.value.status_code == 404


def test_a_method_that_is_not_there_is_told_which_are() -> None:
    with pytest.raises(HTTPException) as caught:
        Table().find("POST", "/api/adr/ADR-001")
    assert caught.value.headers == {"Allow": "DELETE, GET, HEAD, PATCH, PUT"}


def test_a_mount_is_one_row_for_all_below_it_and_needs_one() -> None:
    routes = [Mount("/mcp", app=FastAPI())]
    with pytest.raises(LookupError, match=r"who may: \* /mcp/\{path:path\}$"):
        Table().cover(routes)
    mounted = Operation("* /mcp/{path:path}", READ, "read")
    table = Table({mounted.name: mounted})
    table.cover(routes)
    assert table.find("POST", "/mcp/a/b") == table.find("GET", "/mcp/") == mounted


def test_another_route_than_the_one_that_was_allowed_never_runs(app: FastAPI) -> None:
    route = next(route for route in app.routes if getattr(route, "path", "") == "/api/admin/keys")
    allowed = Identity(None, Operation("GET /api/adr/{id}", ANYBODY, "open"))  # type: ignore[arg-type]
    with pytest.raises(Refused):
        confirm({"state": {"identity": allowed}, "route": route})
