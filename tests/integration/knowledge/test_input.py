"""Bad input is refused with every bad field named, and nothing is written."""

from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from context.v1 import knowledge_pb2 as pb
from context.v1 import types_pb2 as types
from context_common.errors import AppError, Invalid, from_status
from tests.support.items import adr, failure, meeting, snapshot
from tests.support.knowledge import Knowledge

Decision, Action = types.MeetingDecision, types.ActionItem
LONG = "x" * 100_001


BAD: list[tuple[types.Item, list[str]]] = [
    (types.Item(), ["type"]),
    (types.Item(type=99), ["type"]),  # type: ignore[arg-type]
    (types.Item(type=types.ITEM_TYPE_ADR, failure=types.Failure()), ["failure"]),
    (types.Item(type=types.ITEM_TYPE_ADR), ["title", "decision"]),
    (types.Item(type=types.ITEM_TYPE_FAILURE), ["title", "root_cause"]),
    (types.Item(type=types.ITEM_TYPE_MEETING), ["meeting_title", "date", "decisions"]),
    (types.Item(type=types.ITEM_TYPE_SNAPSHOT), ["commit_hash", "commit_message", "author"]),
    (adr("  ", "\n\t"), ["title", "decision"]),
    (adr(status="resolved"), ["status"]),
    (failure(status="active"), ["status"]),
    (meeting(status="superseded"), ["status"]),
    (snapshot(status="resolved"), ["status"]),
    (adr(status="Active"), ["status"]),
    (failure(severity="awful"), ["severity"]),
    (snapshot(commit_type="feat"), ["commit_type"]),
    (adr(provenance=77), ["provenance"]),
    (adr(created_date="2026-02-29"), ["created_date"]),
    (adr(created_date="20260228"), ["created_date"]),
    (adr(created_date="2026-W01-1"), ["created_date"]),
    (failure(incident_date="yesterday"), ["incident_date"]),
    (meeting(date="2026-13-01"), ["date"]),
    (snapshot(date="0000-00-00"), ["date"]),
    (adr("x" * 501), ["title"]),
    (meeting("x" * 501), ["meeting_title"]),
    (adr(decision=LONG), ["decision"]),
    (adr(context=LONG, outcome=LONG), ["context", "outcome"]),
    (adr(author="x" * 501), ["author"]),
    (adr(source_uri="x" * 2001), ["source_uri"]),
    (adr(tags=["t"] + [str(n) for n in range(50)]), ["tags"]),
    (adr(tags=["a", "b", "x" * 101]), ["tags[2]"]),
    (adr(tags=["a", " "]), ["tags[1]"]),
    (adr(stakeholders=["x"] * 1001), ["stakeholders"]),
    (adr(options_considered={str(n): "x" for n in range(1001)}), ["options_considered"]),
    (adr(options_considered={"a\0": "x"}), ["options_considered"]),
    (failure(prevention=["ok", "a\0b"]), ["prevention[1]"]),
    (failure(prevention=["x"] * 1001), ["prevention"]),
    (failure(occurrence_count=-1), ["occurrence_count"]),
    (failure(occurrence_count=2**62), ["occurrence_count"]),
    (failure(first_seen={"seconds": 10}, last_seen={"seconds": 5}), ["last_seen"]),
    (failure(first_seen={"seconds": 2**60}), ["first_seen"]),
    (meeting(decisions=[]), ["decisions"]),
    (meeting(decisions=[Decision(decision="x"), Decision(rationale="y")]), ["decisions[1].decision"]),
    (
        meeting(decisions=[Decision(decision="x", action_items=[Action(owner="ada", due="soon")])]),
        ["decisions[0].action_items[0].task", "decisions[0].action_items[0].due"],
    ),
    (meeting(decisions=[Decision(decision="x", rationale="\0")]), ["decisions[0].rationale"]),
    (snapshot(references=["ADR-001", "JIRA-1"]), ["references[1]"]),
    (snapshot(changed_files=["a", "b\0"]), ["changed_files[1]"]),
    (
        adr("", "", status="x", created_date="y", tags=["\0"]),
        ["title", "decision", "status", "created_date", "tags[0]"],
    ),
]


async def test_every_bad_field_is_named(knowledge: Knowledge) -> None:
    # One database for all of them: nothing is written anyway.
    for item, named in BAD:
        with pytest.raises(Invalid) as caught:
            await knowledge.create(item)
        assert sorted(caught.value.fields) == sorted(named), item
    for result in await knowledge.record(*[item for item, _ in BAD]):
        assert isinstance(from_status(result.error), Invalid), result
    for table in ("items", "item_versions", "changes", "relationships", "counters"):
        assert await knowledge.count(table) == 0


