"""Which decision took the place of which: edges, fields and status always agree."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from context.v1 import knowledge_pb2 as pb
from context.v1 import types_pb2 as types
from context_common.errors import Invalid
from tests.support.items import adr, failure
from tests.support.knowledge import Knowledge

SUPERSEDES = types.RELATIONSHIP_TYPE_SUPERSEDES


async def standing(knowledge: Knowledge, item_id: str) -> tuple[str, list[str], str]:
    item = await knowledge.get(item_id)
    return item.status, list(item.adr.supersedes), item.adr.superseded_by


async def relate(knowledge: Knowledge, method: str, **edge: Any) -> Any:
    if method == "CreateRelationship":
        return await knowledge.ask(method, pb.CreateRelationshipRequest(relationship=types.Relationship(**edge)))
    return await knowledge.ask(method, pb.DeleteRelationshipRequest(**edge))


async def by_create(knowledge: Knowledge) -> None:
    await knowledge.create(adr())
    await knowledge.create(adr(supersedes=["adr-1"]))


async def by_update(knowledge: Knowledge) -> None:
    await knowledge.create(adr())
    await knowledge.create(adr())
    await knowledge.update(types.Item(id="ADR-002", adr=types.Adr(supersedes=["ADR-001"])), ["adr.supersedes"])


async def by_the_other_end(knowledge: Knowledge) -> None:
    await knowledge.create(adr())
    await knowledge.create(adr())
    await knowledge.update(types.Item(id="ADR-001", adr=types.Adr(superseded_by="ADR-002")), ["adr.superseded_by"])


async def by_relationship(knowledge: Knowledge) -> None:
    await knowledge.create(adr())
    await knowledge.create(adr())
    await relate(knowledge, "CreateRelationship", from_id="ADR-002", to_id="ADR-001", type=SUPERSEDES)


async def by_waiting_for_the_target(knowledge: Knowledge) -> None:
    recorded = await knowledge.create(adr(id="ADR-002", supersedes=["ADR-001"]))
    assert list(recorded.pending_references) == ["ADR-001"]
    assert not recorded.relationships_created
    await knowledge.create(adr(id="ADR-001"))


async def by_waiting_for_the_superseder(knowledge: Knowledge) -> None:
    recorded = await knowledge.create(adr(superseded_by="ADR-002"))
    assert (recorded.item.status, list(recorded.pending_references)) == ("active", ["ADR-002"])
    await knowledge.create(adr())


WAYS = [
    by_create,
    by_update,
    by_the_other_end,
    by_relationship,
    by_waiting_for_the_target,
    by_waiting_for_the_superseder,
]


async def delete_the_superseder(knowledge: Knowledge) -> None:
    await knowledge.delete("ADR-002")


async def clear_the_list(knowledge: Knowledge) -> None:
    await knowledge.update(types.Item(id="ADR-002"), ["adr.supersedes"])


async def clear_the_other_end(knowledge: Knowledge) -> None:
    await knowledge.update(types.Item(id="ADR-001"), ["adr.superseded_by"])


async def delete_the_relationship(knowledge: Knowledge) -> None:
    await relate(knowledge, "DeleteRelationship", from_id="ADR-002", to_id="ADR-001", type=SUPERSEDES)


BACK = [delete_the_superseder, clear_the_list, clear_the_other_end, delete_the_relationship]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_every_way_of_superseding_comes_to_the_same(knowledge: Knowledge, way: Any) -> None:
    await way(knowledge)
    assert await standing(knowledge, "ADR-001") == ("superseded", [], "ADR-002")
    assert await standing(knowledge, "ADR-002") == ("active", ["ADR-001"], "")
    related = (await knowledge.related("ADR-001")).related
    assert [(r.id, r.relationship, r.direction) for r in related] == [("ADR-002", SUPERSEDES, pb.DIRECTION_INCOMING)]


@pytest.mark.parametrize("back", BACK, ids=lambda back: back.__name__)
async def test_taking_it_back_restores_the_target(knowledge: Knowledge, back: Any) -> None:
    await by_create(knowledge)
    await knowledge.drain()
    await back(knowledge)
    assert await standing(knowledge, "ADR-001") == ("active", [], "")
    assert {change.item_id for change in await knowledge.lease()} == {"ADR-001", "ADR-002"}
    versions = await knowledge.rows("SELECT change FROM item_versions WHERE id = 'ADR-001' ORDER BY version")
    assert [row["change"] for row in versions] == ["created", "superseded", "restored"]


async def test_the_target_gets_its_own_version_and_feed_row(knowledge: Knowledge) -> None:
    await knowledge.create(adr(created_date="2019-01-01"))
    await knowledge.drain()
    recorded = await knowledge.create(adr(created_date="2021-01-01", supersedes=["ADR-001"]))
    assert [(e.from_id, e.to_id, e.type) for e in recorded.relationships_created] == [
        ("ADR-002", "ADR-001", SUPERSEDES)
    ]
    changes = {change.item_id: change for change in await knowledge.lease()}
    assert changes.keys() == {"ADR-001", "ADR-002"}
    assert (changes["ADR-001"].item.status, changes["ADR-001"].item.version) == ("superseded", 2)
    (version,) = await knowledge.rows("SELECT * FROM item_versions WHERE id = 'ADR-001' AND version = 2")
    assert version["changed_fields"] == ["status", "superseded_by"]
    assert version["valid_from"].date().isoformat() == "2021-01-01"


async def test_a_chain_keeps_each_step(knowledge: Knowledge) -> None:
    await knowledge.create(adr())
    await knowledge.create(adr(supersedes=["ADR-001"]))
    await knowledge.create(adr(supersedes=["ADR-002"]))
    assert await standing(knowledge, "ADR-001") == ("superseded", [], "ADR-002")
    assert await standing(knowledge, "ADR-002") == ("superseded", ["ADR-001"], "ADR-003")
    await knowledge.delete("ADR-002")
    assert await standing(knowledge, "ADR-001") == ("active", [], "")
    assert await standing(knowledge, "ADR-003") == ("active", [], "")


async def test_one_of_two_superseders_is_enough(knowledge: Knowledge) -> None:
    await knowledge.create(adr())
    await knowledge.create(adr(supersedes=["ADR-001"]))
    await knowledge.create(adr(supersedes=["ADR-001"]))
    assert await standing(knowledge, "ADR-001") == ("superseded", [], "ADR-003")
    await knowledge.delete("ADR-003")
    assert await standing(knowledge, "ADR-001") == ("superseded", [], "ADR-002")


@pytest.mark.parametrize("status", ["rejected", "retracted", "proposed"])
async def test_what_does_not_hold_supersedes_nothing(knowledge: Knowledge, status: str) -> None:
    await knowledge.create(adr())
    await knowledge.create(adr(supersedes=["ADR-001"], status=status))
    assert await standing(knowledge, "ADR-001") == ("active", [], "")
    assert await standing(knowledge, "ADR-002") == (status, ["ADR-001"], "")


@pytest.mark.parametrize("status", ["rejected", "retracted", "proposed"])
async def test_turning_a_superseder_down_restores_the_target_for_as_long(knowledge: Knowledge, status: str) -> None:
    await by_create(knowledge)
    await knowledge.drain()
    await knowledge.update(types.Item(id="ADR-002", status=status), ["status"])
    assert await standing(knowledge, "ADR-001") == ("active", [], "")
    assert {change.item_id for change in await knowledge.lease()} == {"ADR-001", "ADR-002"}
    await knowledge.update(types.Item(id="ADR-002", status="active"), ["status"])
    assert await standing(knowledge, "ADR-001") == ("superseded", [], "ADR-002")


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_a_proposal_supersedes_once_it_is_accepted(knowledge: Knowledge, way: Any) -> None:
    await way(knowledge)
    await knowledge.update(types.Item(id="ADR-002", status="proposed"), ["status"])
    assert await standing(knowledge, "ADR-001") == ("active", [], "")
    assert await standing(knowledge, "ADR-002") == ("proposed", ["ADR-001"], "")
    await knowledge.update(types.Item(id="ADR-002", status="active"), ["status"])
    assert await standing(knowledge, "ADR-001") == ("superseded", [], "ADR-002")


async def test_a_proposal_that_is_superseded_is_a_link_of_the_chain(knowledge: Knowledge) -> None:
    await knowledge.create(adr())
    await knowledge.create(adr(supersedes=["ADR-001"], status="proposed"))
    await knowledge.create(adr(supersedes=["ADR-002"], status="proposed"))
    assert await standing(knowledge, "ADR-001") == ("active", [], "")
    await knowledge.drain()
    await knowledge.update(types.Item(id="ADR-003", status="active"), ["status"])
    assert await standing(knowledge, "ADR-002") == ("superseded", ["ADR-001"], "ADR-003")
    assert await standing(knowledge, "ADR-001") == ("superseded", [], "ADR-002")
    assert {change.item_id for change in await knowledge.lease()} == {"ADR-001", "ADR-002", "ADR-003"}


async def test_turning_one_of_two_superseders_down_changes_nothing(knowledge: Knowledge) -> None:
    await by_create(knowledge)
    await knowledge.create(adr(supersedes=["ADR-001"]))
    await knowledge.update(types.Item(id="ADR-003", status="retracted"), ["status"])
    assert await standing(knowledge, "ADR-001") == ("superseded", [], "ADR-002")


@pytest.mark.parametrize("status", ["rejected", "retracted", "archived"])
async def test_what_was_wrong_is_not_made_true_once(knowledge: Knowledge, status: str) -> None:
    await knowledge.create(adr(status=status))
    await knowledge.create(adr(supersedes=["ADR-001"]))
    assert await standing(knowledge, "ADR-001") == (status, [], "ADR-002")


async def test_a_status_set_by_hand_stays_without_an_edge(knowledge: Knowledge) -> None:
    await knowledge.create(adr(status="superseded"))
    await knowledge.update(types.Item(id="ADR-001", title="New"), ["title"])
    assert (await standing(knowledge, "ADR-001"))[0] == "superseded"


async def test_a_status_set_by_hand_stays_while_the_superseder_is_still_to_come(knowledge: Knowledge) -> None:
    await knowledge.create(adr(status="superseded", superseded_by="ADR-008"))
    assert await standing(knowledge, "ADR-001") == ("superseded", [], "ADR-008")
    await knowledge.update(types.Item(id="ADR-001", adr=types.Adr(superseded_by="ADR-009")), ["adr.superseded_by"])
    assert await standing(knowledge, "ADR-001") == ("superseded", [], "ADR-009")


@pytest.mark.parametrize("back", BACK, ids=lambda back: back.__name__)
async def test_a_superseder_that_goes_is_not_replaced_by_one_still_to_come(knowledge: Knowledge, back: Any) -> None:
    await knowledge.create(adr(superseded_by="ADR-009"))
    await knowledge.create(adr(supersedes=["ADR-001"]))
    assert await standing(knowledge, "ADR-001") == ("superseded", [], "ADR-002")
    await back(knowledge)
    left = "" if back is clear_the_other_end else "ADR-009"
    assert await standing(knowledge, "ADR-001") == ("active", [], left)


async def test_naming_one_still_to_come_instead_restores_the_target(knowledge: Knowledge) -> None:
    await by_create(knowledge)
    await knowledge.update(types.Item(id="ADR-001", adr=types.Adr(superseded_by="ADR-003")), ["adr.superseded_by"])
    assert await standing(knowledge, "ADR-001") == ("active", [], "ADR-003")
    await knowledge.create(adr(id="ADR-003"))
    assert await standing(knowledge, "ADR-001") == ("superseded", [], "ADR-003")


async def test_an_edge_is_stronger_than_a_status(knowledge: Knowledge) -> None:
    await by_create(knowledge)
    with pytest.raises(Invalid) as caught:
        await knowledge.update(types.Item(id="ADR-001", status="active"), ["status"])
    assert list(caught.value.fields) == ["status"]
    assert (await standing(knowledge, "ADR-001"))[0] == "superseded"
    both = types.Item(id="ADR-001", status="deprecated")
    await knowledge.update(both, ["status", "adr.superseded_by"])
    assert await standing(knowledge, "ADR-001") == ("deprecated", [], "")


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"supersedes": ["ADR-002"]}, "supersedes"),
        ({"superseded_by": "ADR-002"}, "superseded_by"),
        ({"supersedes": ["FAIL-001"]}, "supersedes[0]"),
        ({"supersedes": ["ADR-001", "nonsense"]}, "supersedes[1]"),
        ({"superseded_by": "FAIL-001"}, "superseded_by"),
        ({"superseded_by": "nonsense"}, "superseded_by"),
    ],
)
async def test_a_supersession_that_cannot_be_is_refused(
    knowledge: Knowledge, fields: dict[str, Any], named: str
) -> None:
    await knowledge.create(adr())
    await knowledge.create(failure())
    with pytest.raises(Invalid) as caught:
        await knowledge.create(adr(**fields))
    assert list(caught.value.fields) == [named]
    assert (await knowledge.get("ADR-001")).version == 1


async def test_a_cycle_is_refused_from_either_end(knowledge: Knowledge) -> None:
    for number in (1, 2, 3):
        await knowledge.create(adr(supersedes=[f"ADR-{number - 1:03d}"] if number > 1 else []))
    with pytest.raises(Invalid) as caught:
        await knowledge.update(types.Item(id="ADR-001", adr=types.Adr(supersedes=["ADR-003"])), ["adr.supersedes"])
    assert list(caught.value.fields) == ["supersedes"]
    with pytest.raises(Invalid) as caught:
        await knowledge.update(types.Item(id="ADR-003", adr=types.Adr(superseded_by="ADR-001")), ["adr.superseded_by"])
    assert list(caught.value.fields) == ["superseded_by"]
    with pytest.raises(Invalid) as caught:
        await relate(knowledge, "CreateRelationship", from_id="ADR-001", to_id="ADR-003", type=SUPERSEDES)
    assert list(caught.value.fields) == ["to"]
    assert await standing(knowledge, "ADR-003") == ("active", ["ADR-002"], "")


async def test_a_cycle_by_way_of_an_item_to_come_is_refused(knowledge: Knowledge) -> None:
    await knowledge.create(adr(id="ADR-001", supersedes=["ADR-002"]))
    with pytest.raises(Invalid):
        await knowledge.create(adr(id="ADR-002", supersedes=["ADR-001"]))


async def test_cycles_drawn_at_once_are_refused(knowledge: Knowledge) -> None:
    for _ in range(4):
        await knowledge.create(adr())
    edges = [("ADR-001", "ADR-002"), ("ADR-002", "ADR-003"), ("ADR-003", "ADR-004"), ("ADR-004", "ADR-001")]
    drawn = await asyncio.gather(
        *(relate(knowledge, "CreateRelationship", from_id=a, to_id=b, type=SUPERSEDES) for a, b in edges),
        return_exceptions=True,
    )
    assert sorted(type(result).__name__ for result in drawn) == [*["CreateRelationshipResponse"] * 3, "Invalid"]


@pytest.mark.parametrize(
    ("from_id", "to_id", "named"), [("ADR-001", "FAIL-001", "to"), ("FAIL-001", "ADR-001", "from")]
)
async def test_only_decisions_supersede_decisions(knowledge: Knowledge, from_id: str, to_id: str, named: str) -> None:
    await knowledge.create(adr())
    await knowledge.create(failure())
    with pytest.raises(Invalid) as caught:
        await relate(knowledge, "CreateRelationship", from_id=from_id, to_id=to_id, type=SUPERSEDES)
    assert list(caught.value.fields) == [named]


async def test_an_item_arriving_while_it_is_named_is_superseded_too(knowledge: Knowledge) -> None:
    for round_ in range(10):
        old, new = f"ADR-old{round_}", f"ADR-new{round_}"
        await asyncio.gather(
            knowledge.create(adr(id=old)),
            knowledge.create(adr(id=new, supersedes=[old])),
        )
        assert await standing(knowledge, old) == ("superseded", [], new)


OPERATION = st.tuples(
    st.sampled_from(
        ["create", "supersedes", "superseded_by", "delete", "edge", "no edge", "reject", "propose", "accept"]
    ),
    st.integers(1, 5),
    st.lists(st.integers(1, 5), max_size=3),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=st.lists(OPERATION, max_size=12), seed=st.uuids())
@example(operations=[("create", 2, [1]), ("create", 1, []), ("superseded_by", 1, [3])], seed=UUID(int=1))
@example(operations=[("create", 3, []), ("create", 2, [3]), ("superseded_by", 3, [1])], seed=UUID(int=2))
@example(operations=[("create", 1, []), ("create", 2, [1]), ("propose", 2, []), ("create", 3, [2])], seed=UUID(int=3))
async def test_whatever_is_done_edges_fields_and_status_agree(
    knowledge: Knowledge, operations: list[tuple[str, int, list[int]]], seed: Any
) -> None:
    fresh = knowledge.as_(f"n{seed.hex}")
    for operation in operations:
        try:
            await _do(fresh, *operation)
        except Exception as error:
            if isinstance(error, RuntimeError):
                raise
    items = {item.id: item for item in (await fresh.page()).items}
    edges = await knowledge.rows(
        "SELECT from_id, to_id FROM relationships WHERE namespace = %s AND type = 'supersedes'", fresh.namespace
    )
    for item_id, item in items.items():
        assert set(item.adr.supersedes) == {e["to_id"] for e in edges if e["from_id"] == item_id}
        by = {e["from_id"] for e in edges if e["to_id"] == item_id}
        by -= {other for other in by & items.keys() if items[other].status in ("rejected", "proposed")}
        live = by & items.keys()
        assert item.adr.superseded_by == max(live or by, default="")
        if item.status == "proposed":
            assert not live
        elif item.status != "rejected":
            assert item.status == ("superseded" if live else "active")


async def _do(knowledge: Knowledge, what: str, number: int, others: list[int]) -> None:
    item_id, names = f"ADR-{number:03d}", [f"ADR-{other:03d}" for other in others]
    first = names[0] if names else ""
    edge = {"from_id": item_id, "to_id": first, "type": SUPERSEDES}
    match what:
        case "create":
            await knowledge.create(adr(id=item_id, supersedes=names))
        case "supersedes":
            await knowledge.update(types.Item(id=item_id, adr=types.Adr(supersedes=names)), ["adr.supersedes"])
        case "superseded_by":
            await knowledge.update(types.Item(id=item_id, adr=types.Adr(superseded_by=first)), ["adr.superseded_by"])
        case "delete":
            await knowledge.delete(item_id)
        case "reject" | "propose" | "accept":
            status = {"reject": "rejected", "propose": "proposed"}.get(what, "active")
            await knowledge.update(types.Item(id=item_id, status=status), ["status"])
        case "edge":
            await relate(knowledge, "CreateRelationship", **edge)
        case _:
            await relate(knowledge, "DeleteRelationship", **edge)
