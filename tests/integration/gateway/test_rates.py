"""Rates: who is counted together, what answers say about it, and two gateways over one real Redis."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network

import httpx2
import pytest
from prometheus_client import REGISTRY

from context_gateway.limits import Limits, rate
from tests.support.gateway import Gateway, serve
from tests.support.redis import RedisServer, run_redis

FIELDS = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "ratelimit", "ratelimit-policy")


def limits(redis_url: str = "", **rates: str) -> Limits:
    read = {name: item for name, text in rates.items() if (item := rate(text))}
    proxies = (ip_network("127.0.0.1"),)
    # More patience than is usual: a machine that is busy with other tests is no Redis that is away.
    return Limits(rates=read, redis_url=redis_url, trusted_proxies=proxies, redis_seconds=3)


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with run_redis() as server:
        yield server


async def statuses(gateway: Gateway, count: int, path: str = "/api/adr", **headers: str) -> list[int]:
    answers = [await gateway.http.get(path, headers=headers) for _ in range(count)]
    return [answer.status_code for answer in answers]


async def test_answers_say_how_much_is_left_and_then_when_to_come_back() -> None:
    async with serve(limits=limits(default="3/hour")) as gateway:
        for left in (2, 1, 0):
            headers = (await gateway.http.get("/api/adr")).headers
            assert (headers["x-ratelimit-limit"], headers["x-ratelimit-remaining"]) == ("3", str(left))
            assert headers["ratelimit-policy"] == '"default";q=3;w=3600'
            assert headers["ratelimit"] == f'"default";r={left};t={headers["x-ratelimit-reset"]}'
            assert 0 < int(headers["x-ratelimit-reset"]) <= 3600
        refused = await gateway.http.post("/api/search", json={"query": "x"})
        assert refused.status_code == 429
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.headers["retry-after"] == refused.headers["x-ratelimit-reset"]
        assert str(refused.json()["retry_after"]) == refused.headers["retry-after"]
        assert (refused.json()["code"], refused.headers["x-ratelimit-remaining"]) == ("overloaded", "0")
        assert gateway.retrieval.requests == []


async def test_who_waits_as_told_is_served() -> None:
    async with serve(limits=limits(default="1/second")) as gateway:
        while (refused := await gateway.http.get("/api/adr")).status_code != 429:
            pass
        await asyncio.sleep(refused.json()["retry_after"])
        assert await statuses(gateway, 1) == [200]


async def test_errors_count_and_health_does_not() -> None:
    async with serve(limits=limits(default="2/hour")) as gateway:
        assert await statuses(gateway, 2, "/api/adr/ADR-999") == [404, 404]
        assert await statuses(gateway, 1, "/api/adr/ADR-999") == [429]
        for path in ("/livez", "/readyz", "/health"):
            answer = await gateway.http.get(path)
            assert answer.status_code in (200, 503)
            assert not any(field in answer.headers for field in FIELDS)


async def test_pages_for_anybody_count_by_address() -> None:
    async with serve(limits=limits(default="1/hour"), auth_required=True) as gateway:
        assert await statuses(gateway, 2, "/docs") == [200, 429]
        assert await statuses(gateway, 1, "/openapi.json", **{"X-Forwarded-For": "192.0.2.1"}) == [200]
        # Nobody looks at a credential here, so that showing one makes nobody else of them either.
        shown = {"Authorization": "Bearer nonsense"}
        assert await statuses(gateway, 1, "/docs", **shown) == [429]
        assert await statuses(gateway, 1, "/docs", **shown, **{"X-Forwarded-For": "192.0.2.3"}) == [200]


async def test_many_probes_ask_the_services_once() -> None:
    async with serve() as gateway:
        asked = "grpc_client_handled_total"
        labels = {"grpc_service": "grpc.health.v1.Health", "grpc_method": "Check", "grpc_code": "OK"}
        before = REGISTRY.get_sample_value(asked, labels) or 0
        await asyncio.gather(*(gateway.http.get("/health") for _ in range(10)))
        assert (REGISTRY.get_sample_value(asked, labels) or 0) - before < 30


async def test_without_a_credential_each_address_counts_for_itself() -> None:
    async with serve(limits=limits(default="1/hour")) as gateway:
        assert await statuses(gateway, 2, **{"X-Forwarded-For": "192.0.2.1"}) == [200, 429]
        # Whatever a caller writes to the left of what the proxy saw makes nobody else of them.
        assert await statuses(gateway, 1, **{"X-Forwarded-For": "192.0.2.77, 192.0.2.1"}) == [429]
        assert await statuses(gateway, 2, **{"X-Forwarded-For": "192.0.2.2"}) == [200, 429]
        assert await statuses(gateway, 2, **{"X-Forwarded-For": "2001:db8::1"}) == [200, 429]
        assert await statuses(gateway, 1, **{"X-Forwarded-For": "2001:db8::2"}) == [429]
        assert [who.address for who in gateway.knowledge.callers] == ["192.0.2.1", "192.0.2.2", "2001:db8::1"]


async def test_a_class_with_a_rate_of_its_own_counts_apart() -> None:
    async with serve(limits=limits(default="1/hour", read="2/hour", admin="1/hour")) as gateway:
        assert await statuses(gateway, 3) == [200, 200, 429]
        created = [(await gateway.http.post("/api/adr", json={"title": "x", "decision": "y"})) for _ in range(2)]
        assert [answer.status_code for answer in created] == [201, 429]
        assert created[0].headers["ratelimit-policy"].startswith('"default"')
        assert await statuses(gateway, 2, "/api/admin/index") == [200, 429]


async def test_failed_authentications_of_an_address_are_counted() -> None:
    async with serve(limits=limits(auth="2/hour"), auth_required=True) as gateway:
        assert await statuses(gateway, 3, Authorization="Bearer nonsense") == [401, 401, 429]
        other = {"X-Forwarded-For": "192.0.2.1", "Authorization": "Bearer nonsense"}
        assert await statuses(gateway, 1, **other) == [401]


async def test_bulk_counts_lines_and_says_which_were_too_many() -> None:
    async with serve(limits=limits(default="1/hour", bulk="5/hour")) as gateway:
        line = b'{"type": "adr", "title": "x", "decision": "y"}\n'
        headers = {"content-type": "application/x-ndjson"}
        answer = await gateway.http.post("/api/bulk", content=line * 6, headers=headers)
        lines = [httpx2.Response(200, content=part).json() for part in answer.content.splitlines()]
        # One is the call's own.
        assert [one["status"] for one in lines] == ["created"] * 4 + ["error"] * 2
        assert {one["code"] for one in lines[4:]} == {"overloaded"}
        assert all(0 < one["retry_after"] <= 3600 for one in lines[4:])
        assert (await gateway.http.post("/api/bulk", content=line, headers=headers)).status_code == 429
        assert await statuses(gateway, 1) == [200]


async def test_many_texts_to_embed_count_as_bulk() -> None:
    async with serve(limits=limits(bulk="100/hour")) as gateway:
        sent = [await gateway.http.post("/v1/embeddings", json={"input": ["x"] * size}) for size in (64, 65, 65, 64)]
        assert [answer.status_code for answer in sent] == [200, 200, 429, 200]


async def test_replicas_count_together_and_never_let_in_one_too_many(redis: RedisServer) -> None:
    shared = replace(limits(redis.url, default="50/hour"), redis_seconds=10)
    async with serve(limits=shared) as one, serve(limits=shared) as two:
        answers = []
        for _ in range(5):
            answers += await asyncio.gather(*(gateway.http.get("/api/adr") for gateway in (one, two) * 10))
        assert sorted(answer.status_code for answer in answers) == [200] * 50 + [429] * 50
        left = sorted(int(answer.headers["x-ratelimit-remaining"]) for answer in answers)
        assert left == [0] * 50 + list(range(50))


@pytest.mark.parametrize("way", ["killed", "frozen", "never there"])
async def test_without_redis_each_gateway_counts_by_itself(
    redis: RedisServer, way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if way == "never there":
        redis.stop()
    async with serve(limits=limits(redis.url, default="4/hour")) as gateway:
        if way != "never there":
            assert await statuses(gateway, 2) == [200, 200]
        if way == "killed":
            redis.stop()
        if way == "frozen":
            with redis.frozen():
                assert await statuses(gateway, 5) == [200] * 4 + [429]
        else:
            assert await statuses(gateway, 5) == [200] * 4 + [429]
            assert REGISTRY.get_sample_value("rate_limit_store_away") == 1
    assert capsys.readouterr().out.count("rate_limit_store_away") == 1


async def test_redis_counts_again_once_it_is_back(redis: RedisServer) -> None:
    redis.stop()
    async with serve(limits=limits(redis.url, default="1000/hour")) as gateway:
        assert await statuses(gateway, 3) == [200] * 3
        redis.start()
        async with asyncio.timeout(20):
            # Here three were counted, in the new Redis none.
            while (await gateway.http.get("/api/adr")).headers["x-ratelimit-remaining"] != "999":
                await asyncio.sleep(0.1)
        assert (await gateway.http.get("/api/adr")).headers["x-ratelimit-remaining"] == "998"
