"""What a process does for itself beside answering: it must neither end silently nor take anything down with it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog

from context_common.errors import AppError

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


def _ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.error("task_failed", task=task.get_name(), exc_info=error)
