"""Answers so many questions at once and no more: what would only wait is told at once to come back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from context_common import deadline
from context_common.errors import Overloaded
from context_retrieval import metrics

PATIENCE = 0.5  # seconds that a question waits for its turn, or a quarter of what it has left
SHARE = 0.25


class Admission:
    """Lets in `most` at once; as many again may wait for a moment."""

    def __init__(self, most: int) -> None:
        self._most, self._turns, self._waiting = most, asyncio.Semaphore(most), 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """A turn for the block.

        Raises:
            Overloaded: There is none to be had soon.
        """
        if self._turns.locked():
            await self._wait()
        else:
            await self._turns.acquire()
        try:
            yield
        finally:
            self._turns.release()

    async def _wait(self) -> None:
        if self._waiting >= self._most:
            raise self._refusal()
        self._waiting += 1
        try:
            async with asyncio.timeout(min(PATIENCE, deadline.remaining(60.0) * SHARE)):
                await self._turns.acquire()
        except TimeoutError:
            raise self._refusal() from None
        finally:
            self._waiting -= 1

    def _refusal(self) -> Overloaded:
        metrics.REFUSED.inc()
        return Overloaded("too many questions at once", 1.0)
