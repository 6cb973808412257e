"""Gathers texts of many callers into batches: those somebody waits for first, bounded by tokens, refused when full."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from context_common.errors import Overloaded
from context_embedding import metrics
from context_embedding.encoder import Tokens, Vectors

Run = Callable[[Sequence[Tokens]], Vectors]


@dataclass(frozen=True, slots=True)
class Job:
    """One text on its way, and who waits for it."""

    tokens: Tokens
    since: float
    result: asyncio.Future[tuple[Any, float, float]]  # vector, seconds queued, seconds inferred


class Batcher:
    """Runs batches one after another in a thread.

    Args:
        run: Vectors of a batch.
        most_tokens: Padded tokens of one batch; short, so that a question never waits long behind bulk work.
        most_waiting: Texts in the queue beyond which new ones are refused.
    """

    def __init__(self, run: Run, *, most_tokens: int, most_waiting: int) -> None:
        self._run, self._most_tokens, self._most_waiting = run, most_tokens, most_waiting
        self._interactive: deque[Job] = deque()
        self._bulk: deque[Job] = deque()
        self._filled = asyncio.Event()

    def reserve(self, texts: int) -> None:
        """Raise Overloaded where so many texts more would not fit; asked before they are tokenised."""
        waiting = len(self._interactive) + len(self._bulk)
        if waiting + texts > self._most_waiting:
            raise Overloaded(f"{waiting} texts are waiting to be embedded", retry_after=1.0)

    async def embed(self, batch: Sequence[Tokens], *, interactive: bool) -> list[tuple[Any, float, float]]:
        """The vector of each text, with the seconds it was queued and inferred."""
        self.reserve(len(batch))
        loop, now = asyncio.get_running_loop(), perf_counter()
        jobs = [Job(tokens, now, loop.create_future()) for tokens in batch]
        (self._interactive if interactive else self._bulk).extend(jobs)
        metrics.QUEUE_DEPTH.set(len(self._interactive) + len(self._bulk))
        self._filled.set()
        try:
            return await asyncio.gather(*(job.result for job in jobs))
        finally:
            for job in jobs:
                job.result.cancel()  # a caller that left: what is done is done, the rest is dropped

    async def work(self) -> None:
        """Take batches until cancelled."""
        while True:
            await self._filled.wait()
            batch = self._take()
            if not batch:
                self._filled.clear()
                continue
            start = perf_counter()
            try:
                vectors = await asyncio.to_thread(self._run, [job.tokens for job in batch])
            except Exception as error:  # noqa: BLE001 - its callers get it; the next batch goes on
                for job in batch:
                    if not job.result.done():
                        job.result.set_exception(error)
                continue
            took = perf_counter() - start
            metrics.GENERATION_SECONDS.observe(took)
            metrics.BATCH_TOKENS.observe(sum(len(job.tokens.ids) for job in batch))
            for job, vector in zip(batch, vectors, strict=True):
                if not job.result.done():
                    job.result.set_result((vector, start - job.since, took))

    def _take(self) -> list[Job]:
        """The next batch: the first texts in line whose padded size fits; nobody overtakes within a queue."""
        queue = self._interactive or self._bulk
        batch: list[Job] = []
        longest = 0
        while queue:
            if queue[0].result.done():
                queue.popleft()
                continue
            longest = max(longest, len(queue[0].tokens.ids))
            if batch and longest * (len(batch) + 1) > self._most_tokens:
                break
            batch.append(queue.popleft())
        metrics.QUEUE_DEPTH.set(len(self._interactive) + len(self._bulk))
        return batch


def in_order_of_length(batch: Sequence[Tokens]) -> list[int]:
    """Positions from the shortest text to the longest, so that texts of like length share a batch."""
    return [int(position) for position in np.argsort([len(tokens.ids) for tokens in batch], kind="stable")]
