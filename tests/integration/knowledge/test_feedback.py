"""What callers say of their answers: kept once, counted once a day, summed up."""

import asyncio
import json
from typing import Any
from uuid import UUID

import psycopg
import pytest
from prometheus_client import REGISTRY

from context.v1 import knowledge_pb2 as pb
from context_common.errors import Conflict, Invalid, NotFound
from context_common.nesting import DEEPEST
from context_knowledge import feedback
from tests.support.items import adr, failure
from tests.support.knowledge import Knowledge

QUERY = "0192f0c1-2b3c-7d4e-8f50-112233445566"
OTHER_QUERY = "0192f0c1-2b3c-7d4e-8f50-aabbccddeeff"


async def say(who: Knowledge, key: str = "", **said: Any) -> pb.RecordFeedbackResponse:
    request = pb.RecordFeedbackRequest(feedback=pb.Feedback(**said), idempotency_key=key)
    response: pb.RecordFeedbackResponse = await who.ask("RecordFeedback", request)
    return response


def nested(levels: int, text: str) -> str:
    """`text` in a JSON object of so many levels."""
    return '{"a":' * levels + json.dumps(text) + "}" * levels


async def listed(who: Knowledge, **wanted: Any) -> pb.ListFeedbackResponse:
    response: pb.ListFeedbackResponse = await who.ask("ListFeedback", pb.ListFeedbackRequest(**wanted))
    return response


async def stats(who: Knowledge, days: int = 0) -> pb.GetFeedbackStatsResponse:
    response: pb.GetFeedbackStatsResponse = await who.ask(
        "GetFeedbackStats", pb.GetFeedbackStatsRequest(days_back=days)
    )
    return response


@pytest.fixture
async def three(knowledge: Knowledge) -> Knowledge:
    """ADR-001, ADR-002 and FAIL-001, none of which waits on the feed."""
    for item in (adr("Use Postgres"), adr("Use Redis"), failure("Checkout was down")):
        await knowledge.create(item)
    await knowledge.drain()
    return knowledge


async def test_what_is_said_is_read_back_as_it_was(three: Knowledge) -> None:
    said: dict[str, Any] = {
        "query_id": QUERY,
        "query_text": "why Postgres?",
        "overall_rating": 4,
        "items_helpful": ["ADR-001"],
        "items_not_helpful": ["FAIL-001"],
        "items_used": ["ADR-001", "ADR-002"],
        "missing_context": "what it costs",
        "agent_id": "coder-1",
        "session_id": "s-9",
        "metadata": '{"model":"m","tries":[1,2.5,null,true]}',
    }
    answer = await say(three, **said)
    kept = answer.feedback
    assert (answer.replaced, list(answer.redactions), kept.principal) == (False, [], "ada")
    assert UUID(kept.id)
    assert kept.created_at == kept.updated_at
    for name, value in said.items():
        found = getattr(kept, name)
        if name == "metadata":
            assert json.loads(found) == json.loads(value)
        else:
            assert (list(found) if isinstance(value, list) else found) == value
    got: pb.GetFeedbackResponse = await three.ask("GetFeedback", pb.GetFeedbackRequest(id=kept.id))
    assert got.feedback == kept
    assert list((await listed(three)).feedback) == [kept]
    (line,) = await three.rows("SELECT principal, detail FROM audit WHERE action = 'feedback'")
    assert line == {"principal": "ada", "detail": kept.id}


async def test_how_often_answers_were_rated_how_is_counted(three: Knowledge) -> None:
    def counted(rating: str) -> float:
        return REGISTRY.get_sample_value("feedback_total", {"rating": rating}) or 0.0

    before = [counted(rating) for rating in ("4", "none")]
    for _ in range(2):
        await say(three, "k-4", overall_rating=4)  # sent again it is the same word
    await say(three, missing_context="costs")
    assert [counted(rating) for rating in ("4", "none")] == [before[0] + 1, before[1] + 1]


