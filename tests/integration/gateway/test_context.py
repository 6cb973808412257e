"""Questions, searches, the graph, vectors and the index: each call's way to its service and back."""

import base64
import struct

import pytest

from context.v1 import admin_pb2 as admin
from context.v1 import knowledge_pb2 as knowledge
from context.v1 import retrieval_pb2 as retrieval
from context.v1 import types_pb2 as types
from tests.support.gateway import BUNDLE, Gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")

HIT = {
    "id": "ADR-001",
    "type": "adr",
    "title": "Use Postgres",
    "snippet": "One database.",
    "date": "2026-01-31",
    "tags": ["database"],
    "status": "active",
    "namespace": "default",
    "provenance": "agent",
    "trust": "unvouched",
}


async def test_a_bundle_is_handed_on_byte_by_byte(gateway: Gateway) -> None:
    question = {
        "query": "why?",
        "max_tokens": 900,
        "domains": ["db"],
        "types": ["adr", "failure"],
        "namespaces": ["web", "billing"],
        "from": "2026-01-01",
        "to": "2026-12-31",
        "min_score": 0.25,
        "include_history": True,
        "explain": True,
        "as_of": None,
    }
    answer = await gateway.http.post("/api/context/query", json=question)
    assert answer.content == BUNDLE
    assert answer.headers["content-type"] == "application/json"
    sent = gateway.retrieval.requests[0]
    assert sent == retrieval.QueryContextRequest(
        query="why?",
        max_tokens=900,
        filter=retrieval.Filter(
            namespaces=["web", "billing"],
            types=[types.ITEM_TYPE_ADR, types.ITEM_TYPE_FAILURE],
            tags=["db"],
            from_date="2026-01-01",
            to_date="2026-12-31",
            include_history=True,
        ),
        min_score=0.25,
        explain=True,
    )


async def test_a_question_alone_has_defaults(gateway: Gateway) -> None:
    await gateway.http.post("/api/context/query", json={"query": "why?"})
    sent = gateway.retrieval.requests[0]
    assert (sent.max_tokens, sent.HasField("min_score"), sent.explain) == (4000, False, False)


async def test_a_receipt_is_answered_in_the_words_of_the_question(gateway: Gateway) -> None:
    assert (await gateway.http.get("/api/context/receipts/q1")).json() == {
        "query_id": "q1",
        "asked_at": "2026-01-31T12:00:00Z",
        "principal": "user:ada",
        "request_id": "r1",
        "asked": {
            "query": "why?",
            "max_tokens": 4000,
            "namespaces": ["web"],
            "types": ["adr"],
            "domains": ["db"],
            "from": None,
            "to": None,
            "min_score": None,
            "include_history": False,
            "explain": False,
        },
        "items": [
            {
                "id": "ADR-001",
                "namespace": "web",
                "version": 3,
                "section": "key_decisions",
                "score": 0.5,
                "tokens": 120,
                "trust": "unvouched",
            }
        ],
        "omitted": [{"id": "ADR-002", "reason": "duplicate", "tokens": 90}],
        "total_items": 1,
        "tokens_used": 200,
        "degraded": False,
    }
    for other in ("q2", "a%2Fb", "..%2f"):
        assert (await gateway.http.get(f"/api/context/receipts/{other}")).status_code == 404, other


async def test_a_search_answers_hits(gateway: Gateway) -> None:
    answer = (
        await gateway.http.post("/api/search", json={"query": "db", "mode": "keyword", "statuses": ["active"]})
    ).json()
    assert answer["results"] == [HIT | {"score": 0.75}]
    assert answer["degraded"] is True
    assert answer["took_ms"] >= 0
    sent = gateway.retrieval.requests[0]
    assert (sent.top_k, sent.mode, list(sent.filter.statuses)) == (20, retrieval.SEARCH_MODE_KEYWORD, ["active"])


async def test_a_search_explains_and_shortens_on_demand(gateway: Gateway) -> None:
    explained = (await gateway.http.post("/api/search", json={"query": "db", "explain": True})).json()["results"][0]
    assert explained["why"] == {
        "semantic": 0.5,
        "keyword": 0.25,
        "recency": 0.0,
        "importance": 0.0,
        "feedback": 0.0,
        "via": None,
    }
    ids = (await gateway.http.post("/api/search?fields=ids", json={"query": "db"})).json()["results"]
    assert ids == [{"id": "ADR-001"}]


async def test_what_is_new_is_browsed(gateway: Gateway) -> None:
    recent = await gateway.http.get("/api/context/recent?limit=50&types=adr,meeting")
    assert recent.json() == {"items": [HIT], "next_cursor": None}
    await gateway.http.get("/api/context/timeline?from=2026-01-01&to=2026-02-01")
    await gateway.http.get("/api/context/domain/incident%20response?fields=summary")
    await gateway.http.get("/api/context/domain/ci%2Fcd?cursor=next")
    first, second, third, fourth = gateway.retrieval.requests
    assert (first.limit, list(first.filter.types)) == (50, [types.ITEM_TYPE_ADR, types.ITEM_TYPE_MEETING])
    assert (second.limit, second.filter.from_date, second.filter.to_date) == (50, "2026-01-01", "2026-02-01")
    assert [list(one.filter.tags) for one in (third, fourth)] == [["incident response"], ["ci/cd"]]
    assert [one.page_token for one in (third, fourth)] == ["", "next"]


