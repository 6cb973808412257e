"""What the drills take for a lost change."""

import pytest

from tests.chaos.traffic import Change, Written

AT_ONCE = [Change(1.0, 3.0), Change(2.0, 2.5)]
IN_TURN = [Change(1.0, 2.0), Change(3.0, 4.0)]
UNANSWERED = [Change(1.0, 2.0), Change(3.0)]


@pytest.mark.parametrize(
    ("changes", "may_stand"),
    [([], {0}), ([Change(1.0)], {0, 1}), (IN_TURN, {2}), (AT_ONCE, {1, 2}), (UNANSWERED, {1, 2})],
    ids=["none", "one unanswered", "in turn", "at once", "the last unanswered"],
)
def test_what_was_acknowledged_is_replaced_by_what_was_sent_after_it(
    changes: list[Change], may_stand: set[int]
) -> None:
    written = Written("web", "adr", "mk001x00001z", "ADR-001", changes)
    assert {step for step in range(4) if written.may_stand(step)} == may_stand
