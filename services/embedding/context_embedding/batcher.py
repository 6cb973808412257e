"""Gathers texts of many callers into batches: those somebody waits for first, bounded by tokens, refused when full."""

import asyncio
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
PATIENCE = 8  # batches for those who wait, after which bulk work gets one
BULK_SECONDS = 0.05  # a bulk batch should take, since a question may have to wait for one
LEAST_BULK = 64  # tokens in a bulk batch, however slow the machine


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
    """

    priority: str
    most: int
    admitted: int = 0
    waiting: deque[Job] = field(default_factory=deque)

    def measure(self) -> None:
        """Show how long the queue is."""
        metrics.QUEUE_DEPTH.labels(self.priority).set(len(self.waiting))


class Batcher:
    """Runs batches one after another in a thread, so that the event loop stays free.

    Args:
        run: Vectors of a batch.
        most_tokens: Padded tokens in one batch; on a processor larger ones are no quicker. Bulk batches are smaller
            still where `most_tokens` would take longer than BULK_SECONDS.
        interactive_queue: Tokens of interactive requests at once; beyond, Overloaded.
        bulk_queue: The same for bulk requests.
    """

    def __init__(
        self, run: Callable[[Sequence[Tokens]], Vectors], *, most_tokens: int, interactive_queue: int, bulk_queue: int
    ) -> None:
        self._run, self._most_tokens = run, most_tokens
        self._interactive = Lane("interactive", interactive_queue)
        self._bulk = Lane("bulk", bulk_queue)
        self._in_a_row = 0  # interactive batches
        self._rate = most_tokens / BULK_SECONDS  # padded tokens a second, as measured lately
        self._filled = asyncio.Event()

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
        self._filled.set()
        try:
            return await asyncio.gather(*(job.result for job in jobs))
        finally:
            for job in jobs:
                job.result.cancel()

    async def work(self) -> None:
        """Run batch after batch, until cancelled."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, "model") as thread:
            while True:
                await self._filled.wait()
                batch = self._next_batch()
                if not batch:
                    self._filled.clear()
                    continue
                start = perf_counter()
                try:
                    with tracing.step("embed batch", tuple(job.place for job in batch), _about(batch)):
                        vectors = await loop.run_in_executor(thread, self._run, [job.tokens for job in batch])
                except Exception as error:  # noqa: BLE001 - its callers get it, and the next batch goes on
                    _fail(batch, error)
                else:
                    took = perf_counter() - start
                    self._rate += (_padded(batch) / took - self._rate) / 8
                    _finish(batch, vectors, start, took)

    def _lane(self, interactive: bool) -> Lane:
        return self._interactive if interactive else self._bulk

    def _next_batch(self) -> list[Job]:
        """Interactive texts if there are any; but bulk work gets its turn now and then."""
        self._in_a_row = self._in_a_row + 1 if self._bulk.waiting else 0
        if self._interactive.waiting and self._in_a_row <= PATIENCE:
            batch = self._take(self._interactive, self._most_tokens)
            if batch:
                return batch
        self._in_a_row = 0
        bulk_tokens = min(self._most_tokens, max(LEAST_BULK, int(self._rate * BULK_SECONDS)))
        return self._take(self._bulk, bulk_tokens) or self._take(self._interactive, self._most_tokens)

    def _take(self, lane: Lane, most: int) -> list[Job]:
        """The text that has waited longest, and of those behind it the nearest in length that fit beside it."""
        while lane.waiting and lane.waiting[0].result.done():
            lane.waiting.popleft()
        if not lane.waiting:
            lane.measure()
            return []
        size = len(lane.waiting[0].tokens.ids)
        near = [job for job in islice(lane.waiting, LOOK) if not job.result.done()]
        near.sort(key=lambda job: abs(len(job.tokens.ids) - size))  # stable: the oldest stays first
        batch: list[Job] = []
        longest = 0
        for job in near:
            longest = max(longest, len(job.tokens.ids))
            if batch and longest * (len(batch) + 1) > most:
                break
            batch.append(job)
        taken = set(batch)
        head = [lane.waiting.popleft() for _ in range(min(LOOK, len(lane.waiting)))]
        lane.waiting.extendleft(job for job in reversed(head) if job not in taken and not job.result.done())
        lane.measure()
        return batch


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
