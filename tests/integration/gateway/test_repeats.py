"""Idempotency-Key: handed to knowledge with what it stands for, a key for each line of a stream."""

import json
from typing import Any

import pytest

from context_common.errors import Conflict
from tests.support.gateway import Gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")

CREATES: list[tuple[str, dict[str, Any]]] = [
    ("/api/adr", {"title": "t", "decision": "d"}),
    ("/api/failure", {"title": "t", "root_cause": "r"}),
    ("/api/meeting", {"meeting_title": "m", "date": "2026-01-31", "decisions": [{"decision": "d"}]}),
    ("/api/context/snapshot", {"commit_hash": "a", "commit_message": "m", "author": "x"}),
    ("/api/graph/relationships", {"from": "ADR-001", "to": "ADR-002", "type": "related_to"}),
    ("/api/feedback", {"overall_rating": 4}),
]
NDJSON = {"Content-Type": "application/x-ndjson"}
KEY = "Idempotency-Key"


@pytest.mark.parametrize(("path", "body"), CREATES)
async def test_a_create_carries_its_key(gateway: Gateway, path: str, body: dict[str, Any]) -> None:
    for given in ("0e4c-1", "two words", "~" * 200):
        answer = await gateway.http.post(path, json=body, headers={KEY: given})
        assert answer.status_code in (200, 201), answer.text
        assert gateway.knowledge.requests[-1].idempotency_key == given
    await gateway.http.post(path, json=body)
    assert gateway.knowledge.requests[-1].idempotency_key == ""


@pytest.mark.parametrize("given", ["", "x" * 201, "tab\there", "\xe9"])
async def test_a_key_that_cannot_be_is_refused(gateway: Gateway, given: str) -> None:
    before = len(gateway.knowledge.requests)
    headers = [(KEY.encode(), given.encode("latin-1"))]
    single = await gateway.http.post("/api/adr", json=CREATES[0][1], headers=headers)
    bulk = await gateway.http.post(
        "/api/bulk", content=b"", headers=[*headers, (b"Content-Type", b"application/x-ndjson")]
    )
    twice = await gateway.http.post("/api/adr", json=CREATES[0][1], headers=[(KEY, "a"), (KEY, "b")])
    for answer in (single, bulk, twice):
        assert answer.status_code == 400
        assert list(answer.json()["details"]) == [KEY]
    assert len(gateway.knowledge.requests) == before


async def test_a_key_of_another_body_is_a_conflict(gateway: Gateway) -> None:
    gateway.knowledge.error = Conflict("that idempotency key was used for another request")
    answer = await gateway.http.post("/api/adr", json=CREATES[0][1], headers={KEY: "k"})
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


async def test_the_making_and_the_rotation_of_an_api_key_carry_their_key(gateway: Gateway) -> None:
    body = {"name": "ci", "scopes": ["context:read"], "namespaces": ["default"]}
    answer = await gateway.http.post("/api/admin/keys", json=body, headers={KEY: "k"})
    assert answer.status_code == 201, answer.text
    assert gateway.admin.requests[-1].idempotency_key == "k"
    answer = await gateway.http.post(f"/api/admin/keys/{answer.json()['id']}/rotate", headers={KEY: "k-2"})
    assert answer.status_code == 201, answer.text
    assert gateway.admin.requests[-1].idempotency_key == "k-2"


async def test_each_line_of_a_stream_has_a_key_of_its_own(gateway: Gateway) -> None:
    item = json.dumps({"type": "adr", "title": "t", "decision": "d"}).encode()
    stream = b"\n".join([item, b"", b"{broken", item, item])
    for headers, wanted in ((NDJSON | {KEY: "k"}, ["k/1", "k/4", "k/5"]), (NDJSON, [])):
        before = len(gateway.knowledge.requests)
        answer = await gateway.http.post("/api/bulk", content=stream, headers=headers)
        assert [json.loads(line)["line"] for line in answer.text.splitlines()] == [1, 3, 4, 5]
        sent = gateway.knowledge.requests[before:]
        assert [key for request in sent for key in request.idempotency_keys] == wanted
        assert sum(len(request.items) for request in sent) == 3
