"""Feedback: what is sent of it, that its query was one of the caller's, and how it is answered."""

import json
from typing import Any

import pytest

from context.v1 import knowledge_pb2 as knowledge
from context.v1 import retrieval_pb2 as retrieval
from context_common.caller import READ, WRITE
from context_common.errors import Invalid
from tests.support.gateway import Gateway, serve

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATH = "/api/feedback"
WEB = {"X-Context-Namespace": "web"}  # of which the query q1 was asked
WORD: dict[str, Any] = {
    "query_id": "q1",
    "query_text": "why?",
    "overall_rating": 4,
    "items_helpful": ["adr-3"],
    "items_not_helpful": ["FAIL-002"],
    "items_used": ["ADR-003", "SNAP-abc"],
    "missing_context": "how to roll back",
    "agent_id": "builder",
    "session_id": "s1",
    "metadata": {"task": "CI-7", "tries": [1, 2.5, None], "ünï": True},
}
KEPT = {"principal": "dev", "created_at": "2026-01-31T12:00:00Z", "updated_at": "2026-01-31T12:00:00Z"}
SAID = WORD | {"items_helpful": ["ADR-003"], "id": "1"} | KEPT
EMPTY: dict[str, Any] = (
    {name: [] if name.startswith("items") else None for name in WORD} | {"metadata": {}, "id": "1"} | KEPT
)


async def test_a_word_is_recorded_and_the_second_of_a_query_takes_its_place(gateway: Gateway) -> None:
    first = await gateway.http.post(PATH, json=WORD, headers=WEB)
    assert (first.status_code, first.json()) == (201, SAID | {"replaced": False, "redactions": []})
    assert first.headers["location"] == "/api/feedback/1"
    [sent] = gateway.knowledge.requests
    assert sent == knowledge.RecordFeedbackRequest(
        feedback=knowledge.Feedback(
            query_id="q1",
            query_text="why?",
            overall_rating=4,
            items_helpful=["ADR-003"],
            items_not_helpful=["FAIL-002"],
            items_used=["ADR-003", "SNAP-abc"],
            missing_context="how to roll back",
            agent_id="builder",
            session_id="s1",
            metadata='{"task":"CI-7","tries":[1,2.5,null],"ünï":true}',
        )
    )
    again = await gateway.http.post(PATH, json=WORD | {"overall_rating": 1}, headers=WEB)
    assert (again.status_code, again.json()["replaced"], again.json()["overall_rating"]) == (200, True, 1)
    assert again.headers["location"] == "/api/feedback/1"


async def test_what_is_not_said_is_null_and_no_receipt_is_asked_for(gateway: Gateway) -> None:
    nulls = dict.fromkeys(WORD)
    for body in ({"overall_rating": 5}, nulls | {"overall_rating": 5}):
        gateway.knowledge.feedback.clear()
        answer = await gateway.http.post(PATH, json=body)
        expected = EMPTY | {"overall_rating": 5, "replaced": False, "redactions": []}
        assert (answer.status_code, answer.json()) == (201, expected)
        assert gateway.knowledge.requests[-1].feedback == knowledge.Feedback(overall_rating=5)
    assert gateway.retrieval.requests == []


async def test_secrets_that_were_taken_out_are_told(gateway: Gateway) -> None:
    answer = await gateway.http.post(PATH, json={"missing_context": "redact me"})
    assert answer.json()["redactions"] == [{"field": "missing_context", "kind": "jwt"}]


async def test_a_query_must_have_been_asked_by_who_speaks_of_it(gateway: Gateway) -> None:
    await gateway.http.post(PATH, json=WORD, headers=WEB)
    assert gateway.retrieval.requests == [retrieval.GetReceiptRequest(query_id="q1")]
    assert [(who.namespace, who.principal) for who in gateway.retrieval.callers] == [("web", "dev")]
    for query_id in ("q2", " ", "../q1"):
        answer = await gateway.http.post(PATH, json=WORD | {"query_id": query_id}, headers=WEB)
        assert answer.status_code == 422
        assert answer.json()["details"] == {"query_id": ["names no query that is still on record"]}
    assert len(gateway.knowledge.requests) == 1


async def test_a_query_must_have_been_asked_of_the_namespace(gateway: Gateway) -> None:
    answer = await gateway.http.post(PATH, json=WORD)
    assert answer.status_code == 422
    assert answer.json()["details"] == {"query_id": ["was not asked of this namespace"]}
    assert gateway.knowledge.requests == []


async def test_where_receipts_are_away_only_what_names_a_query_is_a_503() -> None:
    async with serve(retrieval_addr="127.0.0.1:1") as gateway:
        answer = await gateway.http.post(PATH, json=WORD)
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
        assert gateway.knowledge.requests == []
        assert (await gateway.http.post(PATH, json={"overall_rating": 4})).status_code == 201


@pytest.mark.parametrize("field", ["overall_rating", "feedback.overall_rating"])
async def test_what_knowledge_refuses_is_named(gateway: Gateway, field: str) -> None:
    gateway.knowledge.error = Invalid({field: ["is required where nothing else is said"]})
    answer = await gateway.http.post(PATH, json={})
    assert answer.status_code == 422
    assert answer.json()["details"] == {"overall_rating": ["is required where nothing else is said"]}


