"""Bulk: lines in, lines out, while both go on."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from context.v1 import types_pb2 as types
from context_common.errors import TooLate, Unavailable
from context_gateway.ingest import BATCH_BYTES, SAFE
from tests.support.gateway import Gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")

NDJSON = {"Content-Type": "application/x-ndjson"}
HEAD = b"POST /api/bulk HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"


def lines(*items: Any) -> bytes:
    return b"".join((item if isinstance(item, bytes) else json.dumps(item).encode()) + b"\n" for item in items)


def adr(title: str, **more: Any) -> dict[str, Any]:
    return {"type": "adr", "title": title, "decision": "d", **more}


async def post(gateway: Gateway, content: Any, **headers: str) -> list[dict[str, Any]]:
    answer = await gateway.http.post("/api/bulk", content=content, headers=NDJSON | headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_every_type_is_recorded_and_a_bad_line_stops_nothing(gateway: Gateway) -> None:
    answers = await post(
        gateway,
        lines(
            adr("one"),
            b"{broken",
            b"   ",
            {"type": "failure", "title": "f", "root_cause": "r"},
            {"type": "poem", "title": "t"},
            {"type": "adr", "title": 5, "colour": "red"},
            adr("refuse me"),
            b"\xff",
            {"type": "snapshot", "commit_hash": "a", "commit_message": "m", "author": "x"},
            b'{"type":"adr","title":"' + b"x" * 1024 * 1024 + b'"}',
            [1],
            {"type": "meeting", "meeting_title": "m", "date": "2026-01-31", "decisions": [{"decision": "d"}]},
        ),
    )
    by_line = {answer["line"]: answer for answer in answers}
    assert [answer["line"] for answer in answers] == [1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12]
    assert by_line[1] == {"line": 1, "id": "ADR-001", "status": "created", "indexed": True}
    assert by_line[2]["code"] == "bad_request"
    assert by_line[4]["id"] == "FAIL-002"
    assert "type" in by_line[5]["details"]
    assert by_line[6]["details"] == {
        "title": ["must be a string"],
        "decision": ["is required"],
        "colour": ["is unknown"],
    }
    assert by_line[7]["details"] == {"title": ["is refused"], "decision": ["is refused too"]}
    assert by_line[8]["code"] == "bad_request"
    assert by_line[10]["code"] == "too_large"
    assert by_line[11]["code"] == "validation_failed"
    assert by_line[12]["id"] == "MEET-004"
    assert {answer["status"] for answer in answers if "code" in answer} == {"error"}
    recorded = [item for request in gateway.knowledge.requests for item in request.items]
    assert {item.provenance for item in recorded} == {types.PROVENANCE_IMPORT}


async def test_a_line_that_failed_says_why_and_which_id_it_brought(gateway: Gateway) -> None:
    answers = await post(
        gateway,
        lines(
            adr("one", id="ADR-800"),
            adr("again", id="adr-800"),
            {"type": "adr", "id": "ADR-801", "title": "no decision"},
            adr("no id", id="\ud800"),
            b'{"type":"adr","title":"' + b"x" * 1024 * 1024 + b'"}',
        ),
    )
    assert [answer["id"] for answer in answers] == ["ADR-800", "ADR-800", "ADR-801", None, None]
    taken = {"error": "Conflict", "code": "conflict", "detail": "ADR-800 is taken", "details": {}}
    assert answers[1] == {"line": 2, "id": "ADR-800", "status": "error", **taken, "indexed": False}
    assert answers[2]["detail"] == "decision is required"
    assert answers[4]["detail"] == "the limit is 1 MiB"


async def test_the_last_line_needs_no_newline_and_again_is_unchanged(gateway: Gateway) -> None:
    content = lines(adr("one", source_uri="file:1"), adr("two", source_uri="file:2"))[:-1]
    first = await post(gateway, content)
    again = await post(gateway, content)
    assert [answer["status"] for answer in first] == ["created", "created"]
    assert [(answer["id"], answer["status"]) for answer in again] == [
        ("ADR-001", "unchanged"),
        ("ADR-002", "unchanged"),
    ]
    assert all(answer["indexed"] for answer in again)


async def test_each_line_says_whether_it_is_searchable(gateway: Gateway) -> None:
    gateway.retrieval.indexed = lambda change: change % 2 == 0
    answers = await post(gateway, lines(adr("one"), b"{", adr("two"), adr("three")))
    assert [answer["indexed"] for answer in answers] == [False, False, True, False]


async def test_answers_come_while_lines_are_still_sent(gateway: Gateway) -> None:
    answered = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield lines(adr("one"))
        await asyncio.wait_for(answered.wait(), 5)
        yield lines(adr("two"))

    # An HTTP client library sends all before it reads; a socket does not.
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")

    async def send() -> None:
        async for part in body():
            writer.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        writer.write(b"0\r\n\r\n")

    sending = asyncio.create_task(send())
    assert b'"line":1' in await asyncio.wait_for(reader.readuntil(b'"indexed":true}\n'), 5)
    answered.set()
    assert b'"line":2' in await asyncio.wait_for(reader.readuntil(b'"indexed":true}\n'), 5)
    await sending
    writer.close()


async def test_ten_thousand_lines_from_a_caller_that_reads_last(gateway: Gateway) -> None:
    content = lines(*(adr(f"number {n}") for n in range(10_000)))
    answers = await post(gateway, content)
    assert [answer["line"] for answer in answers] == list(range(1, 10_001))
    assert len({answer["id"] for answer in answers}) == 10_000
    assert max(len(request.items) for request in gateway.knowledge.requests) <= 200


async def test_knowledge_away_answers_each_line_with_when_to_try_again(gateway: Gateway) -> None:
    gateway.knowledge.error = Unavailable("the database is away", 3)
    answers = await post(gateway, lines(adr("one"), b"{", adr("two")))
    assert [answer["code"] for answer in answers] == ["unavailable", "bad_request", "unavailable"]
    assert [answer.get("retry_after") for answer in answers] == [3, None, 3]


async def test_large_items_go_a_few_at_a_time(gateway: Gateway) -> None:
    title, sizes = "x" * 500, (400_000, 100_000, 100_000, 500_000, 10)
    texts = [{f"option {n}": "y" * 50_000 for n in range(size // 50_000)} for size in sizes]
    gateway.knowledge.pause = 0.2  # in which all that follows comes in
    answers = await post(gateway, lines(*(adr(title, options_considered=text) for text in texts)))
    assert [answer["status"] for answer in answers] == ["created"] * len(sizes)
    for request in gateway.knowledge.requests:
        assert len(request.items) == 1 or request.ByteSize() <= BATCH_BYTES


async def test_a_line_that_was_not_answered_in_time_says_whether_it_can_be_sent_again(gateway: Gateway) -> None:
    gateway.knowledge.error = TooLate()
    marked = [adr("two", source_uri="file:2"), adr("three", id="ADR-003")]
    commit = {"type": "snapshot", "commit_hash": "a", "commit_message": "m", "author": "x"}
    plain, *known = await post(gateway, lines(adr("one"), *marked, commit))
    (keyed,) = await post(gateway, lines(adr("one")), **{"Idempotency-Key": "k"})
    assert {answer["code"] for answer in (plain, keyed, *known)} == {"deadline_exceeded"}
    assert "may be stored" in plain["detail"]
    assert "Look for it before" in plain["detail"]
    assert {answer["detail"] for answer in (keyed, *known)} == {SAFE}


async def test_the_caller_chooses_how_long_to_wait_for_the_index(gateway: Gateway) -> None:
    answer = await gateway.http.post("/api/bulk", content=lines(adr("one")), headers=NDJSON | {"Prefer": "wait=600"})
    assert answer.headers["preference-applied"] == "wait=120"
    answer = await gateway.http.post(
        "/api/bulk", content=lines(adr("two")), headers=NDJSON | {"Prefer": "respond-async"}
    )
    assert answer.headers["preference-applied"] == "respond-async"
    assert len(gateway.retrieval.requests) == 1


async def test_a_long_wait_outlasts_an_index_that_is_away(gateway: Gateway) -> None:
    gateway.retrieval.error = Unavailable()
    posting = asyncio.create_task(post(gateway, lines(adr("one")), Prefer="wait=60"))
    async with asyncio.timeout(10):
        while not gateway.retrieval.requests:
            await asyncio.sleep(0.01)
    gateway.retrieval.error = None
    assert (await posting)[0]["indexed"] is True


async def test_only_ndjson_is_taken(gateway: Gateway) -> None:
    answer = await gateway.http.post("/api/bulk", json=adr("one"))
    assert answer.status_code == 415
    assert await post(gateway, b"") == []


async def test_a_caller_that_leaves_stops_the_work(gateway: Gateway) -> None:
    gateway.knowledge.pause = 60
    await gateway.abandon(HEAD + b"Content-Length: 9999\r\n\r\n" + lines(adr("one")), gateway.knowledge)


async def test_more_than_the_limit_is_refused_before_and_while_reading(gateway: Gateway) -> None:
    refused = await gateway.raw(HEAD + b"Content-Length: 99999999\r\n\r\n")
    assert b" 413 " in refused.splitlines()[0]

    async def body() -> AsyncIterator[bytes]:
        for _ in range(65):
            yield b" " * 1024 * 1023 + b"\n" * 1024

    answers = await post(gateway, body())
    assert [answer["code"] for answer in answers] == ["too_large"]