async def test_what_is_just_within_the_limits_is_stored(knowledge: Knowledge) -> None:
    widest = "\U0001f40d" * 100_000
    words = "".join(chr(0x10400 + n % 0x50) + (" " if n % 7 == 0 else "") for n in range(90_000))[:100_000]
    item = adr(
        "ä" * 500,
        words,
        context=widest,
        outcome=" ".join(map(str, range(16_000))),
        author="\U0001f40d" * 500,
        source_uri="\U0001f40d" * 2000,
        tags=[f"{n:02d}" + "\U0001f40d" * 98 for n in range(50)],
        stakeholders=["x" * 1000] * 1000,
    )
    kept = (await knowledge.create(item)).item
    assert (kept.adr.decision, kept.adr.context, kept.source_uri) == (words, widest, item.source_uri)
    hard = failure(pattern="\U0001f40d" * 500, app_name="\U0001f40d" * 500)
    assert (await knowledge.create(hard)).item.failure.pattern == hard.failure.pattern
    assert (await knowledge.create(snapshot("\U0001f40d" * 500))).item.id == "SNAP-001"
    (result,) = await knowledge.record(item)
    assert result.recorded.outcome == pb.OUTCOME_UNCHANGED


IDS = ["", "nonsense", "ADR-", "ADR-1\0", "ADR-ä", "x" * 10_000, "'; DROP TABLE items; --", "%s", "../ADR-1"]


async def test_an_id_that_is_none_is_named(knowledge: Knowledge) -> None:
    for item_id in IDS:
        for method, request in (
            ("GetItem", pb.GetItemRequest(id=item_id)),
            ("DeleteItem", pb.DeleteItemRequest(id=item_id)),
            ("UpdateItem", pb.UpdateItemRequest(item=types.Item(id=item_id))),
            ("GetRelated", pb.GetRelatedRequest(id=item_id)),
        ):
            with pytest.raises(Invalid) as caught:
                await knowledge.ask(method, request)
            assert list(caught.value.fields) == ["id"], item_id


async def test_a_change_is_checked_like_a_new_item(knowledge: Knowledge) -> None:
    await knowledge.create(adr())
    item = adr("", "a\0", id="ADR-001", created_date="never", tags=[""])
    with pytest.raises(Invalid) as caught:
        await knowledge.update(item, ["title", "adr.decision", "adr.created_date", "tags"])
    assert sorted(caught.value.fields) == ["created_date", "decision", "tags[0]", "title"]
    assert (await knowledge.get("ADR-001")).version == 1


TEXT = st.text(max_size=40)
STRANGE = st.builds(
    adr,
    title=TEXT,
    decision=TEXT,
    context=TEXT,
    author=TEXT,
    status=TEXT | st.just("active"),
    source_uri=TEXT,
    created_date=TEXT | st.dates().map(str),
    id=TEXT | st.from_regex(r"\A(adr|ADR|Fail)-[0-9a-z._-]{1,70}\Z"),
    tags=st.lists(TEXT, max_size=3),
    supersedes=st.lists(TEXT | st.just("ADR-001"), max_size=2),
    superseded_by=TEXT | st.just("ADR-002"),
    options_considered=st.dictionaries(TEXT, TEXT, max_size=2),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(item=STRANGE, strange=TEXT)
async def test_no_text_breaks_anything(knowledge: Knowledge, item: types.Item, strange: str) -> None:
    calls: list[tuple[str, Any]] = [
        ("CreateItem", pb.CreateItemRequest(item=item)),
        ("RecordItems", pb.RecordItemsRequest(items=[item])),
        ("ListItems", pb.ListItemsRequest(text=strange, author=strange, tags=[strange])),
        ("ListItems", pb.ListItemsRequest(page_token=strange, from_date=strange)),
        ("GetItem", pb.GetItemRequest(id=strange)),
        ("UpdateItem", pb.UpdateItemRequest(item=item, update_mask=FieldMask(paths=["title", "adr.context", strange]))),
    ]
    for method, request in calls:
        try:
            response = await knowledge.ask(method, request)
        except AppError:
            continue
        for result in getattr(response, "results", []):
            assert result.error.message != "internal error"
