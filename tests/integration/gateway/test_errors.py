"""Whatever goes wrong is a problem document with the right status, and bad input is never our fault."""

import gzip
import json
from itertools import product
from typing import Any

import pytest
import structlog

from context_common.errors import (
    AppError,
    Conflict,
    Denied,
    Invalid,
    NotFound,
    Overloaded,
    Stale,
    TooLate,
    Unauthenticated,
    Unavailable,
)
from tests.support.gateway import Gateway, serve

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = {"Content-Type": "application/json"}
MEMBERS = {"type", "title", "status", "detail", "error", "code", "details", "request_id"}
ADR = {"title": "t", "decision": "d"}
FAILURE = {"title": "t", "root_cause": "r"}
MEETING = {"meeting_title": "t", "date": "2026-01-31", "decisions": [{"decision": "d"}]}
SNAPSHOT = {"commit_hash": "h", "commit_message": "m", "author": "a"}
EDGE = {"from": "ADR-001", "to": "ADR-002", "type": "references"}
QUESTION = {"query": "why"}
FEEDBACK = {
    "overall_rating": 4,
    "query_text": "why",
    "items_used": ["ADR-001"],
    "missing_context": "m",
    "agent_id": "a",
}
# Each call that takes a body, with one that it takes.
BODIES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "create adr": ("POST", "/api/adr", ADR),
    "create failure": ("POST", "/api/failure", FAILURE),
    "create meeting": ("POST", "/api/meeting", MEETING),
    "create snapshot": ("POST", "/api/context/snapshot", SNAPSHOT),
    "put adr": ("PUT", "/api/adr/ADR-001", {"title": "t"}),
    "patch adr": ("PATCH", "/api/adr/ADR-001", {"title": "t"}),
    "patch failure": ("PATCH", "/api/failure/FAIL-001", {"title": "t"}),
    "patch meeting": ("PATCH", "/api/meeting/MEET-001", {"date": "2026-01-31"}),
    "patch snapshot": ("PATCH", "/api/snapshot/SNAP-001", {"author": "a"}),
    "query": ("POST", "/api/context/query", QUESTION),
    "search": ("POST", "/api/search", QUESTION),
    "relate": ("POST", "/api/graph/relationships", EDGE),
    "unrelate": ("DELETE", "/api/graph/relationships", EDGE),
    "say": ("POST", "/api/feedback", FEEDBACK),
    "embed": ("POST", "/v1/embeddings", {"input": "text"}),
    "reindex": ("POST", "/api/admin/reindex", {"every_namespace": False}),
}
MALFORMED = (
    (b"{", 400),
    (b'{"title": "\xff"}', 400),
    (b'{"title": NaN}', 400),
    (b'{"title": "a", "title": "b"}', 400),
    (b'{"\\ud800": 1}', 400),
    (b"[" * 100_000, 400),
    (b'{"title": ' + b"[" * 900 + b"]" * 900 + b"}", 400),
    (b'{"title": ' + b"[" * 30 + b"]" * 30 + b"}", 422),
    (b'{"title": ' + b"9" * 5000 + b"}", 400),
    (b'{"title": "line\nbreak"}', 400),
    (b"\xef\xbb\xbf{}", 400),
    (b"[]", 422),
    (b'"text"', 422),
    (b"5", 422),
)
TOO_LONG = "x" * 200_000
WRONG: tuple[Any, ...] = (5, -1.5, True, [], {}, [None], {"a": None}, "\0", "\ud800", "nul\0", 10**300, TOO_LONG)
# Texts of any length can be embedded, a flag may be true, an answer be rated 5, and nothing of it have been used.
FINE: tuple[tuple[str, Any], ...] = (
    ("input", TOO_LONG),
    ("every_namespace", True),
    ("overall_rating", 5),
    ("items_used", []),
)


def problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    """The problem document in `answer`, which must be complete."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body.keys() >= MEMBERS
    assert (body["status"], body["code"]) == (status, code)
    assert body["request_id"] == answer.headers["x-request-id"]
    assert body["error"] == body["title"]
    assert "Traceback" not in answer.text
    return body


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Invalid({"adr.decision": ["is too bold"]}), 422, "validation_failed"),
        (NotFound(), 404, "not_found"),
        (Conflict("ADR-001 is taken"), 409, "conflict"),
        (Stale(), 412, "version_mismatch"),
        (Unauthenticated(), 503, "unavailable"),  # the service does not believe the gateway; its caller did no wrong
        (Denied(), 403, "denied"),
        (Overloaded("full", 1.2), 429, "overloaded"),
        (Unavailable("away", 0.2), 503, "unavailable"),
        (TooLate(), 504, "deadline_exceeded"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, AppError) else "",
)
async def test_each_kind_of_error_has_its_status(gateway: Gateway, error: AppError, status: int, code: str) -> None:
    gateway.knowledge.error = error
    answer = await gateway.http.patch("/api/adr/ADR-001", json=ADR)
    body = problem(answer, status, code)
    if isinstance(error, Invalid):
        assert body["details"] == {"decision": ["is too bold"]}
    if error.retry_after is not None:
        assert answer.headers["retry-after"] == str(body["retry_after"]) == {429: "2", 503: "1"}[status]


async def test_what_is_not_ours_keeps_its_detail_to_itself(gateway: Gateway) -> None:
    gateway.knowledge.error = ValueError("password=hunter2")
    with structlog.testing.capture_logs() as logged:
        answer = await gateway.http.post("/api/adr", json=ADR)
    problem(answer, 500, "internal")
    assert "request_failed" in [line["event"] for line in logged]
    assert "hunter2" not in answer.text


@pytest.mark.parametrize(("part", "path"), [("knowledge", "/api/adr"), ("retrieval", "/api/context/recent")])
async def test_a_service_that_is_away_is_a_503(part: str, path: str) -> None:
    async with serve(**{f"{part}_addr": "127.0.0.1:1"}) as gateway:
        answer = await gateway.http.get(path)
        problem(answer, 503, "unavailable")
        assert answer.headers["retry-after"] == str(answer.json()["retry_after"])


async def test_a_request_past_its_time_is_a_504() -> None:
    async with serve(request_timeout=0.3) as gateway:
        gateway.retrieval.pause = 5
        problem(await gateway.http.post("/api/context/query", json=QUESTION), 504, "deadline_exceeded")


@pytest.mark.parametrize("call", BODIES)
async def test_a_malformed_body_is_refused(gateway: Gateway, call: str) -> None:
    method, path, _ = BODIES[call]
    for content, status in MALFORMED:
        answer = await gateway.http.request(method, path, content=content, headers=JSON)
        problem(answer, status, {400: "bad_request", 422: "validation_failed"}[status])
    assert gateway.knowledge.requests == []


@pytest.mark.parametrize("call", BODIES)
async def test_an_unknown_field_is_named(gateway: Gateway, call: str) -> None:
    method, path, body = BODIES[call]
    wrong = body | {"colour": "red", "\u00e4\0": 1, "'; DROP TABLE items; --": None}
    answer = await gateway.http.request(method, path, json=wrong)
    details = problem(answer, 422, "validation_failed")["details"]
    assert details == {name: ["is unknown"] for name in wrong.keys() - body.keys()}
    assert gateway.knowledge.requests == []


@pytest.mark.parametrize("call", BODIES)
async def test_a_value_of_the_wrong_kind_is_named(gateway: Gateway, call: str) -> None:
    method, path, body = BODIES[call]
    for name, value in product(body, WRONG):
        if (name, value) in FINE:
            continue
        wrong = json.dumps(body | {name: value})
        answer = await gateway.http.request(method, path, content=wrong, headers=JSON)
        details = problem(answer, 422, "validation_failed")["details"]
        assert all(bad.startswith(name) for bad in details), (value, details)
    assert gateway.knowledge.requests == []


@pytest.mark.parametrize("call", [call for call in BODIES if call not in ("reindex", "say")])
async def test_null_for_what_is_required_is_named(gateway: Gateway, call: str) -> None:
    method, path, body = BODIES[call]
    names = list(body)
    answer = await gateway.http.request(method, path, json=dict.fromkeys(names))
    assert problem(answer, 422, "validation_failed")["details"] == {name: ["must not be null"] for name in names}


@pytest.mark.parametrize(
    ("path", "body", "bad"),
    [
        ("/api/adr", {}, {"title", "decision"}),
        ("/api/adr", ADR | {"title": "  ", "status": "done", "pinned": 1}, {"title", "status", "pinned"}),
        ("/api/adr", ADR | {"created_date": "2026-02-30"}, {"created_date"}),
        ("/api/adr", ADR | {"created_date": "20260131"}, {"created_date"}),
        ("/api/adr", ADR | {"id": "FAIL-001"}, {"id"}),
        ("/api/adr", ADR | {"id": "../etc"}, {"id"}),
        ("/api/adr", ADR | {"supersedes": ["ADR-1", "x"]}, {"supersedes[1]"}),
        (
            "/api/adr",
            ADR | {"options_considered": {"a": 1, "b\0": "x"}},
            {"options_considered.a", "options_considered.b\0"},
        ),
        ("/api/adr", ADR | {"tags": ["a", 5, " "]}, {"tags[1]", "tags[2]"}),
        ("/api/adr", ADR | {"tags": "a,b"}, {"tags"}),
        ("/api/failure", FAILURE | {"occurrence_count": 0, "severity": "bad"}, {"occurrence_count", "severity"}),
        ("/api/failure", FAILURE | {"occurrence_count": 2**70}, {"occurrence_count"}),
        ("/api/failure", FAILURE | {"first_seen": "yesterday", "last_seen": 5}, {"first_seen", "last_seen"}),
        ("/api/failure", FAILURE | {"first_seen": "0001-01-01T00:00:00+14:00"}, {"first_seen"}),
        ("/api/meeting", MEETING | {"decisions": []}, {"decisions"}),
        (
            "/api/meeting",
            MEETING | {"decisions": [{"decision": "d", "action_items": [{"due": "soon"}]}, {}]},
            {"decisions[0].action_items[0].task", "decisions[0].action_items[0].due", "decisions[1].decision"},
        ),
        (
            "/api/context/snapshot",
            SNAPSHOT | {"commit_type": "x", "references": "ADR-1,y"},
            {"commit_type", "references[1]"},
        ),
        ("/api/context/query", QUESTION | {"max_tokens": "5", "as_of": "2026-01-01"}, {"max_tokens", "as_of"}),
        ("/api/context/query", QUESTION | {"max_tokens": 199, "min_score": 1.5}, {"max_tokens", "min_score"}),
        (
            "/api/context/query",
            QUESTION | {"namespaces": ["web", "No!"], "types": ["poem"]},
            {"namespaces[1]", "types[0]"},
        ),
        ("/api/search", QUESTION | {"top_k": 0, "mode": "magic", "from": "x"}, {"top_k", "mode", "from"}),
        ("/api/graph/relationships", EDGE | {"strength": 0, "type": "likes"}, {"strength", "type"}),
        (
            "/api/feedback",
            {"overall_rating": 6, "items_helpful": ["x"], "items_not_helpful": ["ADR-1", 5], "items_used": "ADR-1"},
            {"overall_rating", "items_helpful[0]", "items_not_helpful[1]", "items_used"},
        ),
        ("/api/feedback", {"items_used": ["ADR-1"] * 101, "id": "1"}, {"items_used", "id"}),
        ("/v1/embeddings", {"input": ["a", ""], "encoding_format": "hex"}, {"input[1]", "encoding_format"}),
        ("/v1/embeddings", {"input": []}, {"input"}),
        ("/v1/embeddings", {"input": "a", "dimensions": 4}, {"dimensions"}),
    ],
)
async def test_every_bad_field_is_named_at_once(gateway: Gateway, path: str, body: Any, bad: set[str]) -> None:
    answer = await gateway.http.post(path, json=body)
    assert problem(answer, 422, "validation_failed")["details"].keys() == bad
    assert gateway.knowledge.requests == []


@pytest.mark.parametrize(
    ("path", "bad"),
    [
        ("/api/adr?limit=0&statu=x", {"limit", "statu"}),
        ("/api/adr?limit=201", {"limit"}),
        ("/api/adr?limit=five", {"limit"}),
        ("/api/adr?limit=" + "9" * 5000, {"limit"}),
        ("/api/adr?status=done", {"status"}),
        ("/api/adr?from=2026-13-01&to=x", {"from", "to"}),
        ("/api/adr?q=%00&author=%00", {"q", "author"}),
        ("/api/adr?fields=some", {"fields"}),
        ("/api/adr?severity=high", {"severity"}),
        ("/api/adr?cursor=broken", {"cursor"}),
        ("/api/adr?q=%ff", set()),
        ("/api/adr/ADR-001?fields=some", {"fields"}),
        ("/api/context/recent?limit=51", {"limit"}),
        ("/api/context/timeline?from=x", {"from"}),
        ("/api/context/domain/db?types=poem", {"types[0]"}),
        ("/api/graph/related/ADR-001?depth=6&direction=up&types=likes", {"depth", "direction", "types[0]"}),
        ("/api/graph/related/ADR-001?depth=-1", {"depth"}),
        ("/api/feedback?limit=201&item_id=x&query_id=%00", {"limit", "item_id", "query_id"}),
        ("/api/feedback?cursor=broken", {"cursor"}),
        ("/api/feedback/stats?days_back=0", {"days_back"}),
        ("/api/feedback/stats?days_back=3651", {"days_back"}),
        ("/api/feedback/stats?days_back=month&days=3", {"days_back", "days"}),
    ],
)
async def test_a_bad_query_is_a_400_that_names_it(gateway: Gateway, path: str, bad: set[str]) -> None:
    assert problem(await gateway.http.get(path), 400, "bad_request")["details"].keys() == bad


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere",
        "/api/adr/",
        "/api/adr/ADR-999",
        "/api/adr/FAIL-001",
        "/api/adr/adr",
        "/api/adr/ADR-001%00",
        "/api/adr/ADR-%ff",
        "/api/adr/ADR%2F001",
        "/api/adr/%zz",
        "/api/adr/1%27%20OR%201=1",
        "/api/adr/ADR-" + "9" * 5000,
        "/api/poem/ADR-001",
        "/api/graph/related/x",
        "/api/graph/related/ADR-999",
        "/api/context/domain/%00",
    ],
)
async def test_what_is_not_there_is_a_404(gateway: Gateway, path: str) -> None:
    for method in ("GET", "PATCH") if path.startswith("/api/adr/ADR") else ("GET",):
        answer = await gateway.http.request(method, path, json={"title": "t"} if method == "PATCH" else None)
        problem(answer, 404, "not_found")


@pytest.mark.parametrize(("path", "media_type"), [("/api/adr", "json"), ("/api/bulk", "x-ndjson")])
async def test_a_compressed_body_is_a_415_that_says_so(gateway: Gateway, path: str, media_type: str) -> None:
    content = gzip.compress(json.dumps(ADR | {"type": "adr"}).encode())
    headers = {"Content-Type": f"application/{media_type}"}
    answer = await gateway.http.post(path, content=content, headers=headers | {"Content-Encoding": "gzip"})
    assert "uncompressed" in problem(answer, 415, "unsupported_media_type")["detail"]
    plain = await gateway.http.post("/api/adr", json=ADR, headers={"Content-Encoding": "identity"})
    assert plain.status_code == 201


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/context/query"),
        ("POST", "/api/adr"),
        ("POST", "/api/bulk"),
        ("PATCH", "/api/adr/ADR-001"),
        ("DELETE", "/api/adr/ADR-001"),
        ("POST", "/api/graph/relationships"),
        ("POST", "/api/search"),
        ("POST", "/api/admin/keys"),
        ("GET", "/api/skills"),
        ("GET", "/api/adr"),
    ],
)
async def test_an_unknown_parameter_is_refused_by_name_whatever_the_method(
    gateway: Gateway, method: str, path: str
) -> None:
    answer = await gateway.http.request(method, f"{path}?colour=red&x", content=b"{}", headers=JSON)
    details = problem(answer, 400, "bad_request")["details"]
    assert (details["colour"], details["x"]) == (["is unknown"], ["is unknown"])
    assert gateway.knowledge.requests == gateway.retrieval.requests == gateway.admin.requests == []


async def test_a_probe_may_have_a_query(gateway: Gateway) -> None:
    assert (await gateway.http.get("/livez?now=1")).status_code == 200


async def test_a_method_that_is_not_there_is_a_405_that_names_those_that_are(gateway: Gateway) -> None:
    answer = await gateway.http.post("/api/adr/ADR-001", json={})
    problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "DELETE, GET, HEAD, PATCH, PUT"


@pytest.mark.parametrize(
    "media_type",
    [None, "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1", "json", ";;;"],
)
async def test_a_body_that_is_not_declared_as_json_is_a_415(gateway: Gateway, media_type: str | None) -> None:
    headers = {"Content-Type": media_type} if media_type else {}
    answer = await gateway.http.post("/api/adr", content=json.dumps(ADR).encode(), headers=headers)
    problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "media_type", ["application/json; charset=UTF-8", "Application/JSON", "application/merge-patch+json"]
)
async def test_json_may_be_declared_in_several_ways(gateway: Gateway, media_type: str) -> None:
    answer = await gateway.http.post("/api/adr", content=json.dumps(ADR), headers={"Content-Type": media_type})
    assert answer.status_code == 201


@pytest.mark.parametrize("call", BODIES)
async def test_ten_megabytes_are_a_413(gateway: Gateway, call: str) -> None:
    method, path, _ = BODIES[call]
    content = b'{"title": "' + b"x" * 10_000_000 + b'"}'

    async def chunks() -> Any:
        for start in range(0, len(content), 100_000):
            yield content[start : start + 100_000]

    problem(await gateway.http.request(method, path, content=content, headers=JSON), 413, "too_large")
    problem(await gateway.http.request(method, path, content=chunks(), headers=JSON), 413, "too_large")
    assert (await gateway.http.get("/livez")).status_code == 200


@pytest.mark.parametrize("namespace", ["UPPER", "a b", "-a", "a" * 65, "../x", "a%00", "\u00e4"])
async def test_a_malformed_namespace_is_refused(gateway: Gateway, namespace: str) -> None:
    headers = {"X-Context-Namespace": namespace.encode("latin-1")}
    answer = await gateway.http.get("/api/adr", headers=headers)  # type: ignore[arg-type]  # bytes go as they are
    assert problem(answer, 400, "bad_request")["details"].keys() == {"X-Context-Namespace"}


async def test_strange_bytes_on_the_wire_are_a_400_at_most(gateway: Gateway) -> None:
    for request in (
        b"GET /api/adr?q=\xff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET /api/adr HTTP/1.1\r\nHost: x\r\nX-Context-Namespace: \xff\r\nConnection: close\r\n\r\n",
        b"GET /nowhere HTTP/1.1\r\nHost: x\r\nX-Request-Id: \xff\xfe\r\nConnection: close\r\n\r\n",
        b"POST /api/adr HTTP/1.1\r\nHost: x\r\nContent-Type: \xff/\xfe\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /api/adr HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\nConnection: close\r\n\r\n{}",
        b"POST /api/adr HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"9" * 30 + b"\r\nConnection: close\r\n\r\n{}",
        b"POST /api/adr HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n",
    ):
        status = (await gateway.raw(request)).split(b" ", 2)[1]
        assert status.startswith(b"4"), request


async def test_nobody_waiting_any_more_stops_the_work(gateway: Gateway) -> None:
    gateway.retrieval.pause = 60
    body = json.dumps(QUESTION).encode()
    await gateway.abandon(
        b"POST /api/context/query HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(body), body),
        gateway.retrieval,
    )


async def test_an_address_of_ours_is_told_to_nobody() -> None:
    async with serve(knowledge_addr="127.0.0.1:1") as gateway:
        assert "127.0.0.1" not in (await gateway.http.get("/api/adr")).text


@pytest.mark.parametrize(
    ("content", "status", "named"),
    [
        ({"query": "x", "types": ["adr"] * 51}, 422, {"types": ["has more than 50 entries"]}),
        (
            {"query": "x", **{f"a{number}": 1 for number in range(10_001)}},
            400,
            {"body": ["has more than 10,000 fields"]},
        ),
    ],
)
async def test_what_is_wrong_a_thousand_times_over_is_not_looked_at_each_time(
    gateway: Gateway, content: dict[str, Any], status: int, named: dict[str, list[str]]
) -> None:
    answer = await gateway.http.post("/api/search", json=content)
    assert (answer.status_code, answer.json()["details"]) == (status, named)


async def test_of_many_faults_the_first_are_named(gateway: Gateway) -> None:
    answer = await gateway.http.post("/api/search", json={"query": "x"} | {f"a{number}": 1 for number in range(500)})
    details = answer.json()["details"]
    assert len(details) == 101
    assert details["body"] == ["has 500 faults, of which these are the first 100"]


async def test_a_status_that_nothing_has_is_no_status(gateway: Gateway) -> None:
    answer = await gateway.http.post("/api/search", json={"query": "x", "statuses": ["active", "activ"]})
    assert (answer.status_code, list(answer.json()["details"])) == (422, ["statuses[1]"])
