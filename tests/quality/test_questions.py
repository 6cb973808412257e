"""Questions in other words than the records' find the right record among the first three."""

import json
import os
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import loopback
from tests.support.stack import Stack

HERE = Path(__file__).parent
QUESTIONS = tomllib.loads((HERE / "questions.toml").read_text())
HOLD = 0.9  # of the questions
HOLD_ELSEWHERE = 0.85  # of those about records that we did not write
CORPUS = os.environ.get("ADR_CORPUS", "")

Ask = Callable[[str], list[dict[str, str]]]


def asker(stack: Stack, namespace: str) -> Ask:
    """Answers the first three search results of a question."""

    def ask(question: str) -> list[dict[str, str]]:
        answer = loopback.post(
            f"{stack.url}/api/search",
            json={"query": question, "top_k": 3},
            headers={"x-context-namespace": namespace},
            timeout=30,
        )
        assert answer.status_code == 200, answer.text
        assert answer.json()["degraded"] is False
        results: list[dict[str, str]] = answer.json()["results"]
        return results

    return ask


def missed(rows: list[dict[str, str]], ask: Ask, field: str) -> list[str]:
    """The questions whose answer is not among the first three, with what was there instead."""
    wrong = []
    for row in rows:
        names = [hit[field] for hit in ask(row["ask"])]
        if row["find"].lower() not in [name.lower() for name in names]:
            wrong.append(f"{row['ask']!r}: wanted {row['find']}, got {names}")
    return wrong


@pytest.fixture(scope="module")
def ask_records(stack: Stack) -> Ask:
    """Asks about records.ndjson."""
    answer = loopback.post(
        f"{stack.url}/api/bulk",
        content=(HERE / "records.ndjson").read_bytes(),
        headers={
            "content-type": "application/x-ndjson",
            "prefer": "wait=60",
            "x-context-namespace": "quality",
        },
        timeout=120,
    )
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert all(line.get("indexed") for line in lines), answer.text
    return asker(stack, "quality")


def test_questions_find_their_records(ask_records: Ask) -> None:
    wrong = missed(QUESTIONS["records"], ask_records, "id")
    assert len(wrong) <= (1 - HOLD) * len(QUESTIONS["records"]), "\n".join(wrong)


@pytest.mark.parametrize("question", QUESTIONS["off_topic"]["ask"])
def test_an_off_topic_question_finds_nothing(stack: Stack, ask_records: Ask, question: str) -> None:
    assert ask_records(question) == []
    bundle = loopback.post(
        f"{stack.url}/api/context/query", json={"query": question}, headers={"x-context-namespace": "quality"}
    ).json()
    assert (bundle["key_decisions"], bundle["known_issues"], bundle["recent_changes"]) == ([], [], [])


@pytest.mark.skipif(not CORPUS, reason="ADR_CORPUS names no folder with public decision records")
def test_questions_find_public_decision_records(stack: Stack) -> None:
    folders = sorted(str(path) for path in Path(CORPUS).iterdir() if path.is_dir())
    importing = stack.contextctl("import", "adr", *folders, namespace="corpora")
    assert importing.wait(timeout=110) == 0, importing.output()
    wrong = missed(QUESTIONS["corpora"], asker(stack, "corpora"), "title")
    assert len(wrong) <= (1 - HOLD_ELSEWHERE) * len(QUESTIONS["corpora"]) + 1e-9, "\n".join(wrong)
