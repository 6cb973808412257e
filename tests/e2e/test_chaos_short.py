"""The runs of docs/reliability.md in short, for what they say beside times: nothing lost, nobody let in."""

import pytest

from tests.chaos.report import Report
from tests.chaos.rolling import Rolling, restart_all
from tests.chaos.storm import Storm, ride_out
from tests.fuzz.clients import send_nonsense, send_too_much, show_forgeries
from tests.fuzz.target import engine

TIMES = ("recovery, longest s",)  # no test asserts how long something takes
SEED = 20


def wrong(report: Report) -> list[str]:
    """The figures that are not as they must be."""
    return [f"{figure.name}: {figure.value}" for figure in report.figures if figure.ok is False]


@pytest.mark.timeout(400)
async def test_nothing_is_lost_or_doubled_under_kills_and_broken_links() -> None:
    report = await ride_out(Storm(SEED, seconds=20, faults=6, writers=4, readers=3, stopped=2.0), "short")
    assert [one for one in wrong(report) if not one.startswith(TIMES)] == [], report.details


@pytest.mark.long
@pytest.mark.timeout(400)
async def test_a_rolling_restart_fails_no_request() -> None:
    report = await restart_all(Rolling(SEED, writers=3, readers=3, settle=0.5), "short")
    assert wrong(report) == [], report.details


@pytest.mark.timeout(400)
async def test_forgeries_sizes_and_nonsense_are_refused() -> None:
    report = Report("fuzz", "short")
    async with engine() as target:
        await show_forgeries(target, report)
        await send_too_much(target, report)
        await send_nonsense(target, 50, SEED, report)
    assert wrong(report) == [], report.details
