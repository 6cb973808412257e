"""Computes the vectors that were missing when items were indexed. What lacks them in the database is the queue."""

import asyncio

import structlog

from context_common.errors import AppError
from context_retrieval import metrics
from context_retrieval.embedder import Embedder
from context_retrieval.indexer import as_service
from context_retrieval.model import Key
from context_retrieval.prepare import Preparer
from context_retrieval.store import Index

BATCH = 16
RETRY = 1.0  # seconds between looks at an embedding service that is away, while something waits for it
LOOK = 60.0  # seconds between looks for what another process left behind
MOST_SKIPPED = 1000

log = structlog.get_logger()


class Filler:
    """One per process; processes share the work by claims. `lacking` wakes it."""

    def __init__(self, index: Index, embedder: Embedder, preparer: Preparer, lacking: asyncio.Event) -> None:
        self._index, self._embedder, self._preparer, self._lacking = index, embedder, preparer, lacking
        self._skipped: dict[Key, None] = {}  # those that failed here; a new process tries them again

    async def run(self) -> None:
        """Fill until cancelled."""
        while True:
            self._lacking.clear()
            as_service()
            try:
                done = await self.fill_all()
            except AppError as error:
                log.info("filling_waits", reason=error.message)
                done = False
            except Exception:  # a filler that dies would leave items without vectors silently
                log.exception("filling_failed")
                done = False
            if not done:
                await asyncio.sleep(RETRY)
                continue
            try:
                async with asyncio.timeout(LOOK):
                    await self._lacking.wait()
            except TimeoutError:
                continue

    async def fill_all(self) -> bool:
        """Fill what lacks vectors of the model in use; answers whether nothing is left that this process can do."""
        model = await self._embedder.describe()
        while True:
            documents = await self._index.claim_incomplete(model.id, BATCH, list(self._skipped))
            if not documents:
                return True
            keys = [document.key for document in documents]
            try:
                entries = await self._preparer.prepare(documents)
                filled = await self._index.fill([entry for entry in entries if entry.model_id])
            except AppError:
                await self._index.release(keys)
                raise
            except Exception:  # something is wrong with one of them: leave these, go on with the others
                log.exception("items_not_filled", item_ids=[key.item_id for key in keys])
                self._skip(keys)
                continue
            metrics.FILLED.inc(filled)
            left = [entry.document.key for entry in entries if not entry.model_id]
            if left:
                await self._index.release(left)
                return False

    def _skip(self, keys: list[Key]) -> None:
        for key in keys:
            self._skipped.pop(key, None)
            self._skipped[key] = None
        while len(self._skipped) > MOST_SKIPPED:
            self._skipped.pop(next(iter(self._skipped)))
