"""Gathers texts of many callers into batches, bounded by tokens, refused when full.

Questions and bulk work run beside each other, each in threads of its own, one per core. Those of bulk work are nice:
where both want a core, the kernel takes it from the bulk batch and gives it to the question at once.
"""

import asyncio
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from time import perf_counter
from typing import NamedTuple

from context_common import tracing
from context_common.errors import Overloaded
from context_embedding import metrics
from context_embedding.encoder import Tokens, Vectors

LOOK = 64  # waiting texts among which those of like length are looked for
PADDED = 1.15  # times the tokens that are read, at most: reading blanks costs what is gained by reading several at once
NICE = 10  # of bulk work: a tenth of a core that questions want as well, so that it never stands still


class Done(NamedTuple):
    """A vector, and the seconds its text was queued and in the model."""

    vector: Vectors
    queued: float
    inferred: float


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One text on its way, and who waits for it."""

    tokens: Tokens
    since: float
    result: asyncio.Future[Done]
    place: tracing.Place = None  # in the trace of whoever waits


@dataclass(slots=True)
class Lane:
    """The texts of one priority.

    Attributes:
        most: Tokens that may be admitted at once.
        admitted: Tokens of requests under way, about so: counted before they are tokenised.
        filled: Set when there may be something to do.
    """

    priority: str
    most: int
    admitted: int = 0
    waiting: deque[Job] = field(default_factory=deque)
    filled: asyncio.Event = field(default_factory=asyncio.Event)

    def measure(self) -> None:
        """Show how long the queue is."""
        metrics.QUEUE_DEPTH.labels(self.priority).set(len(self.waiting))


class Batcher:
    """Runs batches in threads, so that the event loop stays free.

    Args:
        run: Vectors of a batch; may be called from several threads at once.
        workers: Batches at once, of each priority.
        most_tokens: Padded tokens in one batch; on a processor larger ones are no quicker.
        interactive_queue: Tokens of interactive requests at once; beyond, Overloaded.
        bulk_queue: The same for bulk requests.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Tokens]], Vectors],
        *,
        workers: int,
        most_tokens: int,
        interactive_queue: int,
        bulk_queue: int,
    ) -> None:
        self._run, self._workers, self._most_tokens = run, workers, most_tokens
        self._interactive = Lane("interactive", interactive_queue)
        self._bulk = Lane("bulk", bulk_queue)

    @contextmanager
    def admit(self, tokens: int, *, interactive: bool) -> Iterator[None]:
        """Room for a request of about `tokens` until the block ends. One alone is admitted however large it is.

        Raises:
            Overloaded: There is no room just now.
        """
        lane = self._lane(interactive)
        if lane.admitted and lane.admitted + tokens > lane.most:
            metrics.REFUSED.labels(lane.priority).inc()
            raise Overloaded(f"{lane.admitted} tokens are waiting to be embedded")
        lane.admitted += tokens
        try:
            yield
        finally:
            lane.admitted -= tokens

    async def embed(self, texts: Sequence[Tokens], *, interactive: bool) -> list[Done]:
        """The vector of each text. When the caller leaves, what has not begun is dropped."""
        loop, now, lane = asyncio.get_running_loop(), perf_counter(), self._lane(interactive)
        place = tracing.place()
        jobs = [Job(tokens, now, loop.create_future(), place) for tokens in texts]
        lane.waiting.extend(jobs)
        lane.measure()
        lane.filled.set()
        try:
            return await asyncio.gather(*(job.result for job in jobs))
        finally:
            for job in jobs:
                job.result.cancel()

    async def work(self) -> None:
        """Run batch after batch, until cancelled."""
        with (
            ThreadPoolExecutor(self._workers, "questions") as questions,
            ThreadPoolExecutor(self._workers, "bulk", _stand_back, (NICE,)) as bulk,
        ):
            async with asyncio.TaskGroup() as tasks:
                for _ in range(self._workers):
                    tasks.create_task(self._serve(self._interactive, questions))
                    tasks.create_task(self._serve(self._bulk, bulk))

    def _lane(self, interactive: bool) -> Lane:
        return self._interactive if interactive else self._bulk

    async def _serve(self, lane: Lane, threads: ThreadPoolExecutor) -> None:
        """Be one of the workers of `lane`."""
        loop = asyncio.get_running_loop()
        while True:
            await lane.filled.wait()
            batch = self._take(lane)
            if not batch:
                lane.filled.clear()
                continue
            start = perf_counter()
            try:
                with tracing.step("embed batch", tuple(job.place for job in batch), _about(batch)):
                    vectors = await loop.run_in_executor(threads, self._run, [job.tokens for job in batch])
            except Exception as error:  # noqa: BLE001 - its callers get it, and the next batch goes on
                _fail(batch, error)
            else:
                _finish(batch, vectors, start, perf_counter() - start)

    def _take(self, lane: Lane) -> list[Job]:
        """The text that has waited longest, and of those behind it such as are about as long."""
        while lane.waiting and lane.waiting[0].result.done():
            lane.waiting.popleft()
        if not lane.waiting:
            lane.measure()
            return []
        size = len(lane.waiting[0].tokens.ids)
        near = [job for job in islice(lane.waiting, LOOK) if not job.result.done()]
        near.sort(key=lambda job: abs(len(job.tokens.ids) - size))  # stable: the oldest stays first
        batch: list[Job] = []
        longest = together = 0
        for job in near:
            longest, together = max(longest, len(job.tokens.ids)), together + len(job.tokens.ids)
            if batch and longest * (len(batch) + 1) > min(self._most_tokens, together * PADDED):
                break
            batch.append(job)
        taken = set(batch)
        head = [lane.waiting.popleft() for _ in range(min(LOOK, len(lane.waiting)))]
        lane.waiting.extendleft(job for job in reversed(head) if job not in taken and not job.result.done())
        lane.measure()
        return batch


def _stand_back(nice: int) -> None:
    """Have this thread give way; where threads have no priority of their own, it does not."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), nice)


def _padded(batch: Sequence[Job]) -> int:
    """Tokens that the model sees."""
    return len(batch) * max(len(job.tokens.ids) for job in batch)


def _about(batch: Sequence[Job]) -> tracing.Attributes:
    return {"context.texts": len(batch), "context.tokens": _padded(batch)}


def _finish(batch: Sequence[Job], vectors: Vectors, start: float, took: float) -> None:
    metrics.GENERATION_SECONDS.observe(took)
    metrics.BATCH_TOKENS.observe(_padded(batch))
    for job, vector in zip(batch, vectors, strict=True):
        if not job.result.done():
            job.result.set_result(Done(vector, start - job.since, took))


def _fail(batch: Sequence[Job], error: Exception) -> None:
    for job in batch:
        if not job.result.done():
            job.result.set_exception(error)
