"""Lets in as many requests at once as are still answered in time; of the rest a few wait shortly, the others are told.

Each class of route has a lane of its own, so that none can crowd out another and health always answers; so have reads
of items, which another service answers than questions. No caller holds more than half of a lane, so that others have a
place in it whatever one asks for. Those who share a credential take turns for its half by the address that they ask
from, so that none of them waits for all that another sent before.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import NamedTuple, TypeVar
from weakref import WeakValueDictionary

from context_common.errors import Unavailable
from context_gateway import metrics
from context_gateway.limits import Limits

START = 32  # requests at once in a lane that adapts, until it knows better
LEAST = 16  # that it never goes below: as many agents, and as many waiting, are no overload, only slow
SHRINK = 0.9
SEVERAL = 3.0  # times its best that an operation may take
MEMORY = 60.0  # seconds for which, and up to twice that, the best is remembered
STREAMS = 16  # bulk calls at once,
STREAMS_EACH = 8  # and of one caller
SIDE = 16  # requests at once to health, metrics and administration
ITEMS = "items"  # the lane of what knowledge answers
NEVER = float("inf")
T = TypeVar("T")


class Busy(Unavailable):
    """Too many requests at once."""


class Party(NamedTuple):
    """A caller (empty: nobody in particular), and the address that they ask from."""

    caller: str = ""
    address: str = ""


NOBODY = Party()


class Best:
    """The least time that an operation took of late."""

    def __init__(self, now: float) -> None:
        self._since, self._now, self._before = now, NEVER, NEVER

    def note(self, took: float, now: float) -> float:
        """The best, `took` included."""
        if now - self._since > MEMORY:
            self._since, self._now, self._before = now, NEVER, self._now
        self._now = min(self._now, took)
        return min(self._now, self._before)


class Lane:
    """A limit on requests at once. With a `target` it grows while requests are quick, and shrinks while they are not.

    Not quick is what takes more than `target` and several times what the same operation takes at its best: one that is
    slow by itself, such as a question that a remote embedder reads first, is no sign of too many.

    Args:
        name: The value of its label in metrics.
        most: Requests at once, and requests that wait.
        wait: Seconds that a request may wait.
        target: Seconds that are quick in any case.
        clock: Seconds, from anywhere.
    """

    def __init__(
        self, name: str, most: int, wait: float, target: float = NEVER, clock: Callable[[], float] = monotonic
    ) -> None:
        self._name, self._most, self._wait, self._target, self._clock = name, most, wait, target, clock
        self._limit = float(most if target == NEVER else min(START, most))
        self._running = 0
        self._held = Counter[str]()  # places of each caller who has some,
        self._held_from = Counter[Party]()  # and of each address that they ask from
        self._waiting: dict[asyncio.Future[bool], Party] = {}  # whose they are, in the order in which they came
        self._shrunk = -NEVER
        self._best: dict[str, Best] = {}
        metrics.IN_FLIGHT.labels(name).set_function(lambda: self._running)
        metrics.CONCURRENCY_LIMIT.labels(name).set_function(lambda: self.limit)

    @property
    def limit(self) -> int:
        """Requests that are let in at once."""
        return int(self._limit)

    @property
    def share(self) -> int:
        """How many of them may be one caller's."""
        return (self.limit + 1) // 2

    async def enter(self, party: Party = NOBODY) -> float:
        """Take a place; answers the time, for `leave`.

        Raises:
            Busy: There is none, or the caller has their share, and none became free in time.
        """
        # Where there is a place, who waits has their share already: anybody else would have been let in.
        if self._running < self.limit and not self._has_share(party.caller):
            self._take(party)
        elif not self._may_wait(party) or not await self._queue(party):
            metrics.SHED.labels(self._name).inc()
            raise Busy
        return self._clock()

    def leave(self, entered: float, operation: str = "", party: Party = NOBODY) -> None:
        """Give the place to the next, and learn from how long it was taken by `operation`, of which there are few."""
        now = self._clock()
        # Where one caller is all there is, their share is all that can be full.
        full = self._running >= self.limit or self._has_share(party.caller)
        self._give_back(party)
        best = self._best.setdefault(operation, Best(now)).note(now - entered, now)
        if now - entered > max(self._target, best * SEVERAL):
            # Once per round of requests: those that run together were all let in by the same limit.
            if (full or self._running >= self._limit / 2) and entered > self._shrunk:
                self._limit, self._shrunk = max(LEAST, self._limit * SHRINK), now
        elif full:
            self._limit = min(self._most, self._limit + 1 / self._limit)
        self._let_in()

    @asynccontextmanager
    async def place(self, operation: str, party: Party = NOBODY) -> AsyncIterator[None]:
        """A place for as long as the block lasts.

        Raises:
            Busy: There is none, or the caller has their share, and none became free in time.
        """
        entered = await self.enter(party)
        try:
            yield
        finally:
            self.leave(entered, operation, party)

    def _has_share(self, caller: str) -> bool:
        return bool(caller) and self._held[caller] >= self.share

    def _take(self, party: Party) -> None:
        self._running += 1
        if party.caller:
            self._held[party.caller] += 1
            self._held_from[party] += 1

    def _give_back(self, party: Party) -> None:
        self._running -= 1
        if party.caller:
            _one_less(self._held, party.caller)
            _one_less(self._held_from, party)

    def _may_wait(self, party: Party) -> bool:
        """Whether there is room to wait: as many as may run, of one caller half as many."""
        if not party.caller:
            return len(self._waiting) < self._most
        theirs = [waiter for waiter, one in self._waiting.items() if one.caller == party.caller]
        if len(self._waiting) < self._most and len(theirs) < (self._most + 1) // 2:
            return True
        return self._gave_way(theirs, party)

    def _gave_way(self, theirs: "list[asyncio.Future[bool]]", party: Party) -> bool:
        """Whether the last of those whose address has most waiting left, so that an address that has fewer may wait."""
        waiting = Counter(self._waiting[waiter] for waiter in theirs)
        fullest, count = max(waiting.items(), key=lambda entry: entry[1], default=(party, 0))
        if count <= waiting[party] + 1:
            return False
        last = next(waiter for waiter in reversed(theirs) if self._waiting[waiter] == fullest)
        del self._waiting[last]
        self._give_up(last)
        return True

    def _let_in(self) -> None:
        while self._running < self.limit and (waiter := self._next()):
            party = self._waiting.pop(waiter)
            if not waiter.done():
                waiter.set_result(True)
                self._take(party)

    def _next(self) -> "asyncio.Future[bool] | None":
        """Who waited longest of those who may come in; in their stead one whose address has fewer of the caller's."""
        first = next((one for one in self._waiting.values() if not self._has_share(one.caller)), None)
        if first is None:
            return None
        theirs = (waiter for waiter, one in self._waiting.items() if one.caller == first.caller)
        return min(theirs, key=lambda waiter: self._held_from[self._waiting[waiter]])

    async def _queue(self, party: Party) -> bool:
        """Whether a place became free in time."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[bool] = loop.create_future()
        self._waiting[waiter] = party
        timer = loop.call_later(self._wait, self._give_up, waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.result():
                self._give_back(party)
                self._let_in()
            raise
        finally:
            timer.cancel()
            self._waiting.pop(waiter, None)

    def _give_up(self, waiter: "asyncio.Future[bool]") -> None:
        if not waiter.done():
            waiter.set_result(False)


def _one_less(held: Counter[T], whose: T) -> None:
    """Count one place less, and forget who has none."""
    held[whose] -= 1
    if not held[whose]:
        del held[whose]


class Streams:
    """Sees to it that no caller holds the lane of bulk calls alone, which last as long as their callers like.

    Args:
        wait: Seconds that a call may wait for another of the same caller to end.
    """

    def __init__(self, wait: float) -> None:
        self._wait = wait
        self._places = WeakValueDictionary[str, asyncio.Semaphore]()  # of callers who hold or wait for one

    @asynccontextmanager
    async def place(self, caller: str) -> AsyncIterator[None]:
        """One of the places that a caller may hold at once.

        Raises:
            Busy: They hold them all, and none became free in time.
        """
        places = self._places.setdefault(caller, asyncio.Semaphore(STREAMS_EACH))
        try:
            async with asyncio.timeout(self._wait):
                await places.acquire()
        except TimeoutError as error:
            metrics.SHED.labels("bulk").inc()
            raise Busy from error
        try:
            yield
        finally:
            places.release()


def lanes(limits: Limits) -> dict[str, Lane]:
    """The lane of each class of route; and of what knowledge answers, apart from what the index does.

    With one for both, reads of items took all the places while knowledge hung, and questions were refused that could
    have been answered.
    """
    return {
        "read": Lane("read", limits.concurrency, limits.queue_seconds, limits.latency_target),
        ITEMS: Lane(ITEMS, limits.concurrency, limits.queue_seconds, limits.latency_target),
        # A write waits for the index most of its time, which says nothing about how busy anything is.
        "write": Lane("write", limits.concurrency, limits.queue_seconds),
        "bulk": Lane("bulk", STREAMS, limits.queue_seconds),
        "admin": Lane("admin", SIDE, limits.queue_seconds),
        "open": Lane("open", SIDE, limits.queue_seconds),
    }
