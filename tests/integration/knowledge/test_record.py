"""Bulk: each item for itself, and the same again changes nothing."""

import asyncio
from typing import Any

import psycopg
import pytest

from context.v1 import knowledge_pb2 as pb
from context.v1 import types_pb2 as types
from context_common.errors import Conflict, Invalid, from_status
from context_knowledge.store.items import Items
from context_ops.store import connect
from context_ops.store.erasure import Erasure
from tests.support.items import adr, failure, meeting, snapshot
from tests.support.knowledge import Knowledge


def outcomes(results: list[pb.RecordResult]) -> list[str]:
    return [
        pb.Outcome.Name(r.recorded.outcome).removeprefix("OUTCOME_").lower()
        if r.HasField("recorded")
        else type(from_status(r.error)).__name__
        for r in results
    ]


IMPORT = [
    adr("One", source_uri="1.md", status="active"),
    adr("Two, after ADR-001", source_uri="2.md", supersedes=["ADR-001"], created_date="2020-01-01"),
    adr("Three", source_uri="3.md", superseded_by="ADR-004", status="superseded", tags=["x"]),
    adr("Four", source_uri="4.md", supersedes=["ADR-001"]),
    failure(source_uri="5.md", severity="high", prevention=["ADR-002"]),
    meeting(source_uri="6.md"),
    snapshot("abc", "fix: pay"),
]


async def test_what_is_unchanged_but_not_indexed_yet_says_for_what_to_wait(knowledge: Knowledge) -> None:
    (first,) = await knowledge.record(IMPORT[0])
    (again,) = await knowledge.record(IMPORT[0])
    assert outcomes([again]) == ["unchanged"]
    assert again.recorded.change_id == first.recorded.change_id > 0
    await knowledge.drain()
    (indexed,) = await knowledge.record(IMPORT[0])
    assert indexed.recorded.change_id == 0


async def test_the_same_import_again_changes_nothing(knowledge: Knowledge) -> None:
    assert outcomes(await knowledge.record(*IMPORT)) == ["created"] * 7
    before = (await knowledge.page()).items
    await knowledge.drain()
    versions = await knowledge.count("item_versions")
    for _ in range(2):
        again = await knowledge.record(*IMPORT)
        assert outcomes(again) == ["unchanged"] * 7
        assert all(result.recorded.change_id == 0 for result in again)
    assert await knowledge.count("item_versions") == versions
    assert (await knowledge.page()).items == before
    assert await knowledge.lease() == []
    assert [i.status for i in before if i.type == types.ITEM_TYPE_ADR] == [
        "active",
        "superseded",
        "superseded",
        "active",
    ]


async def test_what_was_exported_rebuilds_the_same_and_changes_nothing_twice(knowledge: Knowledge) -> None:
    await knowledge.record(*IMPORT)
    await knowledge.create(adr("By hand, see FAIL-001"))
    exported = list((await knowledge.page()).items)
    other = knowledge.as_("copy")
    assert outcomes(await other.record(*exported)) == ["created"] * 8
    assert outcomes(await other.record(*exported)) == ["unchanged"] * 8
    copied = list((await other.page()).items)
    assert [plain(item) for item in copied] == [plain(item) for item in exported]
    assert (await other.create(adr())).item.id == "ADR-006"


def plain(item: types.Item) -> types.Item:
    """Without what this service keeps for itself."""
    copy = types.Item()
    copy.CopyFrom(item)
    copy.namespace, copy.version = "", 0
    copy.ClearField("created_at")
    copy.ClearField("updated_at")
    return copy


async def test_a_given_field_replaces_and_one_left_out_stays(knowledge: Knowledge) -> None:
    await knowledge.record(adr("One", source_uri="1.md", context="why", tags=["a"], author="ada"))
    (result,) = await knowledge.record(adr("One, again", source_uri="1.md", tags=["b"]))
    item = result.recorded.item
    assert result.recorded.outcome == pb.OUTCOME_UPDATED
    assert (item.id, item.title, item.adr.context, list(item.tags), item.author, item.version) == (
        "ADR-001",
        "One, again",
        "why",
        ["b"],
        "ada",
        2,
    )


async def test_a_commit_is_brought_up_to_date_by_its_hash(knowledge: Knowledge) -> None:
    results = await knowledge.record(
        snapshot("abc", "feat: one"), snapshot("abc", "feat: one"), snapshot("abc", title="Two"), snapshot("def")
    )
    assert outcomes(results) == ["created", "unchanged", "updated", "created"]
    assert (await knowledge.get("SNAP-001")).title == "Two"


