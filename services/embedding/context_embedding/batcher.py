"""Gathers texts of many callers into batches, bounded by tokens, refused when full.

Requests take turns (self-clocked fair queueing): each text stands in the queue where it would if every request got an
equal share of the model. A question of a few words is next, however many texts another caller asked for before.

Questions and bulk work run beside each other, each in threads of its own, one per core. Those of bulk work are nice:
where both want a core, the kernel takes it from the bulk batch and gives it to the question at once.
"""

import asyncio
import os
import sys
import threading
from bisect import insort
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import attrgetter
from time import perf_counter
from typing import NamedTuple

from context_common import tracing
from context_common.errors import Overloaded
from context_embedding import metrics
from context_embedding.encoder import Tokens, Vectors

LOOK = 64  # waiting texts among which those of like length are looked for
PADDED = 1.15  # times the tokens that are read, at most: reading blanks costs what is gained by reading several at once
# Times that requests go into the room of their size: short questions, long ones. What is larger has a third.
SIZES = (32, 4)
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
    turn: int  # on its lane's clock, in tokens: how much its request will have got, with all that had its turn before
    place: tracing.Place = None  # in the trace of whoever waits


@dataclass(slots=True)
class Room:
    """Room for `most` tokens of requests under way, about so: they are counted before they are tokenised."""

    priority: str
    most: int
    admitted: int = 0


@dataclass(slots=True)
class Lane:
    """The texts of one priority, by turn.

    Attributes:
        clock: The turn of what was taken last.
        filled: Set when there may be something to do.
    """

    priority: str
    clock: int = 0
    waiting: list[Job] = field(default_factory=list)
    filled: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, texts: Sequence[Tokens]) -> list[Job]:
        """Queue the texts of one request."""
        loop, now, place, turn = asyncio.get_running_loop(), perf_counter(), tracing.place(), self.clock
        jobs: list[Job] = []
        for tokens in texts:
            turn += len(tokens.ids)
            jobs.append(Job(tokens, now, loop.create_future(), turn, place))
            insort(self.waiting, jobs[-1], key=attrgetter("turn"))
        self.measure()
        self.filled.set()
        return jobs

    def head(self) -> list[Job]:
        """Those whose turn is next, `LOOK` at most; callers who left are dropped."""
        left = [job for job in self.waiting[:LOOK] if not job.result.done()]
        while not left and self.waiting:
            del self.waiting[:LOOK]
            left = [job for job in self.waiting[:LOOK] if not job.result.done()]
        self.waiting[:LOOK] = left
        return left

    def take(self, batch: Sequence[Job]) -> None:
        """Take `batch`, the first of which had its turn, out of the queue."""
        self.clock = max(self.clock, batch[0].turn)
        taken = set(batch)
        self.waiting[:LOOK] = [job for job in self.waiting[:LOOK] if job not in taken]

    def measure(self) -> None:
        """Show how long the queue is."""
        metrics.QUEUE_DEPTH.labels(self.priority).set(len(self.waiting))


class Batcher:
    """Runs batches in threads, so that the event loop stays free.

    Args:
        run: Vectors of a batch; may be called from several threads at once.
        workers: Batches at once, of each priority.
        most_tokens: Padded tokens in one batch; on a processor larger ones are slower, since they leave its caches.
        interactive_queue: Tokens of interactive requests at once; beyond, Overloaded. Each size
            has as much room of its own, so that large requests do not have small ones refused.
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
        self._interactive, self._bulk = Lane("interactive"), Lane("bulk")
        self._rooms = [Room("interactive", interactive_queue) for _ in (*SIZES, "larger")]
        self._bulk_room = Room("bulk", bulk_queue)

    @contextmanager
    def admit(self, tokens: int, *, interactive: bool) -> Iterator[None]:
        """Room for a request of about `tokens` until the block ends. One alone is admitted however large it is.

        Raises:
            Overloaded: There is no room just now.
        """
        room = self._room(tokens, interactive=interactive)
        if room.admitted and room.admitted + tokens > room.most:
            metrics.REFUSED.labels(room.priority).inc()
            raise Overloaded(f"{room.admitted} tokens are waiting to be embedded")
        room.admitted += tokens
        try:
            yield
        finally:
            room.admitted -= tokens

    async def embed(self, texts: Sequence[Tokens], *, interactive: bool) -> list[Done]:
        """The vector of each text. When the caller leaves, what has not begun is dropped."""
        lane = self._interactive if interactive else self._bulk
        jobs = lane.add(texts)
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

    def _room(self, tokens: int, *, interactive: bool) -> Room:
        if not interactive:
            return self._bulk_room
        return self._rooms[sum(tokens * times > room.most for times, room in zip(SIZES, self._rooms, strict=False))]

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
        """The text whose turn it is, and of those behind it such as are about as long."""
        near = lane.head()
        if not near:
            lane.measure()
            return []
        size = len(near[0].tokens.ids)
        near.sort(key=lambda job: abs(len(job.tokens.ids) - size))  # stable: the first stays first
        batch: list[Job] = []
        longest = together = 0
        for job in near:
            longest, together = max(longest, len(job.tokens.ids)), together + len(job.tokens.ids)
            if batch and longest * (len(batch) + 1) > min(self._most_tokens, together * PADDED):
                break
            batch.append(job)
        lane.take(batch)
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
