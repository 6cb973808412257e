"""Follows knowledge's feed: lease → prepare → store → acknowledge. Woken by the long poll, never by a timer."""

import asyncio
import time
from collections.abc import Sequence

import structlog
from google.protobuf.duration_pb2 import Duration
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from context.v1 import knowledge_pb2 as pb
from context.v1 import knowledge_pb2_grpc as rpc
from context_common import caller, chores, tracing
from context_common.client import call
from context_common.errors import AppError, Invalid, Overloaded, Unavailable
from context_common.postgres import NotAnswered
from context_common.redact import redact
from context_retrieval import metrics
from context_retrieval.document import from_change
from context_retrieval.embedder import Failed
from context_retrieval.prepare import Preparer
from context_retrieval.store import Index

BATCH = 12  # changes taken at once: more are quicker in all, and who writes meanwhile waits for them
LEASE = 15  # seconds: so long an indexer that died keeps its items from the others
RENEW = 5.0  # seconds between renewals of it while a batch is at work, which on a slow machine takes longer
LONGEST_WORK = 600.0  # seconds after which it is renewed no more: such work may never end, and another has a try
POLL = 20  # seconds to hold the feed's call open
CALL = 10.0  # seconds for a call that does not wait
PAUSE = 0.5  # seconds after a failure, growing to
LONGEST_PAUSE = 5.0
LONGEST_REASON = 500  # characters of why a change failed
ANALYZE_LEAST = 50  # changes stored before the planner's statistics are renewed, and then this share more
ANALYZE_SHARE = 0.2

RETRY = 4.0  # seconds, well within the lease
BUSY = retry_if_exception_type((Unavailable, Overloaded))
BACK_OFF = wait_random_exponential(multiplier=0.05, max=1)

log = structlog.get_logger()


def as_service(namespace: str = "default") -> None:
    """Let this task call the other services as retrieval itself."""
    scopes = frozenset({caller.SERVICE})
    caller.bind(caller.Caller(namespace, "service:retrieval", caller.new_request_id(), scopes=scopes))


