"""What is stored is read back as it was."""

from datetime import UTC, datetime

import pytest

from context_knowledge.codec import dump, load
from context_knowledge.model import (
    ActionItem,
    Adr,
    Body,
    Failure,
    ItemType,
    Meeting,
    MeetingDecision,
    Snapshot,
)

SEEN = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (ItemType.ADR, Adr("d", options_considered={"a": "b"}, supersedes=("ADR-001",), stakeholders=("ada",))),
        (ItemType.ADR, Adr()),
        (ItemType.FAILURE, Failure("r", prevention=("p",), occurrence_count=3, first_seen=SEEN, last_seen=None)),
        (ItemType.MEETING, Meeting("2026-01-01", (MeetingDecision("d", "r", (ActionItem("t"),)),), ("ada",))),
        (ItemType.SNAPSHOT, Snapshot("abc", "feat: x", changed_files=("a", "b"))),
    ],
)
def test_a_body_survives(kind: ItemType, body: Body) -> None:
    assert load(kind, dump(body)) == body


def test_code_reads_rows_that_are_older_or_newer_than_itself() -> None:
    assert load(ItemType.ADR, {"decision": "d", "invented_later": 1}) == Adr("d")