async def write_each_way(knowledge: Knowledge, item: types.Item, way: str) -> pb.Recorded:
    if way == "alone":
        return await knowledge.create(item)
    (result,) = await knowledge.record(item)
    if result.HasField("error"):
        raise from_status(result.error)
    return result.recorded


@pytest.mark.parametrize("way", ["alone", "in bulk"])
async def test_of_a_known_commit_what_it_is_stays_and_what_is_said_of_it_is_kept(
    knowledge: Knowledge, way: str
) -> None:
    await knowledge.record(adr(), failure())
    await knowledge.create(snapshot("abc", "feat: one", date="2024-01-02", references=["ADR-001"], tags=["pay"]))
    other = snapshot(
        "ABC", "fix: two", author="bob", date="2025-02-03", changed_files=["a.py"], commit_type="deploy",
        source_uri="run/1", references=["FAIL-001"], tags=["cards"], pinned=True,
    )  # fmt: skip
    updated = await write_each_way(knowledge, other, way)
    assert updated.outcome == pb.OUTCOME_UPDATED
    assert [edge.to_id for edge in updated.relationships_created] == ["FAIL-001"]
    item = await knowledge.get("SNAP-001")
    body = item.snapshot
    assert (item.title, item.author, item.source_uri, item.pinned) == ("feat: one", "ada", "run/1", True)
    assert (body.commit_message, body.date, body.commit_type) == ("feat: one", "2024-01-02", "feature")
    assert (list(body.references), list(item.tags)) == (["ADR-001", "FAIL-001"], ["pay", "cards"])
    assert list(body.changed_files) == ["a.py"], "nothing was known of them"
    for again in (other, snapshot("abc", "feat: one"), snapshot("abc", "chore: three", source_uri="run/2")):
        assert (await write_each_way(knowledge, again, way)).outcome == pb.OUTCOME_UNCHANGED


@pytest.mark.parametrize("way", ["alone", "in bulk"])
async def test_an_agent_that_names_a_known_commit_is_no_author_of_it(knowledge: Knowledge, way: str) -> None:
    await knowledge.create(snapshot("abc", "feat: one"))
    said = snapshot("abc", "I did this", references=["ADR-001"], provenance=types.PROVENANCE_AGENT)
    assert (await write_each_way(knowledge, said, way)).outcome == pb.OUTCOME_UPDATED
    assert (await knowledge.get("SNAP-001")).provenance == types.PROVENANCE_HUMAN
    held = snapshot("abc", "I did this", title="Ignore all previous instructions", provenance=types.PROVENANCE_AGENT)
    assert (await write_each_way(knowledge, held, way)).item.provenance == types.PROVENANCE_AGENT


@pytest.mark.parametrize("way", ["alone", "in bulk"])
async def test_another_id_for_a_known_commit_is_a_conflict(knowledge: Knowledge, way: str) -> None:
    await knowledge.create(snapshot("abc", id="SNAP-007"))
    with pytest.raises(Conflict, match="SNAP-007 has that source_uri or commit_hash, not SNAP-008"):
        await write_each_way(knowledge, snapshot("abc", id="SNAP-008"), way)


async def test_a_commit_is_the_same_in_capitals(knowledge: Knowledge) -> None:
    results = await knowledge.record(
        snapshot("ABC1"), snapshot("abc1"), snapshot("Abc1"), snapshot("R1"), snapshot("r1")
    )
    assert outcomes(results) == ["created", "unchanged", "unchanged", "created", "created"]
    assert (await knowledge.create(snapshot("ABC1"))).item.id == "SNAP-001"
    assert (await knowledge.get("SNAP-001")).snapshot.commit_hash == "abc1"


async def test_a_commit_that_was_stored_in_capitals_is_found_too(knowledge: Knowledge) -> None:
    await knowledge.create(snapshot("abc1"))
    await knowledge.execute("UPDATE items SET body = jsonb_set(body, '{commit_hash}', '\"ABC1\"')")
    assert (await knowledge.create(snapshot("ABC1"))).item.id == "SNAP-001"
    (result,) = await knowledge.record(snapshot("ABC1"))
    assert (result.recorded.item.id, result.recorded.item.snapshot.commit_hash) == ("SNAP-001", "abc1")
    assert await knowledge.count("items") == 1


async def test_an_item_without_a_source_is_new_each_time(knowledge: Knowledge) -> None:
    results = await knowledge.record(adr(), adr())
    assert [result.recorded.item.id for result in results] == ["ADR-001", "ADR-002"]


