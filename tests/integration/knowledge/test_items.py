"""Creating, changing and deleting items."""

import pytest

from context.v1 import knowledge_pb2 as pb
from context.v1 import types_pb2 as types
from context_common.errors import Conflict, Invalid, NotFound, Stale
from tests.support.items import adr, failure, meeting, snapshot
from tests.support.knowledge import NOW, Knowledge


async def test_a_created_item_is_answered_and_read_with_its_defaults(knowledge: Knowledge) -> None:
    recorded = await knowledge.create(adr(tags=["storage"]))
    item = recorded.item
    assert recorded.outcome == pb.OUTCOME_CREATED
    assert recorded.change_id > 0
    assert (item.id, item.version, item.namespace) == ("ADR-001", 1, "web")
    assert (item.status, item.provenance) == ("active", types.PROVENANCE_HUMAN)
    assert item.adr.created_date == NOW.date().isoformat()
    assert item == await knowledge.get("adr-1")


async def test_each_type_keeps_every_field(knowledge: Knowledge) -> None:
    whole = [
        adr(
            tags=["a", "b"],
            author="ada",
            status="proposed",
            source_uri="file:///adr/1",
            provenance=types.PROVENANCE_IMPORT,
            pinned=True,
            context="c",
            options_considered={"x": "fast", "y": "slow"},
            consequences="d",
            outcome="e",
            created_date="2020-02-29",
            stakeholders=["ops"],
        ),
        failure(
            incident_date="2020-01-02",
            severity="critical",
            symptoms="s",
            impact="i",
            resolution="r",
            prevention=["p", "q"],
            pattern="pool",
            lessons_learned="l",
            app_name="shop",
            environment="prod",
            occurrence_count=3,
            first_seen={"seconds": 1577923200},
            last_seen={"seconds": 1577923260},
            tags=["t"],
            status="resolved",
        ),
        meeting(
            decisions=[
                types.MeetingDecision(
                    decision="d",
                    rationale="r",
                    action_items=[types.ActionItem(task="t", owner="o", due="2026-02-01", status="open")],
                )
            ],
            attendees=["ada", "bob"],
            tags=["t"],
            status="completed",
        ),
        snapshot(date="2021-05-06", changed_files=["a.py"], commit_type="deploy", tags=["t"], title="T"),
    ]
    for sent in whole:
        item = await knowledge.get((await knowledge.create(sent)).item.id)
        kept = types.Item()
        kept.CopyFrom(item)
        for field in ("id", "namespace", "version", "created_at", "updated_at"):
            kept.ClearField(field)
        if not sent.provenance:
            kept.ClearField("provenance")
        if not sent.status:
            kept.ClearField("status")
        assert kept == sent


async def test_a_failure_is_counted_and_seen_from_its_day_on(knowledge: Knowledge) -> None:
    old = (await knowledge.create(failure(incident_date="2020-01-02"))).item.failure
    new = (await knowledge.create(failure())).item.failure
    assert (old.occurrence_count, old.severity) == (1, "medium")
    assert old.first_seen.ToJsonString() == old.last_seen.ToJsonString() == "2020-01-02T00:00:00Z"
    assert new.first_seen.ToJsonString() == "2026-03-14T15:09:26Z"


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("feat(shop): cards", "feature"),
        ("fix!: pay", "bugfix"),
        ("refactor: rename", "maintenance"),
        ("release: 1.2", "deploy"),
        ("migration: add column", "migration"),
        ("no prefix at all", "maintenance"),
    ],
)
async def test_a_commit_is_classed_by_its_prefix(knowledge: Knowledge, message: str, kind: str) -> None:
    item = (await knowledge.create(snapshot(commit_message=f"{message}\n\nbody"))).item
    assert (item.snapshot.commit_type, item.title) == (kind, message)


async def test_tags_are_found_only_where_none_are_given(knowledge: Knowledge) -> None:
    found = (await knowledge.create(adr("Cache sessions in Redis", "We put a cache before it."))).item
    given = (await knowledge.create(adr("Cache sessions in Redis", tags=["mine"]))).item
    assert "caching" in found.tags
    assert list(given.tags) == ["mine"]