@pytest.mark.parametrize(
    ("name", "value", "bad"),
    [
        *[("overall_rating", rating, "overall_rating") for rating in (0, 6, -1, True, 4.5, 4.0, "4", [4])],
        ("items_helpful", ["ADR-001", "POEM-1"], "items_helpful[1]"),
        ("items_not_helpful", ["../ADR-001"], "items_not_helpful[0]"),
        ("items_used", [None], "items_used[0]"),
        ("metadata", [], "metadata"),
        ("metadata", "{}", "metadata"),
        ("metadata", {"a": [{"b": "nul\0"}]}, "metadata"),
        ("metadata", {"nul\0": 1}, "metadata"),
        ("metadata", {"a": "\ud800"}, "metadata"),
        ("id", "1", "id"),
        ("principal", "user:eve", "principal"),
    ],
)
async def test_a_bad_field_is_named_and_nobody_is_asked(gateway: Gateway, name: str, value: Any, bad: str) -> None:
    body = json.dumps(WORD | {name: value})
    answer = await gateway.http.post(PATH, content=body, headers=WEB | {"Content-Type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert list(answer.json()["details"]) == [bad]
    assert gateway.knowledge.requests == gateway.retrieval.requests == []


async def test_metadata_comes_back_as_it_was_sent(gateway: Gateway) -> None:
    metadata = {"long": 10**300, "small": 1e-9, "nested": {"a": [True, None, "ü \\u0000"]}}
    made = (await gateway.http.post(PATH, json={"overall_rating": 4, "metadata": metadata})).json()
    assert made["metadata"] == metadata
    assert (await gateway.http.get("/api/feedback/1")).json()["metadata"] == metadata
    content = b'{"overall_rating": 4, "metadata": {"a": 1e999}}'
    answer = await gateway.http.post(PATH, content=content, headers={"Content-Type": "application/json"})
    assert answer.json()["details"] == {"metadata": ["holds a number that is too large"]}


async def test_one_is_read(gateway: Gateway) -> None:
    await gateway.http.post(PATH, json=WORD, headers=WEB)
    answer = await gateway.http.get("/api/feedback/1", headers=WEB)
    assert (answer.status_code, answer.json()) == (200, SAID)
    for other in ("2", "..%2f1", "Stats"):
        assert (await gateway.http.get(f"/api/feedback/{other}")).status_code == 404, other


async def test_a_list_is_newest_first_and_has_pages(gateway: Gateway) -> None:
    for rating in (1, 2, 3):
        await gateway.http.post(PATH, json={"overall_rating": rating})
    path = f"{PATH}?limit=2&cursor=c&query_id=q1&item_id=adr-3"
    body = (await gateway.http.get(path)).json()
    assert [one["overall_rating"] for one in body["items"]] == [3, 2]
    assert body["next_cursor"] == "next"
    assert gateway.knowledge.requests[-1] == knowledge.ListFeedbackRequest(
        query_id="q1", item_id="ADR-003", page_size=2, page_token="c"
    )
    await gateway.http.get(PATH)
    assert gateway.knowledge.requests[-1] == knowledge.ListFeedbackRequest(page_size=50)


async def test_what_it_comes_to_is_no_id(gateway: Gateway) -> None:
    nothing: dict[str, Any] = {
        "total_feedback": 0,
        "avg_rating": None,
        "most_helpful_items": [],
        "common_missing_context": [],
    }
    assert (await gateway.http.get("/api/feedback/stats")).json() == nothing | {"days_back": 30}
    await gateway.http.post(PATH, json={"overall_rating": 4})
    assert (await gateway.http.get("/api/feedback/stats?days_back=3650")).json() == {
        "total_feedback": 7,
        "avg_rating": 3.5,
        "most_helpful_items": [
            {"id": "ADR-001", "type": "adr", "title": "Use Postgres", "helpful": 3, "not_helpful": 1}
        ],
        "common_missing_context": [{"text": "how to roll back", "count": 2}],
        "days_back": 3650,
    }
    assert gateway.knowledge.requests[-1] == knowledge.GetFeedbackStatsRequest(days_back=3650)


async def test_whoever_may_ask_may_say_so_and_who_only_writes_may_not() -> None:
    async with serve(auth_required=True) as gateway:
        made = {
            "reads": gateway.admin.make(READ),
            "reads here": gateway.admin.make(READ, WRITE, namespaces=(), read_namespaces=("default",)),
            "writes": gateway.admin.make(WRITE),
        }
        for name, key in made.items():
            headers = {"authorization": f"Bearer {key.text}", "X-Context-Namespace": "default"}
            said = await gateway.http.post(PATH, json={"overall_rating": 4}, headers=headers)
            read = [
                (await gateway.http.get(f"{PATH}{end}", headers=headers)).status_code for end in ("", "/stats", "/1")
            ]
            expected = (403, [403] * 3) if name == "writes" else (201, [200] * 3)
            assert (said.status_code, read) == expected, name


async def test_an_item_says_how_it_was_found_to_help(gateway: Gateway) -> None:
    await gateway.http.post("/api/adr", json={"title": "t", "decision": "d"})
    assert (await gateway.http.get("/api/adr/ADR-001")).json()["feedback"] == 0
    gateway.knowledge.items["ADR-001"].feedback = -0.25
    read = (await gateway.http.get("/api/adr/ADR-001")).json()
    assert read["feedback"] == -0.25
    gateway.knowledge.items["ADR-001"].feedback = 0.5  # somebody was glad of it meanwhile
    answer = await gateway.http.put("/api/adr/ADR-001", json=read | {"title": "Now"})
    assert (answer.status_code, answer.json()["feedback"]) == (200, 0.5)
    assert "feedback" not in answer.json()["updated_fields"]
    made = await gateway.http.post("/api/adr", json={"title": "t", "decision": "d", "feedback": 1})
    assert made.json()["details"] == {"feedback": ["is unknown"]}
