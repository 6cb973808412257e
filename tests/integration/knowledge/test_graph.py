"""Walking the edges, and drawing them."""

import asyncio
from typing import Any

import psycopg
import pytest

from context.v1 import knowledge_pb2 as pb
from context.v1 import types_pb2 as types
from context_common.errors import Conflict, Invalid, NotFound
from context_knowledge import graph
from tests.support.items import adr, failure
from tests.support.knowledge import Knowledge

RELATED = types.RELATIONSHIP_TYPE_RELATED_TO
CAUSED = types.RELATIONSHIP_TYPE_CAUSED_BY


async def draw(knowledge: Knowledge, from_: Any, to: Any, kind: Any = RELATED, strength: float = 0) -> Any:
    names = [f"ADR-{end:03d}" if isinstance(end, int) else end for end in (from_, to)]
    edge = types.Relationship(from_id=names[0], to_id=names[1], type=kind, strength=strength)
    return await knowledge.ask("CreateRelationship", pb.CreateRelationshipRequest(relationship=edge))


async def test_a_relationship_is_drawn_once_for_its_key(knowledge: Knowledge) -> None:
    for _ in range(3):
        await knowledge.create(adr())

    async def ask(to: str, strength: float = 0) -> Any:
        edge = types.Relationship(from_id="ADR-001", to_id=to, type=RELATED, strength=strength)
        request = pb.CreateRelationshipRequest(relationship=edge, idempotency_key="k-1")
        return await knowledge.ask("CreateRelationship", request)

    first = await ask("ADR-002")
    assert (first.created, first.change_id > 0) == (True, True)
    await draw(knowledge, 1, 2, strength=0.5)
    assert await ask("ADR-002") == first
    for other in (("ADR-003", 0.0), ("ADR-002", 0.7)):
        with pytest.raises(Conflict):
            await ask(*other)
    edges = await knowledge.rows("SELECT to_id, strength FROM relationships")
    assert [(row["to_id"], row["strength"]) for row in edges] == [("ADR-002", 0.5)]


@pytest.fixture
async def ring(knowledge: Knowledge) -> Knowledge:
    """1 → 2 → 3 → 4 → 5 → 6 → 1, and 2 → 4."""
    for _ in range(6):
        await knowledge.create(adr())
    for start in range(1, 7):
        await draw(knowledge, start, start % 6 + 1)
    await draw(knowledge, 2, 4, CAUSED)
    return knowledge


WALKS: list[tuple[dict[str, Any], dict[str, int]]] = [
    ({"depth": 1}, {"ADR-002": 1, "ADR-006": 1}),
    ({}, {"ADR-002": 1, "ADR-006": 1, "ADR-003": 2, "ADR-004": 2, "ADR-005": 2}),
    ({"depth": 1, "direction": pb.DIRECTION_OUTGOING}, {"ADR-002": 1}),
    ({"depth": 1, "direction": pb.DIRECTION_INCOMING}, {"ADR-006": 1}),
    (
        {"depth": 5, "direction": pb.DIRECTION_OUTGOING},
        {"ADR-002": 1, "ADR-003": 2, "ADR-004": 2, "ADR-005": 3, "ADR-006": 4},
    ),
    ({"depth": 5, "types": [CAUSED]}, {}),
    (
        {"depth": 3, "types": [RELATED], "direction": pb.DIRECTION_OUTGOING},
        {"ADR-002": 1, "ADR-003": 2, "ADR-004": 3},
    ),
]


async def test_each_item_is_found_once_at_its_least_depth(ring: Knowledge) -> None:
    for wanted, found in WALKS:
        response = await ring.related("ADR-001", **wanted)
        assert {entry.id: entry.depth for entry in response.related} == found, wanted
        assert len(response.related) == response.total_related == len(found)
        assert response.item.id == "ADR-001"
        for entry in response.related:
            assert (entry.path[0], entry.path[-1], len(entry.path)) == ("ADR-001", entry.id, entry.depth + 1)


async def test_an_incoming_edge_is_walked_and_says_so(knowledge: Knowledge) -> None:
    await knowledge.create(adr())
    await knowledge.create(failure())
    await draw(knowledge, "FAIL-001", 1, CAUSED)
    (entry,) = (await knowledge.related("ADR-001")).related
    assert (entry.id, entry.title, entry.relationship, entry.direction) == (
        "FAIL-001",
        "Checkout was down",
        CAUSED,
        pb.DIRECTION_INCOMING,
    )
    response = await knowledge.ask("GetItem", pb.GetItemRequest(id="FAIL-001"))
    assert [(r.id, r.direction) for r in response.related] == [("ADR-001", pb.DIRECTION_OUTGOING)]


async def test_a_limit_cuts_the_farthest_and_keeps_the_total(ring: Knowledge) -> None:
    response = await ring.related("ADR-001", depth=5, limit=3)
    assert [entry.depth for entry in response.related] == [1, 1, 2]
    assert response.total_related == 5


