"""What every answer has, the pages, health, and the document that must agree with API.md."""

import asyncio
import re
from typing import Any

import pytest

from context_gateway import health
from tests.support.gateway import Gateway, serve

pytestmark = pytest.mark.asyncio(loop_scope="module")

ITEM = ("get", "put", "patch", "delete")
# What API.md promises of what is built so far.
ROUTES = {
    **{f"/api/{kind}": ("get", "post") for kind in ("adr", "failure", "meeting")},
    **{f"/api/{kind}/{{id}}": ITEM for kind in ("adr", "failure", "meeting", "snapshot")},
    "/api/snapshot": ("get",),
    "/api/context/snapshot": ("post",),
    "/api/bulk": ("post",),
    "/api/context/query": ("post",),
    "/api/search": ("post",),
    "/api/context/recent": ("get",),
    "/api/context/timeline": ("get",),
    "/api/context/domain/{tag}": ("get",),
    "/api/graph/related/{id}": ("get",),
    "/api/graph/relationships": ("post", "delete"),
    "/api/feedback": ("get", "post"),
    "/api/feedback/stats": ("get",),
    "/api/feedback/{id}": ("get",),
    "/api/admin/audit": ("get",),
    "/api/admin/index": ("get",),
    "/api/admin/index/set-aside": ("get",),
    "/api/admin/index/set-aside/retry": ("post",),
    "/api/admin/keys": ("get", "post"),
    "/api/admin/keys/{id}": ("delete", "get"),
    "/api/admin/keys/{id}/rotate": ("post",),
    "/api/admin/reindex": ("post",),
    "/api/admin/review": ("get",),
    "/api/admin/review/{id}": ("post",),
    "/api/context/receipts/{query_id}": ("get",),
    "/api/skills": ("get",),
    "/api/skills/{name}": ("get",),
    "/v1/embeddings": ("post",),
    "/health": ("get",),
    "/livez": ("get",),
    "/readyz": ("get",),
    "/metrics": ("get",),
}


async def ready(gateway: Gateway, path: str, status: int, *, word: str) -> dict[str, Any]:
    """The answer of `path` once it says `word`: health follows within a moment."""
    async with asyncio.timeout(5):
        while True:
            answer = await gateway.http.get(path)
            body: dict[str, Any] = answer.json()
            if (answer.status_code, body["status"]) == (status, word):
                return body
            await asyncio.sleep(0.05)