async def test_another_namespace_sees_nothing_of_it(three: Knowledge) -> None:
    kept = (await say(three, overall_rating=5, missing_context="costs")).feedback
    other = three.as_("billing")
    for feedback_id in (kept.id, "nonsense", QUERY):
        with pytest.raises(NotFound):
            await other.ask("GetFeedback", pb.GetFeedbackRequest(id=feedback_id))
    assert not (await listed(other)).feedback
    assert (await stats(other)).total_feedback == 0
    with pytest.raises(Invalid) as caught:
        await say(other, items_helpful=["ADR-001"])
    assert caught.value.fields == {"items_helpful[0]": ["there is no ADR-001"]}


async def feedback_of(who: Knowledge, item_id: str) -> float:
    return round((await who.get(item_id)).feedback, 3)


async def test_each_caller_counts_once_a_day_in_each_sense(three: Knowledge) -> None:
    for _ in range(5):
        await say(three, items_helpful=["ADR-001"])
    assert await feedback_of(three, "ADR-001") == 0.25
    await say(three, items_not_helpful=["ADR-001"])
    assert await feedback_of(three, "ADR-001") == 0.0
    for n in range(2):
        await say(three.as_(principal=f"bob-{n}"), items_helpful=["ADR-001"], items_not_helpful=["ADR-002"])
    assert await feedback_of(three, "ADR-001") == round(2 / 7, 3)
    assert await feedback_of(three, "ADR-002") == -0.4
    assert await feedback_of(three, "FAIL-001") == 0.0
    # Yesterday's is another day's.
    await three.execute("UPDATE feedback_votes SET day = day - 1 WHERE principal = 'ada' AND helpful")
    await say(three, items_helpful=["ADR-001"])
    assert await feedback_of(three, "ADR-001") == round(3 / 8, 3)


async def test_only_the_newest_count(three: Knowledge) -> None:
    await three.execute(
        "INSERT INTO feedback_votes SELECT 'web', 'ADR-001', gen_random_uuid(), 'p' || n, date '2026-01-01' + n, n > 30"
        " FROM generate_series(1, 50) AS n"
    )
    assert await feedback_of(three, "ADR-001") == round(20 / 23, 3)


async def test_a_second_word_on_a_query_takes_the_place_of_the_first(three: Knowledge) -> None:
    first = await say(three, query_id=QUERY, overall_rating=5, items_helpful=["ADR-001", "FAIL-001"])
    await three.drain()
    second = await say(three, query_id=QUERY, missing_context="costs", items_helpful=["FAIL-001", "ADR-002"])
    assert (second.replaced, second.feedback.id) == (True, first.feedback.id)
    assert second.feedback.created_at == first.feedback.created_at
    assert second.feedback.updated_at.ToDatetime() > first.feedback.updated_at.ToDatetime()
    assert second.feedback.overall_rating == 0
    assert [await feedback_of(three, i) for i in ("ADR-001", "ADR-002", "FAIL-001")] == [0.0, 0.25, 0.25]
    assert sorted(change.item_id for change in await three.lease()) == ["ADR-001", "ADR-002"]
    # Of another query, or another caller's, it is another.
    for who, query in ((three, OTHER_QUERY), (three.as_(principal="bob"), QUERY)):
        assert not (await say(who, query_id=query, overall_rating=1)).replaced
    assert await three.count("feedback") == 3


async def test_two_first_words_at_once_are_one(three: Knowledge) -> None:
    answers = await asyncio.gather(
        *(say(three, query_id=QUERY, overall_rating=n, items_helpful=["ADR-001"]) for n in range(1, 6))
    )
    assert len({answer.feedback.id for answer in answers}) == 1
    assert sum(answer.replaced for answer in answers) == 4
    assert (await three.count("feedback"), await three.count("feedback_votes")) == (1, 1)


async def test_items_whose_rank_moves_come_over_the_feed_and_no_others(three: Knowledge) -> None:
    await say(three, items_helpful=["adr-1"], items_not_helpful=["FAIL-001"], items_used=["ADR-002"])
    changes = {change.item_id: change for change in await three.lease()}
    assert {name: round(change.item.feedback, 2) for name, change in changes.items()} == {
        "ADR-001": 0.25,
        "FAIL-001": -0.25,
    }
    await three.ack(*changes.values())
    versions = [change.item.version for change in changes.values()]
    assert versions == [1, 1]
    await say(three, overall_rating=2, items_used=["ADR-001"], missing_context="costs")
    assert await three.lease() == []