async def test_related_items_are_answered_with_their_way(gateway: Gateway) -> None:
    await gateway.http.post("/api/adr", json={"title": "t", "decision": "d"})
    path = "/api/graph/related/ADR-001?depth=3&direction=incoming&types=caused_by,references&limit=5&type=any"
    body = (await gateway.http.get(path)).json()
    assert body["item"]["id"] == "ADR-001"
    assert body["related"] == [
        {
            "id": "FAIL-042",
            "type": "failure",
            "title": "It broke",
            "status": "resolved",
            "relationship": "resolved_by",
            "direction": "outgoing",
            "depth": 1,
            "path": ["ADR-001", "FAIL-042"],
        }
    ]
    assert body["total_related"] == 9
    assert gateway.knowledge.requests[-1] == knowledge.GetRelatedRequest(
        id="ADR-001",
        depth=3,
        direction=knowledge.DIRECTION_INCOMING,
        types=[types.RELATIONSHIP_TYPE_CAUSED_BY, types.RELATIONSHIP_TYPE_REFERENCES],
        limit=5,
    )


async def test_a_relationship_is_drawn_once_and_erased(gateway: Gateway) -> None:
    edge = {"from": "ADR-001", "to": "ADR-002", "type": "contradicts", "strength": 0.5}
    first = await gateway.http.post("/api/graph/relationships", json=edge)
    again = await gateway.http.post("/api/graph/relationships", json=edge)
    assert (first.status_code, first.json()) == (201, edge | {"created": True, "indexed": True})
    assert (again.status_code, again.json()["created"]) == (200, False)
    erased = await gateway.http.request("DELETE", "/api/graph/relationships", json=edge)
    assert erased.json()["deleted"] is True
    missing = await gateway.http.request("DELETE", "/api/graph/relationships", json=edge | {"to": "ADR-003"})
    assert missing.status_code == 404


async def test_embeddings_speak_openais_protocol(gateway: Gateway) -> None:
    answer = await gateway.http.post("/v1/embeddings", json={"input": "two words", "model": "any", "user": "me"})
    assert answer.json() == {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [9.0, 9.0, 9.0]}],
        "model": "any",
        "usage": {"prompt_tokens": 4, "total_tokens": 4},
    }
    packed = await gateway.http.post("/v1/embeddings", json={"input": ["a", "bb"], "encoding_format": "base64"})
    vectors = [struct.unpack("<3f", base64.b64decode(entry["embedding"])) for entry in packed.json()["data"]]
    assert vectors == [(1.0, 1.0, 1.0), (2.0, 2.0, 2.0)]
    assert packed.json()["model"] == "mini"


async def test_many_texts_go_as_a_stream(gateway: Gateway) -> None:
    texts = ["x" * (n + 1) for n in range(150)]
    data = (await gateway.http.post("/v1/embeddings", json={"input": texts})).json()["data"]
    assert [entry["embedding"][0] for entry in data] == [float(n + 1) for n in range(150)]
    assert [len(request.texts) for request in gateway.embedding.requests] == [64, 64, 22]


async def test_the_index_is_shown_and_rebuilt(gateway: Gateway) -> None:
    assert (await gateway.http.get("/api/admin/index")).json() == {
        "pending": 3,
        "lag_seconds": 1.5,
        "model": "mini",
        "items": 5,
        "chunks": 8,
        "unembedded_chunks": 0,
        "set_aside": 2,
    }
    rebuilt = await gateway.http.post("/api/admin/reindex")
    assert (rebuilt.status_code, rebuilt.json()) == (202, {"replayed": 5})
    await gateway.http.post("/api/admin/reindex", json={"every_namespace": True})
    assert [request.every_namespace for request in gateway.retrieval.requests[1:]] == [False, True]


async def test_what_the_index_could_not_take_is_shown_and_tried_again(gateway: Gateway) -> None:
    listed = await gateway.http.get("/api/admin/index/set-aside?limit=5&cursor=c")
    assert listed.json() == {
        "items": [{"id": "ADR-001", "attempts": 8, "reason": "ValueError: bad", "at": "2026-01-31T12:00:00Z"}],
        "next_cursor": "next",
    }
    path = "/api/admin/index/set-aside/retry"
    some = await gateway.http.post(path, json={"ids": ["ADR-001", "ADR-002"]})
    every = await gateway.http.post(path)
    assert (some.status_code, some.json(), every.json()) == (202, {"retried": 2}, {"retried": 7})
    assert gateway.admin.asked(admin.ListSetAsideRequest) == [admin.ListSetAsideRequest(page_size=5, page_token="c")]
    assert [list(asked.item_ids) for asked in gateway.admin.asked(admin.RetrySetAsideRequest)] == [
        ["ADR-001", "ADR-002"],
        [],
    ]
    assert (await gateway.http.post(path, json={"ids": ["not an id"]})).status_code == 422
