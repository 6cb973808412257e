"""Keeps what every question was asked and answered, for those who wonder later; purges what is old.

Receipts are written together, those of a moment in one round trip. A question waits for that only where the queue is
full.
"""

import asyncio
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from context.v1 import retrieval_pb2 as pb
from context_common.caller import EVERY, Caller
from context_common.errors import AppError, NotFound
from context_common.redact import redact
from context_retrieval import metrics
from context_retrieval.bundle import Omission
from context_retrieval.model import Receipt
from context_retrieval.store import Receipts

QUEUE = 2000  # receipts that wait to be written
BATCH = 200  # in one transaction
LINGER = 0.1  # seconds that the first of them waits: its answer goes out before
PATIENCE = 0.5  # seconds that a question waits for room in the queue
RETRY = 1.0  # seconds between attempts while the database is away
FLUSH = 5.0  # seconds at the end for what is not written yet
YOUNG = 3.0  # seconds for which a receipt that is not there may still be on its way
SKEW = 1.0  # seconds by which the clocks of two processes may differ
LOOK_AGAIN = (2 * LINGER, 5 * LINGER)  # seconds before each further look for what another process may be writing
PURGE_EVERY = 600.0  # seconds
PURGE = 500  # receipts of one transaction
NONE = "There is no such receipt."

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question that was answered, as it comes from the caller: secrets and all, but without its bundle."""

    who: Caller
    asked: pb.QueryContextRequest
    asked_at: datetime
    namespaces: tuple[str, ...]
    query_id: str
    entries: Sequence[pb.BundleEntry]
    omitted: Sequence[Omission]
    tokens: int
    degraded: bool

    def receipt(self) -> Receipt:
        """What is kept of it."""
        kept = pb.GetReceiptResponse(
            asked=self.asked,
            entries=self.entries,
            omitted=[pb.Omission(id=o.item_id, reason=o.reason, tokens=o.tokens) for o in self.omitted],
            tokens_used=self.tokens,
            degraded=self.degraded,
        )
        kept.asked.query = redact(self.asked.query).text
        kept.asked.filter.tags[:] = [redact(tag).text for tag in self.asked.filter.tags]
        kept.asked.filter.namespaces[:] = self.namespaces
        return Receipt(
            query_id=uuid.UUID(self.query_id),
            namespaces=self.namespaces,
            asked_at=self.asked_at,
            principal=self.who.principal,
            request_id=self.who.request_id,
            body=kept.SerializeToString(),
        )


class Ledger:
    """One per process. Receipts are kept for `days`."""

    def __init__(self, store: Receipts, days: int) -> None:
        self._store, self._days = store, timedelta(days=days)
        self._queue: asyncio.Queue[Question] = asyncio.Queue(QUEUE)
        self._unwritten: dict[str, asyncio.Event] = {}  # by the id of its query; set when it is written
        self._stuck = False  # the last attempt to write failed: room may take long to come

    async def keep(self, question: Question) -> None:
        """Have a receipt written; waits only where too many are waiting already, and gives up soon."""
        try:
            if self._queue.full():
                async with asyncio.timeout(0 if self._stuck else PATIENCE):
                    await self._queue.put(question)
            else:
                self._queue.put_nowait(question)
        except TimeoutError:
            _lost(1, "the queue is full")
        else:
            self._unwritten[question.query_id] = asyncio.Event()

    async def write(self) -> None:
        """Write what comes until cancelled."""
        while True:
            batch = [await self._queue.get()]
            await asyncio.sleep(LINGER)
            while len(batch) < BATCH and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            try:
                await self._write([question.receipt() for question in batch])
            finally:
                for question in batch:
                    self._settle(question)
                    self._queue.task_done()

    async def flush(self) -> None:
        """Return when all that was to be kept is written, or after a few seconds."""
        try:
            async with asyncio.timeout(FLUSH):
                await self._queue.join()
        except TimeoutError:
            _lost(self._queue.qsize() + 1, "the database is away")

    async def purge(self) -> None:
        """Drop what is too old, now and then, until cancelled; a few at a time, so that nobody waits for it."""
        while True:
            try:
                while dropped := await self._store.purge(datetime.now(UTC) - self._days, PURGE):
                    metrics.RECEIPTS.labels("purged").inc(dropped)
            except AppError as error:
                log.info("purging_waits", reason=error.message)
            except Exception:  # one that dies would let the table grow silently
                log.exception("purging_failed")
            await asyncio.sleep(PURGE_EVERY)

    async def find(self, query_id: str, who: Caller) -> pb.GetReceiptResponse:
        """The receipt of a query, for those who may read every namespace that it asked.

        Raises:
            NotFound: There is none, or it is not for `who`.
        """
        key = _key(query_id)
        found = await self._look(key, None if EVERY in who.readable else (who.namespace, *who.readable))
        if found is None or not all(map(who.may_read, found.namespaces)):
            raise NotFound(NONE)
        answer = pb.GetReceiptResponse.FromString(found.body)
        answer.query_id, answer.principal, answer.request_id = str(found.query_id), found.principal, found.request_id
        answer.asked_at.FromDatetime(found.asked_at)
        return answer

    async def _look(self, key: uuid.UUID, readable: Sequence[str] | None) -> Receipt | None:
        """The receipt under `key`, once it can be there. What nobody asked costs a look or none, or few where its id is
        young: anybody may make one up.
        """
        if written := self._unwritten.get(str(key)):
            with suppress(TimeoutError):
                async with asyncio.timeout(YOUNG):
                    await written.wait()
        elif _age(key) < -SKEW:
            return None
        found = await self._store.find(key, readable)
        for wait in LOOK_AGAIN:
            if found or _age(key) >= YOUNG:
                break
            await asyncio.sleep(wait)
            found = await self._store.find(key, readable)
        return found

    def _settle(self, question: Question) -> None:
        """Let those go on who wait for its receipt."""
        if written := self._unwritten.pop(question.query_id, None):
            written.set()

    async def _write(self, receipts: Sequence[Receipt]) -> None:
        while True:
            try:
                await self._store.keep(receipts)
            except AppError as error:
                self._stuck = True
                log.warning("receipts_wait", reason=error.message, receipts=len(receipts))
                await asyncio.sleep(RETRY)
            except Exception:  # one of them is at fault, and must not take the others with it
                if len(receipts) == 1:
                    log.exception("receipt_not_written", query_id=str(receipts[0].query_id))
                    metrics.RECEIPTS.labels("lost").inc()
                    return
                for receipt in receipts:
                    await self._write([receipt])
                return
            else:
                self._stuck = False
                metrics.RECEIPTS.labels("kept").inc(len(receipts))
                return


def _lost(receipts: int, reason: str) -> None:
    metrics.RECEIPTS.labels("lost").inc(receipts)
    log.warning("receipts_lost", receipts=receipts, reason=reason)


def _key(query_id: str) -> uuid.UUID:
    try:
        key = uuid.UUID(query_id)
    except ValueError:
        raise NotFound(NONE) from None
    if str(key) != query_id:
        raise NotFound(NONE)
    return key


def _age(key: uuid.UUID) -> float:
    """Seconds since the query was asked, as its id has it; below 0 where that is still to come."""
    return time.time() - (key.int >> 80) / 1000
