"""No secret is stored, on whatever way it comes, and the answer says what was taken out and where."""

from typing import Any

import pytest

from context.v1 import knowledge_pb2 as pb
from context.v1 import types_pb2 as types
from context_knowledge import metrics
from tests.support.items import adr, failure, meeting, snapshot
from tests.support.knowledge import Knowledge

PLAIN = "Tr0ub4dor3xK"  # looks like a password, opens nothing
SECRET = f"password={PLAIN}"
KEY = "ghp_" + "a1B2c3D4e5" * 4
HASH = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


def found(recorded: pb.Recorded) -> list[tuple[str, str]]:
    return [(redaction.field, redaction.kind) for redaction in recorded.redactions]


async def stored(knowledge: Knowledge) -> str:
    """Everything that stands in any table of the schema, as text."""
    tables = await knowledge.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'knowledge'")
    texts = []
    for table in tables:
        rows = await knowledge.rows(f"SELECT to_jsonb(t)::text AS row FROM {table['tablename']} t")  # noqa: S608
        texts += [row["row"] for row in rows]
    return "\n".join(texts)


EVERY_FIELD: list[tuple[types.Item, set[str]]] = [
    (
        adr(
            title=f"Use {SECRET}",
            decision=SECRET,
            context=SECRET,
            consequences=SECRET,
            outcome=SECRET,
            options_considered={"a": SECRET, f"b {SECRET}": "x", "db_password": PLAIN},
            stakeholders=["Ada", SECRET],
            tags=["db", SECRET],
            author=SECRET,
            source_uri=f"https://ada:{PLAIN}@git.acme.test/adr/1.md",
        ),
        {
            "title", "decision", "context", "consequences", "outcome", "options_considered", "stakeholders[1]",
            "tags[1]", "author", "source_uri",
        },
    ),
    (
        failure(
            title=SECRET, root_cause=SECRET, symptoms=SECRET, impact=SECRET, resolution=SECRET, prevention=[SECRET],
            pattern=SECRET, lessons_learned=SECRET, app_name=SECRET, environment=SECRET,
        ),
        {
            "title", "root_cause", "symptoms", "impact", "resolution", "prevention[0]", "pattern", "lessons_learned",
            "app_name", "environment",
        },
    ),
    (
        meeting(
            title=SECRET,
            attendees=[SECRET],
            decisions=[
                types.MeetingDecision(
                    decision=SECRET,
                    rationale=SECRET,
                    action_items=[types.ActionItem(task=SECRET, owner=SECRET)],
                )
            ],
        ),
        {
            "meeting_title", "attendees[0]", "decisions[0].decision", "decisions[0].rationale",
            "decisions[0].action_items[0].task", "decisions[0].action_items[0].owner",
        },
    ),
    (
        snapshot(commit_hash=HASH, commit_message=f"fix: {SECRET}", author=SECRET, changed_files=[f"src/{SECRET}"]),
        {"commit_message", "author", "changed_files[0]"},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("item", "fields"), EVERY_FIELD, ids=["adr", "failure", "meeting", "snapshot"])
@pytest.mark.parametrize("bulk", [False, True], ids=["create", "bulk"])
async def test_no_field_of_no_item_keeps_a_secret(
    knowledge: Knowledge, item: types.Item, fields: set[str], bulk: bool
) -> None:
    sent = types.Item()
    sent.CopyFrom(item)
    recorded = (await knowledge.record(sent))[0].recorded if bulk else await knowledge.create(sent)
    assert recorded.outcome == pb.OUTCOME_CREATED
    assert {field for field, _ in found(recorded)} == fields
    assert PLAIN not in str(recorded)
    assert PLAIN not in await stored(knowledge)
    assert PLAIN not in str(await knowledge.get(recorded.item.id))


async def test_a_change_keeps_none_either(knowledge: Knowledge) -> None:
    made = (await knowledge.create(adr())).item
    changed = types.Item(id=made.id, adr=types.Adr(outcome=f"We leaked {KEY}.", context="none"))
    answer = await knowledge.update(changed, ["adr.outcome", "adr.context"])
    assert found(answer.recorded) == [("outcome", "github_token")]
    assert answer.recorded.item.adr.outcome == "We leaked [redacted:github_token]."
    assert KEY not in await stored(knowledge)


async def test_the_same_secret_again_changes_nothing(knowledge: Knowledge) -> None:
    item = adr(decision=f"Connect to postgres://app:{PLAIN}@db/app", source_uri=f"https://a:{PLAIN}@git/adr.md")
    first, again = types.Item(), types.Item()
    first.CopyFrom(item)
    again.CopyFrom(item)
    created = (await knowledge.record(first))[0].recorded
    same = (await knowledge.record(again))[0].recorded
    assert (created.outcome, same.outcome) == (pb.OUTCOME_CREATED, pb.OUTCOME_UNCHANGED)
    assert found(same) == found(created) == [("source_uri", "password"), ("decision", "password")]
    assert same.item.adr.decision == "Connect to postgres://app:[redacted:password]@db/app"


async def test_a_request_sent_again_gets_its_redactions_again(knowledge: Knowledge) -> None:
    answers: list[Any] = []
    for _ in range(2):
        request = pb.CreateItemRequest(item=adr(decision=SECRET), idempotency_key="k1")
        answers.append(await knowledge.ask("CreateItem", request))
    assert answers[0] == answers[1]
    assert found(answers[1].recorded) == [("decision", "password")]


async def test_options_that_differ_in_their_secret_alone_are_all_kept(knowledge: Knowledge) -> None:
    options = {f"a {SECRET}{n}": f"option {n}" for n in range(3)} | {"a password=[redacted:password]": "plain"}
    kept = (await knowledge.create(adr(options_considered=options))).item.adr.options_considered
    assert dict(kept) == {
        "a password=[redacted:password]": "plain",
        "a password=[redacted:password] (2)": "option 0",
        "a password=[redacted:password] (3)": "option 1",
        "a password=[redacted:password] (4)": "option 2",
    }


async def test_what_is_no_secret_stays(knowledge: Knowledge) -> None:
    text = f"Fixed in {HASH}, see ADR-001; sha256:{'ab12' * 16}; password: ${{DB_PASSWORD}}"
    recorded = await knowledge.create(snapshot(commit_hash=HASH, commit_message=text))
    assert found(recorded) == []
    assert recorded.item.snapshot.commit_message == text
    assert recorded.item.snapshot.commit_hash == HASH


async def test_neither_do_notes_reasons_and_names(knowledge: Knowledge) -> None:
    made = (await knowledge.create(adr())).item
    await knowledge.administration.review(made.id, types.REVIEW_APPROVED, note=f"was {SECRET}")
    await knowledge.administration.create_key(name=f"ci {SECRET}")
    await knowledge.fail(*await knowledge.lease(), reason=f"could not connect: {SECRET}")
    assert PLAIN not in await stored(knowledge)


async def test_secrets_are_counted_by_kind(knowledge: Knowledge) -> None:
    counter = metrics.REDACTIONS.labels("github_token")
    before = counter._value.get()
    await knowledge.create(adr(decision=f"{KEY} and again {KEY}"))
    assert counter._value.get() == before + 2
