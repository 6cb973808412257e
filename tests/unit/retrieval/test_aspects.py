"""What a question asks for beside its subject is read where it is said in so many words, and nowhere else."""

from datetime import date

import pytest

from context_retrieval.aspects import Aspects, aspects_of
from context_retrieval.model import Filter

TODAY = date(2026, 11, 26)  # a Thursday
OPEN = ("investigating", "recurring")


@pytest.mark.parametrize(
    ("question", "wanted"),
    [
        ("open failures", Aspects(("failure",), OPEN)),
        ("Which incidents are still open?", Aspects(("failure",), OPEN)),
        ("open, critical incidents", Aspects(("failure",), OPEN, ("critical",))),
        ("high-severity outages", Aspects(("failure",), (), ("high",))),
        ("incidents of high severity", Aspects(("failure",), (), ("high",))),
        ("severe post-mortems", Aspects(("failure",), (), ("critical", "high"))),
        ("pending decisions", Aspects(("adr",), ("proposed",))),
        ("recurring incidents and proposed ADRs", Aspects(("failure", "adr"), ("recurring", "proposed"))),
        ("[2026-11-28 09:10:47,123] resolved incidents", Aspects(("failure",), ("resolved",))),
    ],
)
def test_a_status_or_severity_beside_a_type(question: str, wanted: Aspects) -> None:
    found = aspects_of(question, TODAY)
    assert found is not None
    assert found.alone
    assert (found.types, found.statuses, found.severities) == (wanted.types, wanted.statuses, wanted.severities)


@pytest.mark.parametrize(
    ("time", "since", "until"),
    [
        ("today", date(2026, 11, 26), date(2026, 11, 26)),
        ("since yesterday", date(2026, 11, 25), None),
        ("since Monday", date(2026, 11, 23), None),
        ("since last Thursday", date(2026, 11, 19), None),
        ("this week", date(2026, 11, 23), date(2026, 11, 26)),
        ("last week", date(2026, 11, 16), date(2026, 11, 22)),
        ("last month", date(2026, 10, 1), date(2026, 10, 31)),
        ("last year", date(2025, 1, 1), date(2025, 12, 31)),
        ("in the past month", date(2026, 10, 27), date(2026, 11, 26)),
        ("in the last 3 weeks", date(2026, 11, 5), date(2026, 11, 26)),
        ("in October 2026", date(2026, 10, 1), date(2026, 10, 31)),
        ("in February", date(2026, 2, 1), date(2026, 2, 28)),
        ("in December", date(2025, 12, 1), date(2025, 12, 31)),
        ("in 2024", date(2024, 1, 1), date(2024, 12, 31)),
        ("after 2024", date(2025, 1, 1), None),
        ("in 2024-02", date(2024, 2, 1), date(2024, 2, 29)),
        ("on 2024-12-06", date(2024, 12, 6), date(2024, 12, 6)),
        ("before 2024-03", None, date(2024, 2, 29)),
        ("until March 2024", None, date(2024, 3, 31)),
    ],
)
def test_a_time(time: str, since: date | None, until: date | None) -> None:
    for question in (f"what did we decide {time}?", f"what changed {time}?", f"incidents with the mail relay {time}"):
        found = aspects_of(question, TODAY)
        assert found is not None
        assert (found.since, found.until, found.alone) == (since, until, "relay" not in question)


@pytest.mark.parametrize(
    "question",
    [
        "critical path of the build",
        "high failure rate after the deploy",
        "the last failure of the pool",
        "open a connection to the failures topic",
        "critical decisions",
        "may I deploy on the day before a big sale?",
        "what did we decide after black weekend?",
        "checkout fails with 504 since yesterday",
        "how do we store logs in 2024 format",
        "non-critical incidents",
        "superseded decisions about caching",
        "which incidents were there since 2024-02-31?",
        "which incidents were there after 9999-12-31?",
        "open failures " + "and what they have to do with each other " * 3,
        "",
    ],
)
def test_what_only_sounds_like_it(question: str) -> None:
    assert aspects_of(question, TODAY) is None


def test_a_subject_is_not_all_that_is_asked_for() -> None:
    for question in ("critical incidents of the checkout", "open failures FAIL-12", "meetings about privacy last week"):
        found = aspects_of(question, TODAY)
        assert found is not None
        assert not found.alone


def test_a_filter_that_is_given_stays_as_it_is() -> None:
    found = aspects_of("critical incidents last month", TODAY)
    assert found is not None
    given = Filter(("web",), types=("adr",), from_date=date(2020, 1, 1))
    wanted = Filter(("web",), ("adr",), (), (), ("critical",), date(2020, 1, 1), date(2026, 10, 31))
    assert found.within(given) == wanted
