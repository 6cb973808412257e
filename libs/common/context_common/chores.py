"""What a process does for itself beside answering: it must neither end silently nor take anything down with it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any

import structlog

from context_common.errors import AppError

AGAIN = 0.5  # seconds after which a task that goes on is told again to end

log = structlog.get_logger()


async def every(seconds: float, name: str, work: Callable[[], Awaitable[object]]) -> None:
    """Do `work` again and again until cancelled. While something it needs is away it waits for its next turn."""
    while True:
        try:
            await work()
        except AppError as error:
            log.debug("chore_waits", chore=name, reason=error.message)
        except Exception:  # whatever it is, the next turn may go well
            log.exception("chore_failed", chore=name)
        await asyncio.sleep(seconds)


def start(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Begin `work`, which is to go on until it is cancelled; if it breaks, the log says so at once."""
    task = asyncio.create_task(work, name=getattr(work, "__qualname__", "work"))
    task.add_done_callback(_ended)
    return task


async def end(tasks: Iterable["asyncio.Task[None]"]) -> None:
    """Cancel `tasks` and wait until they are over, however they end.

    Told again until they are: a cancellation is lost where the database's pool hands out a connection at that moment.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=AGAIN)


def _ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.error("task_failed", task=task.get_name(), exc_info=error)
