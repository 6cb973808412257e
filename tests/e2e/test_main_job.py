"""Record, index, ask: through the gateway's REST and four real processes."""

import asyncio
import json
import tomllib
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import loopback
from tests.support.stack import Stack
from tests.support.tokens import count

QUALITY = Path(__file__).parents[1] / "quality"
NDJSON = {"content-type": "application/x-ndjson", "prefer": "wait=60"}
WRITERS, CREATES = 50, 20


@pytest.fixture(scope="module")
def records(stack: Stack) -> str:
    """A namespace that holds tests/quality's records."""
    headers = {**NDJSON, "x-context-namespace": "records"}
    body = (QUALITY / "records.ndjson").read_bytes()
    answer = loopback.post(f"{stack.url}/api/bulk", content=body, headers=headers, timeout=120)
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert {line["status"] for line in lines} == {"created"}, answer.text
    assert all(line["indexed"] for line in lines), answer.text
    return "records"


def post(stack: Stack, path: str, body: Any, namespace: str = "default") -> httpx2.Response:
    return loopback.post(f"{stack.url}{path}", json=body, headers={"x-context-namespace": namespace}, timeout=60)


def found(bundle: dict[str, Any]) -> list[str]:
    return [item["id"] for part in ("key_decisions", "known_issues", "recent_changes") for item in bundle[part]]


async def test_a_thousand_creates_at_once_get_a_thousand_gapless_ids_and_are_all_searchable(stack: Stack) -> None:
    headers = {"x-context-namespace": "crowd"}

    async def write(client: httpx2.AsyncClient, writer: int) -> list[dict[str, Any]]:
        answers = []
        for number in range(CREATES):
            body = {"title": f"Choice {number} of writer {writer}", "decision": f"marker w{writer}n{number} stands"}
            answer = await client.post("/api/adr", json=body)
            assert answer.status_code == 201, answer.text
            answers.append(answer.json())
        return answers

    limits = httpx2.Limits(max_connections=WRITERS)
    async with httpx2.AsyncClient(base_url=stack.url, headers=headers, timeout=120, limits=limits) as client:
        written = [item for part in await asyncio.gather(*(write(client, w) for w in range(WRITERS))) for item in part]
        assert sorted(item["id"] for item in written) == sorted(f"ADR-{n:03d}" for n in range(1, 1001))
        async with asyncio.timeout(60):
            while (await client.get("/api/admin/index")).json()["pending"]:
                await asyncio.sleep(0.2)
        for item in written[::37]:
            marker = item["decision"].split()[1]
            hits = (await client.post("/api/search", json={"query": marker, "top_k": 3})).json()["results"]
            assert item["id"] in [hit["id"] for hit in hits], marker


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=st.text(min_size=1, max_size=200).filter(lambda text: text.strip()), budget=st.integers(200, 8000))
def test_no_query_gets_more_than_its_budget(stack: Stack, records: str, query: str, budget: int) -> None:
    answer = post(stack, "/api/context/query", {"query": query, "max_tokens": budget}, records)
    assert answer.status_code in (200, 422), answer.text
    if answer.status_code == 200:
        assert answer.json()["tokens_used"] == count(answer.text) <= budget


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    row=st.sampled_from(tomllib.loads((QUALITY / "questions.toml").read_text())["records"]),
    budget=st.integers(200, 8000),
    explain=st.booleans(),
)
def test_a_match_is_never_answered_with_nothing(
    stack: Stack, records: str, row: dict[str, str], budget: int, explain: bool
) -> None:
    answer = post(stack, "/api/context/query", {"query": row["ask"], "max_tokens": budget, "explain": explain}, records)
    assert answer.json()["tokens_used"] == count(answer.text) <= budget
    assert found(answer.json()), row


def test_a_superseded_decision_is_answered_by_its_successor(stack: Stack, records: str) -> None:
    bundle = post(stack, "/api/context/query", {"query": "Kafka cluster for domain events"}, records).json()
    decisions = {item["id"]: item for item in bundle["key_decisions"]}
    assert "ADR-102" not in decisions
    assert decisions["ADR-103"]["replaces"] == ["ADR-102"]
    history = {"query": "Kafka cluster for domain events", "include_history": True}
    assert "ADR-102" in found(post(stack, "/api/context/query", history, records).json())


