"""What a process does for itself ends when it is told to, and never silently."""

import asyncio

from structlog.testing import capture_logs

from context_common import chores
from context_common.errors import Unavailable


async def test_a_task_that_loses_a_cancellation_is_told_again() -> None:
    begun, told = asyncio.Event(), 0

    async def stubborn() -> None:
        nonlocal told
        while told < 2:
            begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                told += 1

    task = chores.start(stubborn())
    await begun.wait()
    async with asyncio.timeout(30):
        await chores.end([task])
    assert told == 2
    assert task.done()


async def test_ending_waits_for_what_was_over_already_and_for_nothing() -> None:
    async def broken() -> None:
        raise ValueError("a bug")

    with capture_logs() as logged:
        task = chores.start(broken())
        await asyncio.wait([task])
        await chores.end([task])
        await chores.end([])
    assert [line["event"] for line in logged] == ["task_failed"]


async def test_a_chore_goes_on_after_a_failure_and_says_so() -> None:
    turns: list[Exception] = [Unavailable("away"), ValueError("a bug")]
    done = asyncio.Event()

    async def work() -> None:
        if turns:
            raise turns.pop(0)
        done.set()

    with capture_logs() as logged:
        task = chores.start(chores.every(0.0, "try", work))
        async with asyncio.timeout(30):
            await done.wait()
        await chores.end([task])
    assert [line["event"] for line in logged] == ["chore_waits", "chore_failed"]
    assert task.cancelled()