async def test_a_known_commit_of_which_nothing_new_is_said_is_answered_as_it_stands(knowledge: Knowledge) -> None:
    first = await knowledge.create(snapshot("abc", "feat: one"))
    again = await knowledge.create(snapshot("abc", "feat: two"))
    assert again.outcome == pb.OUTCOME_UNCHANGED
    assert again.item == first.item
    assert again.change_id == first.change_id  # not indexed yet, which the second caller may wait for as well


async def test_a_taken_source_is_a_conflict_that_names_its_item(knowledge: Knowledge) -> None:
    await knowledge.create(adr(source_uri="docs/1.md"))
    with pytest.raises(Conflict, match="ADR-001"):
        await knowledge.create(adr(source_uri="docs/1.md"))
    assert (await knowledge.create(failure(source_uri="docs/1.md"))).item.id == "FAIL-001"


async def test_only_fields_that_really_change_are_reported(knowledge: Knowledge) -> None:
    item = (await knowledge.create(adr(tags=["t"], context="old"))).item
    item.title, item.adr.context, item.adr.decision = "New", "", "We keep our data there."
    updated = await knowledge.update(item, ["title", "adr.context", "adr.decision"], expected_version=1)
    assert sorted(updated.updated_fields) == ["context", "title"]
    assert (updated.recorded.item.version, updated.recorded.item.adr.context) == (2, "")
    assert updated.recorded.outcome == pb.OUTCOME_UPDATED
    assert updated.recorded.change_id > 0
    assert updated.recorded.item == await knowledge.get(item.id)


async def test_a_field_outside_the_mask_is_left_alone(knowledge: Knowledge) -> None:
    item = (await knowledge.create(adr(tags=["t"]))).item
    await knowledge.update(types.Item(id=item.id, title="New", adr=types.Adr(decision="Other")), ["title"])
    assert (await knowledge.get(item.id)).adr.decision == "We keep our data there."


async def test_a_change_that_changes_nothing_writes_nothing(knowledge: Knowledge) -> None:
    item = (await knowledge.create(adr())).item
    await knowledge.drain()
    same = await knowledge.update(item, ["title", "adr"])
    empty = await knowledge.update(types.Item(id=item.id), [])
    for updated in (same, empty):
        assert updated.recorded.outcome == pb.OUTCOME_UNCHANGED
        assert (updated.recorded.change_id, list(updated.updated_fields)) == (0, [])
    assert (await knowledge.get(item.id)).version == 1
    assert await knowledge.lease() == []


async def test_an_old_version_is_stale(knowledge: Knowledge) -> None:
    item = (await knowledge.create(adr())).item
    await knowledge.update(types.Item(id=item.id, title="One"), ["title"], expected_version=1)
    with pytest.raises(Stale):
        await knowledge.update(types.Item(id=item.id, title="Two"), ["title"], expected_version=1)
    with pytest.raises(Stale):
        await knowledge.delete(item.id, expected_version=1)
    assert (await knowledge.get(item.id)).title == "One"


async def test_a_meeting_reports_its_title_by_its_public_name(knowledge: Knowledge) -> None:
    item = (await knowledge.create(meeting())).item
    updated = await knowledge.update(types.Item(id=item.id, title="Retro"), ["title"])
    assert list(updated.updated_fields) == ["meeting_title"]
    with pytest.raises(Invalid) as caught:
        await knowledge.update(types.Item(id=item.id), ["title"])
    assert caught.value.fields == {"meeting_title": ["is required"]}


async def test_a_new_message_gives_a_snapshot_its_title_and_type(knowledge: Knowledge) -> None:
    item = (await knowledge.create(snapshot())).item
    item.snapshot.commit_message = "fix: rounding"
    updated = (await knowledge.update(item, ["snapshot.commit_message"])).recorded.item
    assert (updated.title, updated.snapshot.commit_type) == ("fix: rounding", "bugfix")


UNCHANGEABLE = {
    "id": "cannot be changed",
    "type": "cannot be changed",
    "namespace": "cannot be changed",
    "version": "cannot be changed",
    "provenance": "cannot be changed",
    "failure.root_cause": "is unknown",
    "adr.nonsense": "is unknown",
    "decision": "is unknown",
}