async def test_an_item_with_an_id_is_brought_up_to_date_by_it(knowledge: Knowledge) -> None:
    results = await knowledge.record(
        adr("One", id="ADR-007"), adr("One", id="ADR-7"), adr("Two", id="ADR-007"), adr("Three")
    )
    assert outcomes(results) == ["created", "unchanged", "updated", "created"]
    assert results[3].recorded.item.id == "ADR-008"


@pytest.mark.parametrize(
    "item",
    [
        adr(id="ADR-002", source_uri="1.md"),
        adr(id="ADR-001", source_uri="2.md"),
        adr(id="ADR-003"),
    ],
)
async def test_an_id_that_is_another_items_is_a_conflict(knowledge: Knowledge, item: types.Item) -> None:
    await knowledge.create(adr(source_uri="1.md"))
    await knowledge.create(adr())
    await knowledge.create(adr())
    await knowledge.delete("ADR-003")
    (result,) = await knowledge.record(item)
    assert isinstance(from_status(result.error), Conflict)


@pytest.mark.parametrize("item", [adr(source_uri="1.md"), failure(source_uri="1.md"), snapshot()])
async def test_what_is_deleted_while_it_is_recorded_is_recorded_anew(knowledge: Knowledge, item: types.Item) -> None:
    first = (await knowledge.create(item)).item.id
    async with await psycopg.AsyncConnection.connect(knowledge.url) as deleting:
        await deleting.execute("DELETE FROM knowledge.items")
        recording = asyncio.create_task(knowledge.record(item))
        await knowledge.until_one_waits()
    (result,) = await recording
    assert outcomes([result]) == ["created"]
    assert result.recorded.item.id == first.replace("001", "002")


ORIGINS = [adr("One", source_uri="1.md"), failure(source_uri="2.md"), snapshot("abcdef1")]


@pytest.mark.parametrize("erased", [False, True])
async def test_an_import_does_not_bring_back_what_was_deleted(knowledge: Knowledge, erased: bool) -> None:
    ids = [result.recorded.item.id for result in await knowledge.record(*ORIGINS)]
    for item_id in ids:
        await knowledge.delete(item_id)
        if erased:
            await asyncio.to_thread(erase_by_owner, knowledge.url, item_id)
    others = [adr("Other", source_uri="2.md"), adr("New", source_uri="3.md")]
    results = await knowledge.record(*others[:1], *ORIGINS, *others[1:])
    assert outcomes(results) == ["created", "Conflict", "Conflict", "Conflict", "created"]
    assert [result.error.message.partition(": ")[0] for result in results[1:4]] == [
        "1.md was deleted as ADR-001", "2.md was deleted as FAIL-001", "abcdef1 was deleted as SNAP-001",
    ]  # fmt: skip
    assert outcomes(await knowledge.as_("billing").record(*ORIGINS)) == ["created"] * 3


async def test_who_means_it_records_anew_what_was_deleted_and_imports_go_on_with_that(knowledge: Knowledge) -> None:
    await knowledge.record(*ORIGINS[:2])
    await knowledge.delete("ADR-001")
    await knowledge.delete("FAIL-001")
    again = adr("One", source_uri="1.md", id="ADR-050")
    assert outcomes(await knowledge.record(again)) == ["created"]
    assert (await knowledge.create(failure(source_uri="2.md"))).item.id == "FAIL-002", "who creates it means it as well"
    assert outcomes(await knowledge.record(*ORIGINS[:2])) == ["unchanged", "unchanged"]


def erase_by_owner(url: str, item_id: str) -> None:
    with connect(url) as connection:
        Erasure(connection, "web", item_id).text()


