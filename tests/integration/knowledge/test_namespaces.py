"""Nothing crosses a namespace: for everybody else an item does not exist."""

from typing import Any

import pytest

from context.v1 import knowledge_pb2 as pb
from context.v1 import types_pb2 as types
from context_common.errors import NotFound
from tests.support.items import adr, failure, snapshot
from tests.support.knowledge import Knowledge

RELATED = types.RELATIONSHIP_TYPE_RELATED_TO
EDGE = types.Relationship(from_id="FAIL-001", to_id="ADR-001", type=RELATED)


@pytest.fixture
async def other(knowledge: Knowledge) -> Knowledge:
    """A caller in a namespace beside one that is full."""
    await knowledge.create(adr(source_uri="1.md"))
    await knowledge.create(failure(impact="see ADR-001"))
    await knowledge.create(snapshot("abc"))
    await knowledge.create(adr("Next", supersedes=["ADR-001"]))
    await knowledge.ask("CreateRelationship", pb.CreateRelationshipRequest(relationship=EDGE))
    return knowledge.as_("billing")


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("GetItem", pb.GetItemRequest(id="ADR-001")),
        ("UpdateItem", pb.UpdateItemRequest(item=types.Item(id="ADR-001", title="Mine"))),
        ("DeleteItem", pb.DeleteItemRequest(id="ADR-001")),
        ("GetRelated", pb.GetRelatedRequest(id="ADR-001")),
        ("CreateRelationship", pb.CreateRelationshipRequest(relationship=EDGE)),
        ("DeleteRelationship", pb.DeleteRelationshipRequest(from_id="FAIL-001", to_id="ADR-001", type=RELATED)),
    ],
)
async def test_a_call_for_another_namespaces_item_finds_nothing(other: Knowledge, method: str, request_: Any) -> None:
    with pytest.raises(NotFound):
        await other.ask(method, request_)


async def test_lists_are_empty(other: Knowledge) -> None:
    assert list((await other.page()).items) == []
    assert list((await other.page(text="Postgres")).items) == []


async def test_ids_sources_and_commits_are_free(other: Knowledge) -> None:
    assert (await other.create(adr("Mine", source_uri="1.md"))).item.id == "ADR-001"
    assert (await other.create(snapshot("abc", "fix: mine"))).outcome == pb.OUTCOME_CREATED
    (result,) = await other.record(failure(source_uri="2.md"))
    assert result.recorded.outcome == pb.OUTCOME_CREATED
    web = other.as_("web")
    assert (await web.get("ADR-001")).title == "Use Postgres"
    assert (await web.get("SNAP-001")).title == "feat: pay by card"


async def test_edges_do_not_reach_over(other: Knowledge) -> None:
    recorded = await other.create(failure(impact="see ADR-001"))
    assert list(recorded.relationships_created) == []
    assert list(recorded.pending_references) == ["ADR-001"]
    mine = await other.create(adr("Mine"))
    assert (mine.item.status, mine.item.reference_count) == ("active", 1)
    assert [entry.id for entry in (await other.related("ADR-001")).related] == ["FAIL-001"]
    await other.create(adr(supersedes=["ADR-001"]))
    await other.delete("ADR-002")
    theirs = await other.as_("web").get("ADR-001")
    assert (theirs.status, theirs.reference_count) == ("superseded", 3)


async def test_deleting_mine_leaves_theirs(other: Knowledge) -> None:
    for item in (adr(), failure(impact="ADR-001")):
        await other.create(item)
    await other.delete("ADR-001")
    web = other.as_("web")
    assert (await web.get("ADR-001")).reference_count == 3
    assert len((await web.page()).items) == 4


async def test_a_replay_is_of_ones_own(other: Knowledge) -> None:
    await other.drain()
    request = pb.ReplayChangesRequest()
    assert (await other.as_("billing", "service:retrieval").ask("ReplayChanges", request)).replayed == 0
    assert await other.lease() == []


async def test_access_counts_are_of_the_named_namespace(other: Knowledge) -> None:
    await other.create(adr())
    request = pb.RecordAccessRequest(accesses=[pb.Access(namespace="web", item_id="ADR-001", count=5)])
    await other.as_("billing", "service:retrieval").ask("RecordAccess", request)
    assert (await other.get("ADR-001")).access_count_30d == 0
    assert (await other.as_("web").get("ADR-001")).access_count_30d == 5