async def test_what_helped_is_found_sooner_the_next_time(stack: Stack) -> None:
    for cause in ("The exporter held its lock.", "The exporter kept its lock."):
        body = {"title": "Nightly export stalled", "root_cause": cause}
        assert post(stack, "/api/failure", body, "rated").status_code == 201
    asked = {"query": "why does the nightly export stall?", "explain": True}

    def shown() -> list[tuple[str, float]]:
        hits = post(stack, "/api/search", asked, "rated").json()["results"]
        return [(hit["id"], hit["why"]["feedback"]) for hit in hits]

    (first, _), (second, _) = shown()
    query_id = post(stack, "/api/context/query", asked, "rated").json()["query_id"]
    word = {"query_id": query_id, "items_helpful": [second], "items_not_helpful": [first]}
    assert post(stack, "/api/feedback", word, "rated").status_code == 201
    async with asyncio.timeout(30):
        while shown() != [(second, 0.25), (first, -0.25)]:
            await asyncio.sleep(0.1)
    item = loopback.get(f"{stack.url}/api/failure/{second}", headers={"x-context-namespace": "rated"}).json()
    assert (item["feedback"], item["version"]) == (0.25, 1)


def test_nothing_crosses_a_namespace(stack: Stack, records: str) -> None:
    url = f"{stack.url}/api/adr/ADR-101"
    assert loopback.get(url, headers={"x-context-namespace": records}).status_code == 200
    assert loopback.get(url, headers={"x-context-namespace": "stranger"}).status_code == 404
    assert found(post(stack, "/api/context/query", {"query": "managed PostgreSQL"}, "stranger").json()) == []


def test_words_answer_while_embedding_is_dead_and_writes_succeed(stack: Stack, records: str) -> None:
    with stack.without("embedding"):
        bundle = post(stack, "/api/context/query", {"query": "connection pool exhausted checkout"}, records).json()
        assert bundle["degraded"] is True
        assert "FAIL-101" in found(bundle)
        body = {"title": "Written in the dark", "decision": "zebrafinch migrations wait for daylight"}
        written = post(stack, "/api/adr", body, "dark")
        assert written.status_code == 201
        hits = post(stack, "/api/search", {"query": "zebrafinch"}, "dark").json()
        assert [hit["id"] for hit in hits["results"]] == [written.json()["id"]]
    stack.wait_until(
        lambda: post(stack, "/api/search", {"query": "birds at night"}, "dark").json()["degraded"] is False
    )
    found_by_meaning = {"query": "zebrafinch", "mode": "semantic"}
    stack.wait_until(lambda: post(stack, "/api/search", found_by_meaning, "dark").json()["results"] != [])


@pytest.mark.parametrize("service", ["embedding", "retrieval", "knowledge"])
def test_a_service_killed_in_the_middle_of_an_import_loses_and_doubles_nothing(
    stack: Stack, tmp_path: Path, service: str
) -> None:
    namespace = f"killed-{service}"
    folder = tmp_path / "adr"
    folder.mkdir()
    for number in range(1, 121):
        text = f"# {number}. Choice {number}\n\n## Status\n\nAccepted\n\n## Decision\n\nUse part q{number}q.\n"
        (folder / f"{number:04d}-choice.md").write_text(text)
    importing = stack.contextctl("import", "adr", str(folder), namespace=namespace)
    stack.wait_until(lambda: stack.items("adr", namespace) >= 10)
    stack.kill(service)
    assert importing.wait(timeout=110) == 0, importing.output()
    titles = [item["title"] for item in stack.all_items("adr", namespace)]
    assert sorted(titles) == sorted(f"Choice {number}" for number in range(1, 121))

    def searchable() -> bool:
        results = [post(stack, "/api/search", {"query": f"q{n}q", "top_k": 1}, namespace) for n in range(1, 121, 7)]
        return all(answer.status_code == 200 and answer.json()["results"] for answer in results)

    stack.wait_until(searchable, seconds=30)
