"""More than can be served: some are served, the rest are told when to come back, and health always answers."""

import asyncio
from collections import Counter
from ipaddress import ip_network
from typing import Any

import pytest
from prometheus_client import REGISTRY

from context_common.caller import READ, WRITE
from context_gateway.lanes import SIDE, START, STREAMS_EACH
from context_gateway.limits import Limits
from tests.support.gateway import Gateway, serve

SEARCH = {"query": "why?"}
ADR = {"title": "x", "decision": "y"}


def in_flight(lane: str) -> float:
    return REGISTRY.get_sample_value("http_in_flight", {"lane": lane}) or 0


async def until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def flood(gateway: Gateway, count: int) -> list[Any]:
    """The answers to as many searches at once, none of which has an answer before all were sent."""
    searches = [asyncio.create_task(gateway.http.post("/api/search", json=SEARCH)) for _ in range(count)]
    answers: list[Any] = await asyncio.gather(*searches)
    return answers


async def test_what_is_too_much_is_refused_and_the_rest_served() -> None:
    async with serve(limits=Limits(concurrency=4, queue_seconds=0.05)) as gateway:
        gateway.retrieval.pause = 0.5
        answers = await flood(gateway, 40)
        assert Counter(answer.status_code for answer in answers).keys() == {200, 503}
        for answer in answers:
            if answer.status_code == 503:
                assert answer.headers["retry-after"] == "1"
                assert (answer.json()["code"], answer.json()["retry_after"]) == ("unavailable", 1)
        assert len(gateway.retrieval.requests) == sum(answer.status_code == 200 for answer in answers)
        gateway.retrieval.pause = 0
        assert {answer.status_code for answer in await flood(gateway, 4)} == {200}
        assert in_flight("read") == 0


async def test_a_burst_waits_for_its_turn() -> None:
    async with serve(limits=Limits(queue_seconds=10, latency_target=60)) as gateway:
        gateway.retrieval.pause = 0.02
        assert {answer.status_code for answer in await flood(gateway, 3 * START)} == {200}


async def test_each_lane_is_its_own() -> None:
    async with serve(limits=Limits(concurrency=2, queue_seconds=0)) as gateway:
        gateway.retrieval.pause = 1.0
        searches = [asyncio.create_task(gateway.http.post("/api/search", json=SEARCH)) for _ in range(2)]
        await until(lambda: in_flight("read") == 2)
        assert (await gateway.http.post("/api/search", json=SEARCH)).status_code == 503
        asynchronous = {"Prefer": "respond-async"}
        assert (await gateway.http.post("/api/adr", json=ADR, headers=asynchronous)).status_code == 201
        for path in ("/livez", "/metrics", "/docs"):
            assert (await gateway.http.get(path)).status_code == 200
        assert {(await search).status_code for search in searches} == {200}


async def test_who_reads_items_of_a_service_that_hangs_still_gets_answers_to_questions() -> None:
    async with serve(limits=Limits(concurrency=4, queue_seconds=0)) as gateway:
        gateway.knowledge.pause = 1.0
        reads = [asyncio.create_task(gateway.http.get("/api/adr/ADR-001")) for _ in range(6)]
        await until(lambda: in_flight("items") == 4)
        assert {answer.status_code for answer in await flood(gateway, 2)} == {200}
        assert Counter([(await read).status_code for read in reads])[503] == 2


@pytest.mark.parametrize(
    ("lane", "path", "most"), [("admin", "/api/admin/index", SIDE), ("bulk", "/api/bulk", STREAMS_EACH)]
)
async def test_every_lane_has_an_end(lane: str, path: str, most: int) -> None:
    async with serve(limits=Limits(queue_seconds=0)) as gateway:
        gateway.retrieval.pause = gateway.knowledge.pause = 1.0
        line = b'{"type": "adr", "title": "x", "decision": "y"}\n'

        def send() -> Any:
            if lane == "admin":
                return gateway.http.get(path)
            return gateway.http.post(path, content=line, headers={"content-type": "application/x-ndjson"})

        sent = [asyncio.create_task(send()) for _ in range(most)]
        await until(lambda: in_flight(lane) == most)
        assert (await send()).status_code == 503
        assert {(await one).status_code for one in sent} == {200}


