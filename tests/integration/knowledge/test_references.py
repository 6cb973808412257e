"""Ids named in an item's text and lists become edges, also when the named item comes later."""

from typing import Any

from context.v1 import knowledge_pb2 as pb
from context.v1 import types_pb2 as types
from tests.support.items import adr, failure, meeting, snapshot
from tests.support.knowledge import Knowledge


def pairs(recorded: pb.Recorded) -> list[str]:
    return [f"{edge.from_id}->{edge.to_id}" for edge in recorded.relationships_created]


async def outgoing(knowledge: Knowledge, item_id: str) -> list[str]:
    related = await knowledge.related(item_id, depth=1, direction=pb.DIRECTION_OUTGOING)
    return [entry.id for entry in related.related]


NAMING = [
    adr(title="See adr-1"),
    adr(decision="Follows ADR-1."),
    adr(context="(ADR-0001)"),
    adr(options_considered={"as in ADR-001": "x"}),
    adr(options_considered={"x": "as in ADR-001"}),
    adr(consequences="ADR-001/ADR-002"),
    adr(outcome="docs/adr-001-use-postgres.md"),
    failure(root_cause="against Adr-001"),
    failure(lessons_learned="x, ADR-1, y"),
    failure(prevention=["none", "ADR-001: keep to it"]),
    failure(symptoms="ADR-001"),
    meeting(decisions=[types.MeetingDecision(decision="Drop ADR-001")]),
    meeting(decisions=[types.MeetingDecision(decision="x", rationale="ADR-001")]),
    meeting(decisions=[types.MeetingDecision(decision="x", action_items=[types.ActionItem(task="Rewrite ADR-001")])]),
    snapshot(commit_message="feat: cards\n\nImplements ADR-1"),
    snapshot(references=["adr-1"]),
    snapshot(changed_files=["docs/ADR-001.md"]),
]


async def test_an_id_is_found_wherever_it_stands(knowledge: Knowledge) -> None:
    for number, item in enumerate(NAMING):
        team = knowledge.as_(f"team{number}")
        await team.create(adr())
        recorded = await team.create(item)
        assert pairs(recorded) == [f"{recorded.item.id}->ADR-001"], item
        assert recorded.relationships_created[0].type == types.RELATIONSHIP_TYPE_REFERENCES
        assert await outgoing(team, recorded.item.id) == ["ADR-001"]
        assert (await team.get("ADR-001")).reference_count == 1


async def test_an_item_does_not_refer_to_itself(knowledge: Knowledge) -> None:
    recorded = await knowledge.create(adr("ADR-001: use Postgres"))
    assert (recorded.item.id, pairs(recorded), list(recorded.pending_references)) == ("ADR-001", [], [])


async def test_what_is_named_early_is_linked_when_it_comes(knowledge: Knowledge) -> None:
    early = await knowledge.create(failure(lessons_learned="See ADR-2 and ADR-001; ADR-driven work; SNAP-3f2a."))
    assert pairs(early) == []
    assert sorted(early.pending_references) == ["ADR-001", "ADR-002", "SNAP-3f2a"]
    assert await outgoing(knowledge, "FAIL-001") == []
    for item in (adr(), adr(), snapshot(id="SNAP-3f2a")):
        recorded = await knowledge.create(item)
        assert recorded.item.reference_count == 1
    assert await outgoing(knowledge, "FAIL-001") == ["ADR-001", "ADR-002", "SNAP-3f2a"]


async def test_a_custom_id_is_found_as_it_is_written(knowledge: Knowledge) -> None:
    await knowledge.create(failure(id="FAIL-zeta"))
    assert pairs(await knowledge.create(adr(context="like FAIL-zeta."))) == ["ADR-001->FAIL-zeta"]
    assert pairs(await knowledge.create(adr(context="like fail-zeta."))) == []


async def test_edges_follow_a_changed_text(knowledge: Knowledge) -> None:
    await knowledge.create(adr())
    await knowledge.create(adr())
    await knowledge.create(failure(impact="ADR-001"))
    await knowledge.drain()
    updated = await knowledge.update(
        types.Item(id="FAIL-001", failure=types.Failure(impact="ADR-002")), ["failure.impact"]
    )
    assert pairs(updated.recorded) == ["FAIL-001->ADR-002"]
    assert await outgoing(knowledge, "FAIL-001") == ["ADR-002"]
    (change,) = await knowledge.lease()
    assert [edge.to_id for edge in change.relationships] == ["ADR-002"]


async def test_an_edge_that_was_asked_for_survives_the_text(knowledge: Knowledge) -> None:
    await knowledge.create(adr())
    await knowledge.create(failure(impact="ADR-001"))
    edge: dict[str, Any] = {
        "from_id": "FAIL-001",
        "to_id": "ADR-001",
        "type": types.RELATIONSHIP_TYPE_REFERENCES,
        "strength": 0.5,
    }
    response = await knowledge.ask(
        "CreateRelationship", pb.CreateRelationshipRequest(relationship=types.Relationship(**edge))
    )
    assert not response.created
    await knowledge.update(types.Item(id="FAIL-001"), ["failure.impact"])
    assert await outgoing(knowledge, "FAIL-001") == ["ADR-001"]


async def test_an_edge_taken_from_a_snapshot_leaves_its_list(knowledge: Knowledge) -> None:
    await knowledge.create(adr())
    await knowledge.create(snapshot(references=["ADR-001", "ADR-002"]))
    request = pb.DeleteRelationshipRequest(from_id="SNAP-001", to_id="ADR-001", type=types.RELATIONSHIP_TYPE_REFERENCES)
    assert (await knowledge.ask("DeleteRelationship", request)).change_id > 0
    item = await knowledge.get("SNAP-001")
    assert (list(item.snapshot.references), item.version) == (["ADR-002"], 2)


async def test_an_edge_taken_from_a_text_stays_away_until_the_text_names_it_anew(knowledge: Knowledge) -> None:
    async def change(**texts: Any) -> list[str]:
        changed = types.Item(id="FAIL-001", failure=types.Failure(**texts))
        await knowledge.update(changed, [f"failure.{name}" for name in texts])
        return await outgoing(knowledge, "FAIL-001")

    await knowledge.create(adr())
    await knowledge.create(adr())
    await knowledge.create(failure(impact="ADR-001"))
    request = pb.DeleteRelationshipRequest(from_id="FAIL-001", to_id="ADR-001", type=types.RELATIONSHIP_TYPE_REFERENCES)
    assert (await knowledge.ask("DeleteRelationship", request)).change_id > 0
    assert await change(symptoms="500s") == []
    assert await change(impact="ADR-001 was to blame, as was ADR-002") == ["ADR-002"]
    assert await change(impact="none") == []
    assert await change(impact="ADR-001") == ["ADR-001"]


async def test_edges_go_with_their_item(knowledge: Knowledge) -> None:
    await knowledge.create(adr())
    await knowledge.create(failure(impact="ADR-001"))
    await knowledge.drain()
    await knowledge.delete("ADR-001")
    assert await outgoing(knowledge, "FAIL-001") == []
    changes = {change.item_id: change for change in await knowledge.lease()}
    assert changes.keys() == {"ADR-001", "FAIL-001"}
    assert not changes["ADR-001"].HasField("item")
    assert list(changes["FAIL-001"].relationships) == []