NO_WALKS: list[tuple[dict[str, Any], str]] = [
    ({"depth": 6}, "depth"),
    ({"depth": -1}, "depth"),
    ({"limit": 201}, "limit"),
    ({"limit": -1}, "limit"),
    ({"types": [99]}, "types"),
    ({"types": [0]}, "types"),
    ({"direction": 9}, "direction"),
]


async def test_a_walk_that_cannot_be_is_named(ring: Knowledge) -> None:
    for wanted, named in NO_WALKS:
        with pytest.raises(Invalid) as caught:
            await ring.related("ADR-001", **wanted)
        assert list(caught.value.fields) == [named], wanted


async def test_an_edge_is_drawn_once_and_its_strength_may_change(knowledge: Knowledge) -> None:
    for _ in range(2):
        await knowledge.create(adr())
    await knowledge.drain()
    first = await draw(knowledge, 1, 2)
    assert (first.created, first.relationship.strength) == (True, 1.0)
    assert first.change_id > 0
    (change,) = await knowledge.lease()
    assert [(edge.to_id, edge.type) for edge in change.relationships] == [("ADR-002", RELATED)]
    await knowledge.ack(change)
    same = await draw(knowledge, 1, 2)
    assert (same.created, same.change_id) == (False, 0)
    other = await draw(knowledge, 1, 2, strength=0.5)
    assert not other.created
    assert other.change_id > first.change_id
    assert await knowledge.count("relationships") == 1
    audit = await knowledge.rows("SELECT action, detail FROM audit WHERE action = 'relate' ORDER BY entry")
    assert [row["action"] for row in audit] == ["relate", "relate"]
    assert [row["detail"] for row in audit] == ["ADR-001 related_to ADR-002 1", "ADR-001 related_to ADR-002 0.5"]


NO_EDGES: list[tuple[Any, Any, Any, float, list[str]]] = [
    (1, 1, RELATED, 1, ["to"]),
    (1, 2, types.RELATIONSHIP_TYPE_UNSPECIFIED, 1, ["type"]),
    (1, 2, 99, 1, ["type"]),
    (1, 2, RELATED, 1.01, ["strength"]),
    (1, 2, RELATED, -1, ["strength"]),
    (1, 2, RELATED, float("nan"), ["strength"]),
    (1, 2, RELATED, float("inf"), ["strength"]),
    ("", "nonsense", 0, 1, ["from", "to", "type"]),
    (1, "ADR-2\0", RELATED, 1, ["to"]),
]


async def test_an_edge_that_cannot_be_is_refused(knowledge: Knowledge) -> None:
    for _ in range(2):
        await knowledge.create(adr())
    for *edge, named in NO_EDGES:
        with pytest.raises(Invalid) as caught:
            await draw(knowledge, *edge)
        assert sorted(caught.value.fields) == named, edge
    assert await knowledge.count("relationships") == 0


async def test_an_edge_needs_both_its_ends(knowledge: Knowledge) -> None:
    await knowledge.create(adr())
    for from_, to in ((1, 2), (2, 1)):
        with pytest.raises(NotFound, match="ADR-002"):
            await draw(knowledge, from_, to)


@pytest.mark.parametrize("deleted", ["ADR-001", "FAIL-001"])
@pytest.mark.parametrize("kind", [RELATED, types.RELATIONSHIP_TYPE_REFERENCES])
async def test_no_edge_is_drawn_to_what_is_being_deleted(knowledge: Knowledge, deleted: str, kind: Any) -> None:
    await knowledge.create(adr())
    await knowledge.create(failure())
    async with await psycopg.AsyncConnection.connect(knowledge.url) as deleting:
        await deleting.execute("DELETE FROM knowledge.items WHERE id = %s", [deleted])
        drawing = asyncio.create_task(draw(knowledge, "FAIL-001", 1, kind))
        await knowledge.until_one_waits()
    with pytest.raises(NotFound, match=deleted):
        await drawing
    assert await knowledge.count("relationships") == 0
    assert await knowledge.rows("SELECT 1 FROM audit WHERE action = 'relate'") == []


async def test_an_edge_is_deleted_once(knowledge: Knowledge) -> None:
    for _ in range(2):
        await knowledge.create(adr())
    await draw(knowledge, 1, 2)
    await knowledge.drain()
    request = pb.DeleteRelationshipRequest(from_id="adr-1", to_id="ADR-002", type=RELATED)
    assert (await knowledge.ask("DeleteRelationship", request)).change_id > 0
    (change,) = await knowledge.lease()
    assert (change.item_id, list(change.relationships)) == ("ADR-001", [])
    with pytest.raises(NotFound):
        await knowledge.ask("DeleteRelationship", request)


async def test_of_a_hub_the_closest_are_followed(knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "MOST_WALKED", 3)
    monkeypatch.setattr(graph, "MOST_RELATED", 2)
    await knowledge.create(adr())
    for number in range(6):
        await knowledge.create(failure(root_cause=f"It was {number}, see ADR-001."))
    assert len((await knowledge.related("ADR-001")).related) == 3
    found = await knowledge.ask("GetItem", pb.GetItemRequest(id="ADR-001"))
    assert len(found.related) == 2