async def test_a_path_that_cannot_be_changed_is_named(knowledge: Knowledge) -> None:
    await knowledge.create(adr())
    with pytest.raises(Invalid) as caught:
        await knowledge.update(types.Item(id="ADR-001"), list(UNCHANGEABLE))
    assert caught.value.fields == {path: [reason] for path, reason in UNCHANGEABLE.items()}


async def test_an_item_does_not_become_one_of_another_type(knowledge: Knowledge) -> None:
    await knowledge.create(adr())
    with pytest.raises(Invalid) as caught:
        await knowledge.update(types.Item(id="ADR-001", type=types.ITEM_TYPE_FAILURE), ["title"])
    assert "type" in caught.value.fields
    with pytest.raises(Invalid):
        await knowledge.update(types.Item(id="ADR-001", failure=types.Failure(root_cause="x")), ["title"])


async def test_tags_come_back_only_when_none_are_left(knowledge: Knowledge) -> None:
    item = (await knowledge.create(adr("Kafka for events", "We use a queue.", tags=["mine"]))).item
    kept = await knowledge.update(types.Item(id=item.id, title="Kafka for all events"), ["title"])
    assert list(kept.recorded.item.tags) == ["mine"]
    cleared = await knowledge.update(types.Item(id=item.id), ["tags"])
    assert "messaging" in cleared.recorded.item.tags


async def test_a_deleted_item_is_gone_and_remembered(knowledge: Knowledge) -> None:
    await knowledge.create(adr())
    await knowledge.delete("ADR-001", expected_version=1)
    for ask in (knowledge.get("ADR-001"), knowledge.delete("ADR-001"), knowledge.related("ADR-001")):
        with pytest.raises(NotFound):
            await ask
    assert not (await knowledge.page()).items
    versions = await knowledge.rows("SELECT version, change, content FROM item_versions ORDER BY version")
    assert [(row["version"], row["change"]) for row in versions] == [(1, "created"), (2, "deleted")]
    assert versions[1]["content"]["decision"] == "We keep our data there."


async def test_every_write_leaves_a_version_and_an_audit_entry(knowledge: Knowledge) -> None:
    await knowledge.create(adr(created_date="2020-05-01"))
    await knowledge.as_(principal="bob").update(types.Item(id="ADR-001", title="New"), ["title"])
    versions = await knowledge.rows("SELECT * FROM item_versions ORDER BY version")
    assert [(v["change"], v["changed_by"], v["content"]["title"]) for v in versions] == [
        ("created", "ada", "Use Postgres"),
        ("updated", "bob", "New"),
    ]
    assert versions[1]["changed_fields"] == ["title"]
    assert versions[0]["valid_from"].date().isoformat() == "2020-05-01"
    audit = await knowledge.rows("SELECT * FROM audit ORDER BY entry")
    assert [(a["principal"], a["action"], a["item_id"], a["version"], a["request_id"]) for a in audit] == [
        ("ada", "create", "ADR-001", 1, "request-1"),
        ("bob", "update", "ADR-001", 2, "request-1"),
    ]


@pytest.mark.parametrize("table", ["item_versions", "audit"])
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "UPDATE {} SET namespace = 'x'", "TRUNCATE {}"])
async def test_history_only_grows(knowledge: Knowledge, table: str, statement: str) -> None:
    await knowledge.create(adr())
    with pytest.raises(Exception, match="only grows"):
        await knowledge.execute(statement.format(table))


async def test_a_failure_in_the_middle_leaves_nothing(knowledge: Knowledge) -> None:
    await knowledge.create(adr())
    await knowledge.drain()
    await knowledge.execute("ALTER SEQUENCE change_ids RENAME TO broken")
    with pytest.raises(RuntimeError, match="internal error"):
        await knowledge.create(adr("Second, after ADR-001", supersedes=["ADR-001"]))
    with pytest.raises(RuntimeError, match="internal error"):
        await knowledge.delete("ADR-001")
    await knowledge.execute("ALTER SEQUENCE broken RENAME TO change_ids")
    assert [item.id for item in (await knowledge.page()).items] == ["ADR-001"]
    for table in ("item_versions", "audit"):
        assert await knowledge.count(table) == 1
    for table in ("relationships", "changes"):
        assert await knowledge.count(table) == 0
    assert (await knowledge.create(adr())).item.id == "ADR-002"
