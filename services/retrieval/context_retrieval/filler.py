"""Computes what is missing of items that are indexed: vectors that were not to be had, and the impacts of words, which
the release before did not know. What lacks them in the database is the queue.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import structlog

from context_common.errors import AppError, TooLate
from context_common.redact import redact
from context_retrieval import metrics
from context_retrieval.embedder import Embedder
from context_retrieval.indexer import as_service, at_fault, own_fault
from context_retrieval.model import Document, Key
from context_retrieval.prepare import Preparer
from context_retrieval.store import CLAIM, Index

BATCH = 8
TURN = 256  # vectors computed for one batch, shared among its items; then others have their turn
RETRY = 1.0  # seconds between looks at an embedding service that is away, while something waits for it
WAIT = 20.0  # seconds for the vectors of one batch; what is done by then is kept
LOOK = 60.0  # seconds between looks for what another process left behind
PUT_OFF = 600.0  # seconds until an item comes again that fails by itself
PROBE = ["Does the model work?"]
WEIGHED = 200  # documents weighed in one transaction

log = structlog.get_logger()


class Filler:
    """One per process; processes share the work by claims. `lacking` wakes it."""

    def __init__(self, index: Index, embedder: Embedder, preparer: Preparer, lacking: asyncio.Event) -> None:
        self._index, self._embedder, self._preparer, self._lacking = index, embedder, preparer, lacking

    async def run(self) -> None:
        """Fill until cancelled."""
        weighed: Key | None = Key("", "")
        while True:
            self._lacking.clear()
            as_service()
            try:
                while weighed:
                    weighed = await self._index.weigh(weighed, WEIGHED)
                await self.fill_all()
            except AppError as error:
                log.info("filling_waits", reason=error.message)
                await asyncio.sleep(RETRY)
            except Exception:  # a filler that dies would leave items without vectors silently
                log.exception("filling_failed")
                await asyncio.sleep(RETRY)
            else:
                await self._woken()

    async def _woken(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK):
                await self._lacking.wait()

    async def fill_all(self) -> None:
        """Fill what lacks vectors of the model in use, until nothing is left that can be done now.

        Raises:
            AppError: The embedding service or the database is away, full or late.
        """
        # Which model it is may change meanwhile: what the new one fills would lack vectors of the old one for ever.
        while documents := await self._index.claim_incomplete((await self._embedder.describe()).id, BATCH):
            put_off: set[Key] = set()
            try:
                put_off = await self._fill(documents)
                if put_off:
                    await self._index.defer(sorted(put_off), PUT_OFF)
            finally:  # what is not complete comes again when all the others have had their turn
                await self._index.defer([one.key for one in documents if one.key not in put_off])

    async def _fill(self, documents: Sequence[Document]) -> set[Key]:
        """Give `documents` a turn; answers those that fail by themselves while others would not."""
        error = await self._turn(documents)
        if error is None:
            return set()
        await self._probe()  # where that fails too nothing is wrong with them, and they wait
        failed: dict[Key, Exception] = {}
        for document in documents:
            await self._index.defer([document.key], CLAIM)
            if alone := await self._turn([document], alone=True):
                failed[document.key] = alone
        alone_at_fault = {key for key, alone in failed.items() if await at_fault(alone, self._index)}
        if alone_at_fault:
            await self._probe()
        elif len(failed) == len(documents):
            raise error
        for key in alone_at_fault:
            metrics.PUT_OFF.inc()
            reason = redact(str(failed[key])).text  # an embedding service may quote what it refuses
            log.warning("item_without_vectors", namespace=key.namespace, item_id=key.item_id, reason=reason)
        return alone_at_fault

    async def _probe(self) -> None:
        """Raise AppError where the embedding service does nothing for anybody."""
        async for _ in self._embedder.embed(PROBE, WAIT):
            pass

    async def _turn(self, documents: Sequence[Document], *, alone: bool = False) -> Exception | None:
        """Compute some of what is missing, and keep what came of it; answers what may be the fault of one of them.

        Where that is known to be the one that stands `alone`, passages that fail are left out: while others of it are
        gained nothing is said of them, and when only they are left the item is at fault.

        Raises:
            AppError: The embedding service is away, full, or too late for anything.
        """
        try:
            prepared = await self._preparer.complete(documents, WAIT, TURN, around=alone)
            await self._index.fill(prepared.entries)
        except Exception as error:  # noqa: BLE001 - the others come again without the one at fault, which is logged
            return error
        metrics.FILLED.inc(sum(bool(entry.model_id) for entry in prepared.entries))
        stopped = prepared.stopped
        if stopped is None:
            return None
        its_fault = own_fault(stopped)
        if prepared.gained and (isinstance(stopped, TooLate) or (alone and its_fault)):
            return None  # it works, and goes on working
        if its_fault:
            return stopped
        raise stopped
