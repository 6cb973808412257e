"""The change feed: read models lease what changed, and wait for it without polling."""

import time
from collections.abc import Sequence
from dataclasses import replace

import structlog

from context_common import deadline
from context_common.caller import Caller
from context_common.errors import Invalid
from context_common.postgres import Notifications
from context_knowledge import metrics
from context_knowledge.store import Session, Store
from context_knowledge.store.aside import Failed
from context_knowledge.store.feed import Leased, Status

LEASE = 60.0  # seconds
LONGEST_LEASE = 3600.0
LONGEST_WAIT = 60.0
ATTEMPTS = 5  # after which a change is set aside
BATCH = 32
MOST = 500
REASON = 1000  # characters kept of why a change failed
SOONEST_LOOK = 0.2  # seconds; changes that another transaction holds just now are looked at again after this
MOST_ACCESSES = 1_000_000_000  # of one item in one report

log = structlog.get_logger()


class Feed:
    """What read models follow. It spans namespaces, so the protos let services only ask."""

    def __init__(self, store: Store, notifications: Notifications, attempts: int = ATTEMPTS) -> None:
        self._store, self._notifications, self._attempts = store, notifications, attempts
        self._closing = False

    def close(self) -> None:
        """Let everybody who waits go home with nothing, so that the process can stop."""
        self._closing = True
        self._notifications.wake()

    async def lease(self, who: Caller, worker: str, most: int, seconds: float, wait: float) -> list[Leased]:
        """Up to `most` changes (0: 32, at most 500) that nobody else gets for `seconds` (0: 60).

        Where there are none, waits up to `wait` seconds for the first, holding no connection. What was taken several
        times and neither acknowledged nor failed is set aside, unless its worker came back to ask again.

        Raises:
            Invalid: A value is negative or too large.
        """
        _check_lease(worker, most, seconds, wait)
        until = time.monotonic() + (deadline.remaining(wait) if wait else 0)
        while True:
            ticket = self._notifications.ticket()
            leased = await self._take(who, worker, most or BATCH, seconds or LEASE)
            left = until - time.monotonic()
            if leased or left <= 0 or self._closing:
                metrics.FEED_LEASED.inc(len(leased))
                metrics.FEED_REDELIVERED.inc(sum(change.attempts > 1 for change in leased))
                return leased
            await self._notifications.wait(ticket, min(left, await self._next_look(who, left)))

    async def renew(self, who: Caller, worker: str, seconds: float) -> int:
        """Let `worker` keep what it holds for `seconds` (0: 60) from now; answers how many changes those are.

        Raises:
            Invalid: A value is negative or too large.
        """
        _check_lease(worker, 0, seconds, 0)
        return await self._store.run(who, lambda s: s.feed.renew(worker, seconds or LEASE), everywhere=True)

    async def acknowledge(self, who: Caller, done: Sequence[tuple[str, str, int]]) -> int:
        """Take (namespace, item, change) off the feed; one that changed again meanwhile stays."""
        _check_names("done", done)
        return await self._store.run(who, lambda session: session.feed.acknowledge(done), everywhere=True)

    async def fail(self, who: Caller, failed: Sequence[Failed]) -> int:
        """Take changes back from a worker that could do nothing with them; answers how many are set aside with it.

        They come again after a while that grows with every attempt, until they are set aside.
        """
        _check_names("failed", [(f.namespace, f.item_id, f.change_id) for f in failed])
        kept = [replace(failure, reason=_reason(failure.reason)) for failure in failed]
        given_up = await self._store.run(who, lambda session: session.aside.fail(kept, self._attempts), everywhere=True)
        metrics.FEED_FAILED.inc(len(kept))
        for item_id in given_up:
            log.warning("change_set_aside", item_id=item_id)
        return len(given_up)

    async def replay(self, who: Caller, *, every_namespace: bool) -> int:
        """Put every item of the caller's namespace, or of all, on the feed again; answers how many."""
        namespace = "" if every_namespace else who.namespace

        async def work(session: Session) -> int:
            replayed = await session.feed.replay(every_namespace=every_namespace)
            await session.audit.write("replay", detail=f"{replayed} changes", namespace=namespace)
            return replayed

        return await self._store.run(who, work, everywhere=every_namespace)

    async def status(self, who: Caller) -> Status:
        """How much is pending, over all namespaces."""
        status = await self._store.run(who, lambda session: session.feed.status(), everywhere=True)
        metrics.FEED_PENDING.set(status.pending)
        metrics.FEED_LAG.set(status.lag.total_seconds())
        metrics.FEED_SET_ASIDE.set(status.set_aside)
        return status

    async def count_access(self, who: Caller, seen: Sequence[tuple[str, str, int]]) -> list[tuple[str, str, int]]:
        """Count (namespace, item, times) as handed out today; answers what each comes to in 30 days."""
        _check_names("accesses", seen)
        if not all(0 <= count <= MOST_ACCESSES for _, _, count in seen):
            raise Invalid({"accesses": [f"have counts that are not from 0 to {MOST_ACCESSES}"]})
        return await self._store.run(who, lambda session: session.feed.count_access(seen), everywhere=True)

    async def _take(self, who: Caller, worker: str, most: int, seconds: float) -> list[Leased]:
        return await self._store.run(
            who, lambda s: s.feed.lease(worker, most, seconds, self._attempts), everywhere=True
        )

    async def _next_look(self, who: Caller, otherwise: float) -> float:
        """Seconds until a lease ends, which nobody notifies of."""
        expiry = await self._store.run(who, lambda session: session.feed.next_expiry(), everywhere=True)
        return otherwise if expiry is None else max(expiry, SOONEST_LOOK)


def _reason(text: str) -> str:
    """`text` as far as it can be kept and shown."""
    return "".join(c if c.isprintable() else " " for c in text[:REASON]) or "no reason given"


def _check_names(name: str, entries: Sequence[tuple[str, str, int]]) -> None:
    if any("\0" in namespace + item_id for namespace, item_id, _ in entries):
        raise Invalid({name: ["name something with a NUL character"]})


def _check_lease(worker: str, most: int, seconds: float, wait: float) -> None:
    limits = {"max_changes": (most, MOST), "lease": (seconds, LONGEST_LEASE), "wait": (wait, LONGEST_WAIT)}
    wrong = {name: [f"must be from 0 to {most:g}"] for name, (value, most) in limits.items() if not 0 <= value <= most}
    if not worker.strip() or "\0" in worker:
        wrong["worker"] = ["is required"]
    if wrong:
        raise Invalid(wrong)