async def test_the_document_agrees_with_the_contract(gateway: Gateway) -> None:
    document = (await gateway.http.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    assert {path: tuple(sorted(methods)) for path, methods in document["paths"].items()} == {
        path: tuple(sorted(methods)) for path, methods in ROUTES.items()
    }
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(set(ids)) == len(ids)
    for operation in operations:
        assert operation["summary"]
        assert operation["tags"]
        for status in ("400", "503", "504"):
            assert "application/problem+json" in operation["responses"][status]["content"]
        assert ("422" in operation["responses"]) == ("requestBody" in operation)


async def test_the_document_says_what_a_body_needs(gateway: Gateway) -> None:
    schemas = (await gateway.http.get("/openapi.json")).json()["components"]["schemas"]
    assert sorted(schemas["AdrCreate"]["required"]) == ["decision", "title"]
    assert schemas["AdrCreate"]["additionalProperties"] is False
    assert sorted(schemas["MeetingCreate"]["required"]) == ["date", "decisions"]  # and one of the title's two names
    assert "as_of" not in schemas["ContextQuery"]["properties"]
    assert "from" in schemas["ContextQuery"]["properties"]


async def test_the_document_says_which_headers_count(gateway: Gateway) -> None:
    paths = (await gateway.http.get("/openapi.json")).json()["paths"]
    taken = {
        (path, method): {parameter["name"] for parameter in operation.get("parameters", [])}
        for path, methods in paths.items()
        for method, operation in methods.items()
    }
    repeatable = {
        ("/api/adr", "post"),
        ("/api/context/snapshot", "post"),
        ("/api/bulk", "post"),
        ("/api/admin/keys", "post"),
        ("/api/graph/relationships", "post"),
        ("/api/feedback", "post"),
    }
    assert {of for of, names in taken.items() if "Idempotency-Key" in names} >= repeatable
    assert "If-Match" in taken["/api/adr/{id}", "patch"]
    assert "If-Match" in taken["/api/admin/review/{id}", "post"]
    assert "If-Match" not in taken["/api/admin/keys/{id}", "delete"]
    assert "Prefer" not in taken["/api/feedback", "post"]
    assert "Idempotency-Key" not in taken["/api/graph/relationships", "delete"]


async def test_the_docs_page_needs_nothing_from_anywhere(gateway: Gateway) -> None:
    page = await gateway.http.get("/", follow_redirects=True)
    assert page.url.path == "/docs"
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "<script" not in page.text
    assert "http://" not in page.text
    assert "https://" not in page.text
    for path in ROUTES:
        assert path in page.text


@pytest.mark.parametrize(
    "path", ["/livez", "/health", "/docs", "/api/adr/ADR-001", "/api/adr?limit=x", "/api/adr/ADR-9", "/nowhere"]
)
async def test_head_is_get_without_a_body(gateway: Gateway, path: str) -> None:
    await gateway.http.post("/api/adr", json={"title": "t", "decision": "d"})
    own = {"x-request-id", "date", "content-length" if path == "/health" else ""}  # which tells the time
    got, head = await gateway.http.get(path), await gateway.http.head(path)
    assert (head.status_code, head.content) == (got.status_code, b"")
    for name in (got.headers.keys() | head.headers.keys()) - own:
        assert head.headers[name] == got.headers[name]
    request = f"HEAD {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    assert (await gateway.raw(request.encode())).endswith(b"\r\n\r\n")


async def test_head_of_what_is_only_written_is_a_405(gateway: Gateway) -> None:
    answer = await gateway.http.head("/api/bulk")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_the_docs_page_shows_what_is_answered(gateway: Gateway) -> None:
    page = (await gateway.http.get("/docs")).text
    assert '<a href="#AdrRead">AdrRead</a> or <a href="#ItemSummary">ItemSummary</a>' in page
    assert "<code>related_items</code>" in page
    assert "<code>created_at</code></td><td>as it stands</td>" in page
    assert "in each line <a" in page
    linked = set(re.findall('href="#([^"]+)"', page))
    assert linked <= set(re.findall('<details id="([^"]+)"', page))
    assert len(linked) > 50


async def test_every_answer_carries_the_same_headers(gateway: Gateway) -> None:
    for path in ("/api/adr", "/nowhere", "/livez", "/api/adr?limit=x"):
        headers = (await gateway.http.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert len(headers["x-request-id"]) == 32
        assert "server" not in headers
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(("given", "kept"), [("abc-1", True), ("", False), ("a b", False), ("x" * 129, False)])
async def test_a_request_id_is_kept_where_it_is_one(gateway: Gateway, given: str, kept: bool) -> None:
    answer = await gateway.http.get("/livez", headers={"X-Request-Id": given})
    assert (answer.headers["x-request-id"] == given) == kept


async def test_other_origins_are_let_in_only_by_name() -> None:
    async with serve(cors_origins=("https://ui.example",)) as gateway:
        for origin, allowed in (("https://ui.example", True), ("https://evil.example", False)):
            answer = await gateway.http.get("/livez", headers={"Origin": origin})
            assert ("access-control-allow-origin" in answer.headers) == allowed


async def test_health_names_each_part(gateway: Gateway) -> None:
    body = await ready(gateway, "/health", 200, word="healthy")
    assert body["checks"].keys() == {"database", "embedding_service", "retrieval_service", "disk_space"}
    assert set(body["checks"].values()) == {"healthy"}
    assert body["version"]
    assert body["timestamp"].endswith("Z")
    assert (await ready(gateway, "/readyz", 200, word="ready"))["away"] == []


async def test_without_embeddings_it_is_degraded_but_ready() -> None:
    async with serve() as gateway:
        gateway.embedding.ready = False
        assert (await ready(gateway, "/readyz", 200, word="degraded"))["away"] == ["embedding"]
        assert (await ready(gateway, "/health", 200, word="degraded"))["checks"]["embedding_service"] == "unhealthy"


@pytest.mark.parametrize(("part", "check"), [("knowledge", "database"), ("retrieval", "retrieval_service")])
async def test_without_half_of_what_it_needs_it_is_unhealthy_and_still_serves_the_other(part: str, check: str) -> None:
    async with serve() as gateway:
        await ready(gateway, "/readyz", 200, word="ready")
        getattr(gateway, part).ready = False
        assert (await ready(gateway, "/readyz", 200, word="degraded"))["away"] == [part]
        assert (await ready(gateway, "/health", 503, word="unhealthy"))["checks"][check] == "unhealthy"
        assert (await gateway.http.get("/livez")).status_code == 200


@pytest.mark.parametrize("part", ["knowledge", "retrieval"])
async def test_at_first_it_waits_for_both_but_not_for_ever(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve() as gateway:
        getattr(gateway, part).ready = False
        await asyncio.sleep(1.0)  # until it says so: the first answer is what counts
        assert (await ready(gateway, "/readyz", 503, word="not_ready"))["away"] == [part]
        monkeypatch.setattr(health, "BEGINNING", 0.0)
        assert (await ready(gateway, "/readyz", 200, word="degraded"))["away"] == [part]


async def test_with_nothing_left_to_serve_it_is_not_ready_but_alive() -> None:
    async with serve() as gateway:
        await ready(gateway, "/readyz", 200, word="ready")  # from when on one of the two is enough
        gateway.knowledge.ready = gateway.retrieval.ready = False
        assert (await ready(gateway, "/readyz", 503, word="not_ready"))["away"] == ["knowledge", "retrieval"]
        assert (await gateway.http.get("/livez")).status_code == 200


async def test_requests_are_counted_by_template(gateway: Gateway) -> None:
    await gateway.http.get("/api/adr/ADR-987")
    await gateway.http.get("/no/such/path")
    text = (await gateway.http.get("/metrics")).text
    assert 'http_requests_total{method="GET",route="/api/adr/{id}",status="404"}' in text
    assert 'http_requests_total{method="GET",route="none",status="404"}' in text
    assert 'http_request_duration_seconds_bucket{le="0.005",method="GET",route="/api/adr/{id}"}' in text
    assert "ADR-987" not in text


async def test_metrics_can_be_turned_off() -> None:
    async with serve(prometheus_enabled=False) as gateway:
        assert (await gateway.http.get("/metrics")).status_code == 404