async def test_what_goes_takes_what_was_said_of_it_along(three: Knowledge) -> None:
    await say(three, items_helpful=["ADR-001", "ADR-002"])
    await three.delete("ADR-001")
    assert await three.count("feedback_votes") == 1
    assert list((await listed(three)).feedback[0].items_helpful) == ["ADR-001", "ADR-002"]
    assert [item.id for item in (await stats(three)).most_helpful_items] == ["ADR-002"]


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({}, "overall_rating"),
        ({"missing_context": "  "}, "overall_rating"),
        ({"query_id": QUERY, "query_text": "why?"}, "overall_rating"),
        ({"overall_rating": 6}, "overall_rating"),
        ({"overall_rating": -1}, "overall_rating"),
        ({"overall_rating": 3, "query_id": "q-1"}, "query_id"),
        ({"overall_rating": 3, "query_id": QUERY.upper()}, "query_id"),
        ({"items_helpful": ["ADR-001", "ADR-999"]}, "items_helpful[1]"),
        ({"items_used": ["nonsense"]}, "items_used[0]"),
        ({"items_helpful": ["ADR-001"], "items_not_helpful": ["adr-1"]}, "items_not_helpful"),
        ({"items_used": [f"ADR-{n:03d}" for n in range(1, 102)]}, "items_used"),
        ({"missing_context": "x" * (feedback.TEXT + 1)}, "missing_context"),
        ({"overall_rating": 3, "query_text": "x" * (feedback.TEXT + 1)}, "query_text"),
        ({"overall_rating": 3, "agent_id": "x" * 501}, "agent_id"),
        ({"overall_rating": 3, "session_id": "a\0b"}, "session_id"),
        ({"overall_rating": 3, "metadata": "[1]"}, "metadata"),
        ({"overall_rating": 3, "metadata": '{"a": NaN}'}, "metadata"),
        ({"overall_rating": 3, "metadata": '{"a": 1e400}'}, "metadata"),
        ({"overall_rating": 3, "metadata": "{"}, "metadata"),
        ({"overall_rating": 3, "metadata": nested(5_000, "x")}, "metadata"),
        *(({"overall_rating": 3, "metadata": nested(levels, "x")}, "metadata") for levels in (DEEPEST + 1, 500, 985)),
        ({"overall_rating": 3, "metadata": '{"a": "\\u0000"}'}, "metadata"),
        ({"overall_rating": 3, "metadata": '{"\\ud800": 1}'}, "metadata"),
        ({"overall_rating": 3, "metadata": json.dumps({"a": "x" * 16_000})}, "metadata"),
    ],
)
async def test_what_cannot_be_is_named(three: Knowledge, said: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        await say(three, **said)
    assert set(caught.value.fields) == {field}
    assert await three.count("feedback") == 0
    assert await three.lease() == []


async def test_the_same_request_again_is_answered_as_the_first_time(three: Knowledge) -> None:
    first = await say(three, "k-1", overall_rating=3, missing_context="costs")
    assert await say(three, "k-1", overall_rating=3, missing_context="costs") == first
    assert await three.count("feedback") == 1
    with pytest.raises(Conflict):
        await say(three, "k-1", overall_rating=4, missing_context="costs")


async def test_secrets_are_taken_out_before_it_is_stored(three: Knowledge) -> None:
    secret = "correct-Horse7battery"
    metadata = {"tool": {"password": secret, "note": "fine"}, "tried": [f"mysql -p{secret} shop", 3], "n": 1}
    answer = await say(
        three,
        query_text=f"why does password={secret} fail?",
        missing_context=f"the DSN postgres://shop:{secret}@db/shop",
        metadata=json.dumps(metadata),
    )
    stored = str(await three.rows("SELECT * FROM feedback"))
    assert secret not in stored
    assert secret not in str(answer)
    fields = {redaction.field for redaction in answer.redactions}
    assert fields == {"query_text", "missing_context", "metadata.tool", "metadata.tried[0]"}
    kept = json.loads(answer.feedback.metadata)
    assert (kept["tool"]["note"], kept["tried"][1], kept["n"]) == ("fine", 3, 1)


async def test_a_secret_is_found_as_deep_as_metadata_may_nest(three: Knowledge) -> None:
    answer = await say(three, overall_rating=3, metadata=nested(DEEPEST, "password=correct-Horse7battery"))
    assert [redaction.field for redaction in answer.redactions] == ["metadata" + ".a" * (DEEPEST - 1)]
    assert "Horse7" not in str(await three.rows("SELECT * FROM feedback"))


async def test_lists_go_on_and_are_narrowed(three: Knowledge) -> None:
    ratings = [1, 2, 3, 4, 5]
    for rating in ratings:
        await say(three, overall_rating=rating, items_used=["ADR-001"] if rating % 2 else [])
    await say(three, query_id=QUERY, missing_context="costs", items_helpful=["ADR-001"])
    found, cursor = list[int](), ""
    while True:
        page = await listed(three, page_size=4, page_token=cursor)
        found += [one.overall_rating for one in page.feedback]
        cursor = page.next_page_token
        if not cursor:
            break
    assert found == [0, *ratings[::-1]]
    assert [one.overall_rating for one in (await listed(three, item_id="adr-1")).feedback] == [0, 5, 3, 1]
    assert [one.overall_rating for one in (await listed(three, query_id=QUERY)).feedback] == [0]
    assert not (await listed(three, query_id=OTHER_QUERY)).feedback
    other = (await listed(three, page_size=1, item_id="ADR-001")).next_page_token
    for wrong in ({"page_token": other}, {"page_token": "x"}, {"item_id": "x"}, {"query_id": "x"}, {"page_size": -1}):
        with pytest.raises(Invalid):
            await listed(three, **wrong)


async def test_it_is_summed_up(three: Knowledge) -> None:
    assert await stats(three) == pb.GetFeedbackStatsResponse(days_back=30)
    for principal in ("ada", "bob"):
        who = three.as_(principal=principal)
        await say(who, overall_rating=5, items_helpful=["FAIL-001"])
        await say(who, overall_rating=5, items_helpful=["FAIL-001"])  # counts once
    await say(three, overall_rating=2, items_helpful=["ADR-001"], items_not_helpful=["ADR-002"])
    texts = ("What does Postgres cost?", "the costs of postgres", "Nothing on rollbacks", "Rollback: nothing there!")
    for text in (*texts, "who is on call"):
        await say(three, missing_context=text)
    found = await stats(three)
    assert (found.total_feedback, found.average_rating, found.days_back) == (10, 22 / 5, 30)
    assert [(item.id, item.title, item.helpful, item.not_helpful) for item in found.most_helpful_items] == [
        ("FAIL-001", "Checkout was down", 2, 0),
        ("ADR-001", "Use Postgres", 1, 0),
    ]
    assert [(one.text, one.count) for one in found.common_missing_context] == [
        ("Rollback: nothing there!", 2),
        ("the costs of postgres", 2),
        ("who is on call", 1),
    ]
    await three.execute("UPDATE feedback SET created_at = created_at - interval '40 days'")
    await three.execute("UPDATE feedback_votes SET day = day - 40")
    assert await stats(three) == pb.GetFeedbackStatsResponse(days_back=30)
    assert (await stats(three, 41)).total_feedback == 10
    for days in (-1, 3651):
        with pytest.raises(Invalid) as caught:
            await stats(three, days)
        assert set(caught.value.fields) == {"days_back"}


async def test_what_is_held_is_not_told_of(three: Knowledge) -> None:
    await say(three, items_helpful=["ADR-001"])
    await three.execute("UPDATE items SET review = 'held' WHERE id = 'ADR-001'")
    assert not (await stats(three)).most_helpful_items


async def test_an_item_that_goes_meanwhile_is_waited_for(three: Knowledge) -> None:
    async with await psycopg.AsyncConnection.connect(
        three.url, options="-c search_path=knowledge,public"
    ) as connection:
        await connection.execute("DELETE FROM items WHERE id = 'ADR-001'")
        saying = asyncio.create_task(say(three, items_helpful=["ADR-001"]))
        await three.until_one_waits()
    with pytest.raises(Invalid) as caught:
        await saying
    assert set(caught.value.fields) == {"items_helpful[0]"}
    assert await three.count("feedback_votes") == 0
