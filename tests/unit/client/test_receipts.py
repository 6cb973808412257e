"""contextctl receipt and set-aside, and bundles with text that nobody vouches for: as people read them."""

import json
from typing import Any

import httpx2
from typer.testing import CliRunner, Result

from context_client import __main__
from context_client.cli.app import Session, app
from tests.unit.client.far_end import Engine, answering

assert __main__.COMMANDS  # importing it makes the commands known

RECEIPT = {
    "query_id": "q1", "asked_at": "2026-01-31T12:00:00Z", "principal": "user:ada", "request_id": "r-1",
    "asked": {"query": "why?", "max_tokens": 900, "namespaces": ["web"], "types": [], "min_score": None},
    "items": [
        {"id": "ADR-001", "namespace": "web", "version": 3, "section": "key_decisions", "score": 0.5, "tokens": 120,
         "trust": "unvouched"},
    ],
    "omitted": [{"id": "ADR-002", "reason": "over_budget", "tokens": 90}],
    "tokens_used": 1200, "degraded": True,
}  # fmt: skip
ASIDE = {
    "items": [{"id": "ADR-001", "attempts": 8, "reason": "ValueError: bad", "at": "2026-01-31T12:00:00Z"}],
    "next_cursor": "c2",
}


def run(*arguments: str, content: dict[str, Any]) -> tuple[Engine, Result]:
    engine = Engine()
    engine.before = [answering(httpx2.Response(200, json=content))]
    session = Session({}, transport=engine.transport)
    return engine, CliRunner().invoke(app, list(arguments), obj=session, prog_name="contextctl")


def test_a_receipt_says_who_asked_what_and_what_was_answered() -> None:
    engine, result = run("receipt", "a/b", content=RECEIPT)
    assert result.exit_code == 0, result.stderr
    assert engine.requests[-1].url.raw_path == b"/api/context/receipts/a%2Fb"
    for words in ("why?", "user:ada at 2026-01-31 12:00:00", "max_tokens 900", "ADR-001 v3", "unvouched",
                  "left out: ADR-002, over budget, 90 tokens", "1,200 tokens", "words only"):  # fmt: skip
        assert words in result.stdout, words
    assert json.loads(run("receipt", "q1", "--json", content=RECEIPT)[1].stdout) == RECEIPT


def test_what_was_set_aside_is_listed_and_tried_again() -> None:
    engine, result = run("set-aside", "list", "--cursor", "c1", content=ASIDE)
    assert engine.requests[-1].url.raw_path == b"/api/admin/index/set-aside?cursor=c1&limit=50"
    for words in ("ADR-001", "8", "ValueError: bad", "--cursor c2"):
        assert words in result.stdout
    engine, result = run("set-aside", "retry", "ADR-001", "ADR-002", content={"retried": 2})
    assert json.loads(engine.requests[-1].content) == {"ids": ["ADR-001", "ADR-002"]}
    assert "2" in result.stdout
    engine, _ = run("set-aside", "retry", content={"retried": 7})
    assert engine.requests[-1].content == b""


def test_people_see_who_wrote_a_text_instead_of_marks() -> None:
    item = {"id": "FAIL-001", "type": "failure", "title": "<<123456789>>Down<</123456789>>", "status": "resolved",
            "date": "2026-01-02", "content": "<<123456789>>It fell.<</123456789>>", "trust": "unvouched",
            "provenance": "event"}  # fmt: skip
    bundle = {"query_id": "q1", "known_issues": [item], "total_items": 1, "tokens_used": 200, "omitted": []}
    _, result = run("query", "what fell?", content=bundle)
    assert "FAIL-001 Down" in result.stdout
    assert "unvouched: event" in result.stdout
    assert "<<" not in result.stdout