class Indexer:
    """One worker on the feed; any number of them may run, here and in other processes."""

    def __init__(
        self,
        feed: "rpc.KnowledgeServiceAsyncStub",
        index: Index,
        preparer: Preparer,
        *,
        name: str,
        lacking: asyncio.Event,
    ) -> None:
        self._feed, self._index, self._preparer, self._name = feed, index, preparer, name
        self._lacking = lacking  # set when something was stored without its vectors
        self._stored = self._analyzed_at = 0

    async def run(self) -> None:
        """Follow the feed until cancelled; what fails is tried again."""
        pause = PAUSE
        while True:
            as_service()
            try:
                await self.step(POLL)
                pause = PAUSE
            except AppError as error:
                log.warning("indexing_paused", reason=error.message, seconds=pause)
            except Exception:  # a worker that dies would stop the index silently
                log.exception("indexing_failed")
            else:
                continue
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def step(self, wait: float) -> int:
        """Take one batch, waiting `wait` seconds for its first change, and deal with it; answers its size."""
        request = pb.LeaseChangesRequest(
            worker=self._name, max_changes=BATCH, lease=Duration(seconds=LEASE), wait=_duration(wait)
        )
        leased = await call(self._feed.LeaseChanges, request, within=wait + CALL)
        if not leased.changes:
            return 0
        renewing = chores.start(self._renew())
        try:
            with tracing.begin("index", {}, {"context.changes": len(leased.changes)}):
                await self._deal_with(leased.changes)
        finally:
            await chores.end([renewing])
        return len(leased.changes)

    async def _renew(self) -> None:
        """Keep what is leased from the other indexers while it is worked on."""
        request = pb.RenewChangesRequest(worker=self._name, lease=Duration(seconds=LEASE))
        until = time.monotonic() + LONGEST_WORK
        while time.monotonic() < until:
            await asyncio.sleep(RENEW)
            try:
                await call(self._feed.RenewChanges, request, within=RENEW)
            except (AppError, RuntimeError) as error:  # the release before knows of none; then another does it as well
                log.info("lease_not_renewed", reason=str(error))

    async def _deal_with(self, changes: Sequence[pb.Change]) -> None:
        """Index `changes` and tell the feed what became of each."""
        failed = await self._store(changes)
        bad = {failure.change.change_id for failure in failed}
        done = [_ref(change) for change in changes if change.change_id not in bad]
        if done:
            await call(self._feed.AckChanges, pb.AckChangesRequest(done=done), within=CALL)
        if failed:
            await call(self._feed.FailChanges, pb.FailChangesRequest(failed=failed), within=CALL)
        await self._keep_statistics(len(done))

    async def _store(self, changes: Sequence[pb.Change]) -> list[pb.ChangeFailure]:
        """Index `changes` together, or one by one where one of them spoils that; answers those that failed alone."""
        try:
            await self._index_all(changes)
        except Exception as error:
            if not await at_fault(error, self._index):
                raise
            failed = [(changes[0], error)] if len(changes) == 1 else await self._store_each(changes)
        else:
            return []
        return [_failure(change, error) for change, error in failed]

    async def _store_each(self, changes: Sequence[pb.Change]) -> list[tuple[pb.Change, Exception]]:
        """Index `changes` one by one; answers those that failed, and how.

        Where the database took none of them, though it answers, it is ill: then none is at fault.
        """
        failed: list[tuple[pb.Change, Exception]] = []
        for change in changes:
            try:
                await self._index_all([change])
            except Exception as error:
                if not await at_fault(error, self._index):
                    raise
                failed.append((change, error))
            else:  # at once, since the lease may end before the last of them is through
                await call(self._feed.AckChanges, pb.AckChangesRequest(done=[_ref(change)]), within=CALL)
        if len(failed) == len(changes) and not any(own_fault(error) for _, error in failed):
            raise failed[0][1]
        return failed

    async def _index_all(self, changes: Sequence[pb.Change]) -> None:
        with metrics.stage("index"):
            entries = await self._preparer.prepare([from_change(change) for change in changes])
            # A moment's trouble with the database should not cost the wait until the lease runs out.
            async for attempt in AsyncRetrying(retry=BUSY, stop=stop_after_delay(RETRY), wait=BACK_OFF, reraise=True):
                with attempt:
                    metrics.INDEXED.inc(await self._index.apply(entries))
        if any(not entry.model_id and not entry.document.deleted for entry in entries):
            self._lacking.set()

    async def _keep_statistics(self, stored: int) -> None:
        """Renew the planner's statistics when the index has grown enough since the last time."""
        self._stored += stored
        if self._stored - self._analyzed_at >= max(ANALYZE_LEAST, self._analyzed_at * ANALYZE_SHARE):
            self._analyzed_at = self._stored
            await self._index.analyze()


def own_fault(error: Exception) -> bool:
    """Whether the item itself is to blame: anything but a part that is away, full or late."""
    return isinstance(error, Invalid | Failed) or not isinstance(error, AppError)


async def at_fault(error: Exception, index: Index) -> bool:
    """Whether an item may be to blame for `error`: by its nature, or since the database answers, but not to this.

    Raises:
        Unavailable: The database does not answer.
    """
    if isinstance(error, NotAnswered):
        await index.ping()
        return True
    return own_fault(error)


def _failure(change: pb.Change, error: Exception) -> pb.ChangeFailure:
    """What is told of a change that failed; in the database's own words where it did not answer."""
    told = error.__cause__ if isinstance(error, NotAnswered) and error.__cause__ else error
    reason = redact(f"{type(told).__name__}: {told}").text[:LONGEST_REASON]
    metrics.INDEX_FAILURES.inc()
    where = None if isinstance(error, AppError) else error  # a defect
    log.error("item_not_indexed", namespace=change.namespace, item_id=change.item_id, reason=reason, exc_info=where)
    return pb.ChangeFailure(change=_ref(change), reason=reason)


def _ref(change: pb.Change) -> pb.ChangeRef:
    return pb.ChangeRef(namespace=change.namespace, item_id=change.item_id, change_id=change.change_id)


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromMilliseconds(int(seconds * 1000))
    return duration
