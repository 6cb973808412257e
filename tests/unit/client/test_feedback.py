"""contextctl feedback and feedback-stats, and the SDK's calls behind them."""

import json
from typing import Any

import httpx2
import pytest

from tests.unit.client.far_end import Engine, answering, losing, problem
from tests.unit.client.test_keys import answered, run, sent

SAID: dict[str, Any] = {
    "id": "f1", "query_id": "q1", "query_text": None, "overall_rating": 4, "items_helpful": ["ADR-003", "ADR-004"],
    "items_not_helpful": ["FAIL-002"], "items_used": [], "missing_context": "how to roll back", "agent_id": None,
    "session_id": None, "metadata": {}, "principal": "key:a", "created_at": "2026-01-31T12:00:00Z",
    "updated_at": "2026-01-31T12:00:00Z", "replaced": False, "redactions": [],
}  # fmt: skip
STATS: dict[str, Any] = {
    "total_feedback": 1234, "avg_rating": 3.75, "days_back": 7,
    "most_helpful_items": [{"id": "ADR-003", "type": "adr", "title": "Use Postgres", "helpful": 9, "not_helpful": 2}],
    "common_missing_context": [{"text": "how to roll \x1b[31mback", "count": 3}],
}  # fmt: skip


def test_all_that_can_be_said_is_sent() -> None:
    engine = answered(SAID)
    result = run(
        engine, "feedback", "q1", "--rating", "4", "--helpful", "ADR-003", "--helpful", "ADR-004", "--not-helpful",
        "FAIL-002", "--used", "ADR-003", "--missing", "how to roll back",
    )  # fmt: skip
    assert (result.exit_code, engine.requests[-1].url.path) == (0, "/api/feedback")
    assert sent(engine) == {
        "query_id": "q1", "overall_rating": 4, "items_helpful": ["ADR-003", "ADR-004"],
        "items_not_helpful": ["FAIL-002"], "items_used": ["ADR-003"], "missing_context": "how to roll back",
    }  # fmt: skip
    assert "f1  recorded" in result.stdout


def test_only_what_is_said_is_sent_and_its_second_word_and_its_secrets_are_told() -> None:
    taken = [{"field": "missing_context", "kind": "password"}]
    engine = answered(SAID | {"replaced": True, "redactions": taken})
    result = run(engine, "feedback", "--missing", "the dump")
    assert sent(engine) == {"missing_context": "the dump"}
    assert "in place of what you had said" in result.stdout
    assert "a secret was taken out of missing_context: password" in result.stdout
    assert json.loads(run(answered(SAID), "feedback", "q1", "--rating", "4", "--json").stdout) == SAID


@pytest.mark.parametrize("arguments", [("--rating", "6"), ("--rating", "0"), ("--rating", "4.5")])
def test_a_rating_that_is_none_is_not_sent(arguments: tuple[str, ...]) -> None:
    engine = Engine()
    assert run(engine, "feedback", "q1", *arguments).exit_code == 2
    assert engine.requests == []


def test_a_refusal_names_the_field() -> None:
    engine = Engine()
    details = {"query_id": ["names no query that is still on record"]}
    engine.before = [answering(problem(422, "Validation failed", details=details))]
    result = run(engine, "feedback", "q2", "--rating", "4")
    assert result.exit_code == 4
    assert "query_id names no query that is still on record" in result.stderr


def test_what_it_comes_to_is_shown() -> None:
    engine = answered(STATS)
    result = run(engine, "feedback-stats", "--days", "7")
    assert engine.requests[-1].url.raw_path == b"/api/feedback/stats?days_back=7"
    for words in (
        "feedback of 7 days: 1,234, rated 3.8 of 5",
        "ADR-003",
        "Use Postgres",
        "9",
        "2",
        "missing (3)",
    ):
        assert words in result.stdout, words
    assert "\x1b" not in result.stdout
    nothing: dict[str, Any] = {
        "total_feedback": 0,
        "avg_rating": None,
        "most_helpful_items": [],
        "common_missing_context": [],
    }
    result = run(answered(nothing | {"days_back": 30}), "feedback-stats")
    assert "feedback of 30 days: 0\nno item was said to help\n" in result.stdout
    assert run(Engine(), "feedback-stats", "--days", "3651").exit_code == 2


def test_an_answer_shows_the_id_by_which_it_is_spoken_of() -> None:
    bundle = {"query_id": "01a2089d-8b63-731c-af1c-60c2ebca334f", "total_items": 0, "tokens_used": 9, "omitted": []}
    assert "query 01a2089d-8b63-731c-af1c-60c2ebca334f" in run(answered(bundle), "query", "why?").stdout


def test_a_word_whose_answer_was_lost_is_sent_again_as_the_same() -> None:
    engine = Engine()
    engine.before = [losing, answering(httpx2.Response(201, json=SAID))]
    assert engine.client().feedback({"overall_rating": 4})["replaced"] is False
    first, second = (request.headers["idempotency-key"] for request in engine.requests)
    assert first == second


def test_all_pages_of_what_was_said_are_read() -> None:
    engine = answered({"items": [SAID], "next_cursor": "c2"}, {"items": [SAID | {"id": "f0"}], "next_cursor": None})
    assert [one["id"] for one in engine.client().all_feedback({"item_id": "ADR-003"})] == ["f1", "f0"]
    assert [dict(request.url.params) for request in engine.requests] == [
        {"limit": "200", "item_id": "ADR-003"},
        {"limit": "200", "item_id": "ADR-003", "cursor": "c2"},
    ]
    assert engine.requests[0].url.path == "/api/feedback"