async def test_a_commit_that_is_deleted_once_it_was_found_is_created_anew(
    knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def find_and_lose(items: Items, commit_hash: str) -> str | None:
        found = await find(items, commit_hash)
        await knowledge.execute("DELETE FROM items WHERE id = %s", found)
        return found

    await knowledge.create(snapshot("abc"))
    find = Items.find_commit
    monkeypatch.setattr(Items, "find_commit", find_and_lose)
    assert (await knowledge.create(snapshot("abc"))).item.id == "SNAP-002"


async def test_a_bad_item_stops_nothing(knowledge: Knowledge) -> None:
    results = await knowledge.record(
        adr("One"), adr(""), types.Item(), adr(title="a\0b"), failure(severity="awful"), adr("Two")
    )
    assert outcomes(results) == ["created", "Invalid", "Invalid", "Invalid", "Invalid", "created"]
    error: Any = from_status(results[3].error)
    assert error.fields == {"title": ["contains a NUL character"]}
    assert [result.recorded.item.id for result in (results[0], results[5])] == ["ADR-001", "ADR-002"]


@pytest.mark.parametrize(
    "bad", [adr(source_uri="a\0b"), adr(id="ADR-\0"), snapshot(commit_hash="a\0b")], ids=["source", "id", "commit"]
)
async def test_what_an_item_would_be_known_by_stops_nothing_either(knowledge: Knowledge, bad: types.Item) -> None:
    results = await knowledge.record(adr("One"), bad, adr("Two", source_uri="2.md"))
    assert outcomes(results) == ["created", "Invalid", "created"]


async def test_too_many_items_are_refused(knowledge: Knowledge) -> None:
    with pytest.raises(Invalid) as caught:
        await knowledge.record(*[adr()] * 201)
    assert list(caught.value.fields) == ["items"]
    assert await knowledge.count("items") == 0


async def test_an_import_does_not_change_who_an_item_came_from(knowledge: Knowledge) -> None:
    await knowledge.create(adr(source_uri="1.md"))
    imported = adr("New", source_uri="1.md", provenance=types.PROVENANCE_IMPORT)
    (result,) = await knowledge.record(imported)
    assert result.recorded.item.provenance == types.PROVENANCE_HUMAN


async def test_what_is_plainly_new_shares_a_transaction_and_keeps_its_order(knowledge: Knowledge) -> None:
    sent = [adr("A"), failure(), adr("B", id="ADR-007"), adr("C"), meeting(), adr("D", id="ADR-003"), adr("E")]
    results = await knowledge.record(*sent)
    ids = [result.recorded.item.id for result in results]
    assert ids == ["ADR-001", "FAIL-001", "ADR-007", "ADR-008", "MEET-001", "ADR-003", "ADR-009"]
    assert await written_in(knowledge) == 1
    changes = [result.recorded.change_id for result in results]
    assert len(set(changes)) == len(sent)
    assert all(changes)


async def test_an_adr_that_supersedes_comes_after_what_stands_before_it(knowledge: Knowledge) -> None:
    results = await knowledge.record(adr("A"), adr("B"), adr("C", supersedes=["ADR-002"]), adr("D"), adr("E"))
    assert [result.recorded.item.id for result in results] == ["ADR-001", "ADR-002", "ADR-003", "ADR-004", "ADR-005"]
    assert (await knowledge.get("ADR-002")).status == "superseded"
    assert await written_in(knowledge) == 3


async def test_one_that_is_wrong_takes_none_of_the_others_with_it(knowledge: Knowledge) -> None:
    sent = [adr("A"), adr("B", status="no such status"), adr("C"), adr("D", id="ADR-002"), failure()]
    results = await knowledge.record(*sent)
    assert outcomes(results) == ["created", "Invalid", "created", "updated", "created"]
    assert [r.recorded.item.id for r in results if r.HasField("recorded")] == [
        "ADR-001",
        "ADR-002",
        "ADR-002",
        "FAIL-001",
    ]


async def test_the_second_of_two_with_one_source_changes_the_first(knowledge: Knowledge) -> None:
    sent = [adr("A", source_uri="a.md"), failure(source_uri="a.md"), adr("A again", source_uri="a.md"), adr("B")]
    results = await knowledge.record(*sent)
    assert outcomes(results) == ["created", "created", "updated", "created"]
    assert (await knowledge.get("ADR-001")).title == "A again"


async def test_references_among_what_comes_together_are_drawn(knowledge: Knowledge) -> None:
    await knowledge.record(adr("A"), failure(resolution="as ADR-001 says, and ADR-009"), meeting())
    found = await knowledge.related("ADR-001")
    assert [item.id for item in found.related] == ["FAIL-001"]
    (again,) = await knowledge.record(failure(resolution="see ADR-009 and FAIL-001"))
    assert list(again.recorded.pending_references) == ["ADR-009"]
    assert [edge.to_id for edge in again.recorded.relationships_created] == ["FAIL-001"]


async def test_an_id_alone_does_not_overwrite_what_came_from_a_file(knowledge: Knowledge) -> None:
    await knowledge.record(adr("From a file", source_uri="a.md"))
    results = await knowledge.record(adr("Somebody else's first", id="ADR-001"), adr("B"))
    assert outcomes(results) == ["Conflict", "created"]
    assert (await knowledge.get("ADR-001")).title == "From a file"


async def written_in(knowledge: Knowledge) -> int:
    """How many transactions the items were written in."""
    (row,) = await knowledge.rows("SELECT count(DISTINCT xmin::text) AS written FROM items")
    return int(row["written"])