async def test_one_caller_cannot_hold_every_stream_and_waits_for_their_own() -> None:
    line = b'{"type": "adr", "title": "x", "decision": "y"}\n'
    async with serve(limits=Limits(queue_seconds=10), auth_required=True) as gateway:
        first, second = (gateway.admin.make(WRITE) for _ in range(2))

        def send(key: Any) -> Any:
            headers = {"content-type": "application/x-ndjson", "authorization": f"Bearer {key.text}"}
            return asyncio.create_task(gateway.http.post("/api/bulk", content=line, headers=headers))

        gateway.knowledge.pause = 1.0
        sent = [send(first) for _ in range(STREAMS_EACH + 4)]
        await until(lambda: in_flight("bulk") == STREAMS_EACH)
        other = send(second)
        await until(lambda: in_flight("bulk") == STREAMS_EACH + 1)
        assert {(await one).status_code for one in (*sent, other)} == {200}


async def test_one_caller_with_many_connections_keeps_no_other_waiting() -> None:
    async with serve(limits=Limits(concurrency=8, queue_seconds=0.05), auth_required=True) as gateway:
        many, one = (gateway.admin.make(READ) for _ in range(2))

        def send(key: Any) -> Any:
            headers = {"authorization": f"Bearer {key.text}"}
            return asyncio.create_task(gateway.http.post("/api/search", json=SEARCH, headers=headers))

        gateway.retrieval.pause = 0.5
        loops = [send(many) for _ in range(40)]
        await until(lambda: in_flight("read") == 4)
        assert (await send(one)).status_code == 200
        answers = [await sent for sent in loops]
        assert Counter(answer.status_code for answer in answers).keys() == {200, 503}
        assert {answer.headers["retry-after"] for answer in answers if answer.status_code == 503} == {"1"}
        assert in_flight("read") == 0


async def test_who_shares_a_credential_with_many_requests_waits_for_one_of_them_only() -> None:
    limits = Limits(concurrency=4, queue_seconds=5, trusted_proxies=(ip_network("127.0.0.1"),))
    async with serve(limits=limits, auth_required=True) as gateway:
        key = gateway.admin.make(READ)

        def send(address: str) -> Any:
            headers = {"authorization": f"Bearer {key.text}", "x-forwarded-for": address}
            return asyncio.create_task(gateway.http.post("/api/search", json=SEARCH, headers=headers))

        gateway.retrieval.pause = 0.3
        loud = [send("203.0.113.1") for _ in range(4)]
        await until(lambda: in_flight("read") == 2)
        await asyncio.sleep(0.1)
        assert (await send("203.0.113.2")).status_code == 200  # and one of the others gave way
        assert Counter([(await one).status_code for one in loud]) == {200: 3, 503: 1}


async def test_a_body_that_comes_slowly_takes_nobodys_place() -> None:
    async with serve(limits=Limits(concurrency=1, queue_seconds=0)) as gateway:
        head = b"POST /api/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        head += b"Content-Length: 16\r\n\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(head + b'{"query": ')
        await writer.drain()
        for _ in range(5):
            assert (await gateway.http.post("/api/search", json=SEARCH)).status_code == 200
        assert in_flight("read") == 0
        writer.write(b'"why"}')
        assert b" 200 OK" in await reader.readline()
        writer.close()


async def test_who_leaves_makes_room() -> None:
    async with serve(limits=Limits(concurrency=1, queue_seconds=0)) as gateway:
        gateway.retrieval.pause = 30
        body = b'{"query": "why?"}'
        head = b"POST /api/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        await gateway.abandon(head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body), gateway.retrieval)
        gateway.reset()
        await until(lambda: in_flight("read") == 0)
        assert (await gateway.http.post("/api/search", json=SEARCH)).status_code == 200


async def test_what_takes_too_long_is_ended_and_makes_room() -> None:
    async with serve(limits=Limits(concurrency=1, queue_seconds=0), request_timeout=0.2) as gateway:
        gateway.retrieval.pause = 30
        assert (await gateway.http.post("/api/search", json=SEARCH)).status_code == 504
        gateway.retrieval.pause = 0
        await until(lambda: in_flight("read") == 0)
        assert (await gateway.http.post("/api/search", json=SEARCH)).status_code == 200
