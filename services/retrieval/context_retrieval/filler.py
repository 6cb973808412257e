"""Computes what is missing of items that are indexed: vectors that were not to be had, and the impacts of words, which
the release before did not know. What lacks them in the database is the queue.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import structlog

from context_common.errors import AppError, Invalid
from context_retrieval import metrics
from context_retrieval.embedder import Embedder
from context_retrieval.indexer import as_service
from context_retrieval.model import Document, Key
from context_retrieval.prepare import Preparer
from context_retrieval.store import Index

BATCH = 8
RETRY = 1.0  # seconds between looks at an embedding service that is away, while something waits for it
WAIT = 20.0  # seconds for the vectors of one batch; what is done by then is kept
LOOK = 60.0  # seconds between looks for what another process left behind
MOST_SKIPPED = 1000
WEIGHED = 200  # documents weighed in one transaction

log = structlog.get_logger()


class Filler:
    """One per process; processes share the work by claims. `lacking` wakes it."""

    def __init__(self, index: Index, embedder: Embedder, preparer: Preparer, lacking: asyncio.Event) -> None:
        self._index, self._embedder, self._preparer, self._lacking = index, embedder, preparer, lacking
        self._skipped: dict[Key, None] = {}  # those that failed here; a new process tries them again

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
        """Fill what lacks vectors of the model in use, until nothing is left that this process can do.

        Raises:
            AppError: The embedding service or the database is away.
        """
        # Which model it is may change meanwhile: what the new one fills would lack vectors of the old one for ever.
        while documents := await self._claim((await self._embedder.describe()).id):
            try:
                left = await self._fill(documents)
                if left:
                    await self._embedder.describe()  # raises when it is away: then they wait, and nothing is wrong
                for document in left:
                    if await self._fill([document]):
                        self._skip(document.key)
            finally:
                await self._index.release([document.key for document in documents])

    async def _claim(self, model_id: str) -> list[Document]:
        return await self._index.claim_incomplete(model_id, BATCH, list(self._skipped))

    async def _fill(self, documents: Sequence[Document]) -> list[Document]:
        """Compute what is missing, and keep what came of it; answers those that still lack something."""
        try:
            entries = await self._preparer.prepare(documents, WAIT)
            await self._index.fill(entries)
        except Exception as error:  # one of them is at fault: the others come again without it
            if isinstance(error, AppError) and not isinstance(error, Invalid):
                raise
            log.exception("items_not_filled", item_ids=[document.key.item_id for document in documents])
            return list(documents)
        left = [entry.document for entry in entries if not entry.model_id]
        metrics.FILLED.inc(len(documents) - len(left))
        return left

    def _skip(self, key: Key) -> None:
        log.warning("item_without_vectors", namespace=key.namespace, item_id=key.item_id)
        self._skipped[key] = None
        while len(self._skipped) > MOST_SKIPPED:
            self._skipped.pop(next(iter(self._skipped)))
