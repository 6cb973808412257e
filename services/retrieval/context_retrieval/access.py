"""Counts which items were handed out and tells knowledge now and then. Losing some is fine, growing is not.

Knowledge answers what they come to, by which the index ranks: items change seldom, and would tell of it only then.
"""

import asyncio
from collections import Counter

import structlog

from context.v1 import knowledge_pb2 as pb
from context.v1 import knowledge_pb2_grpc as rpc
from context_common.client import call
from context_common.errors import AppError
from context_retrieval import metrics
from context_retrieval.indexer import as_service
from context_retrieval.model import Key
from context_retrieval.store import Index

EVERY = 5.0  # seconds
MOST = 10_000  # items counted between two reports
BATCH = 1_000
LOOK = 60.0  # seconds between looks at a batch of those counted before: what nobody asks for any more counts less

log = structlog.get_logger()


class AccessCounter:
    """Collects accesses and reports them in batches."""

    def __init__(self, knowledge: "rpc.KnowledgeServiceAsyncStub", index: Index) -> None:
        self._knowledge, self._index = knowledge, index
        self._counts: Counter[Key] = Counter()
        self._looked_at = Key("", "")

    def add(self, keys: list[Key]) -> None:
        """Count one access of each of `keys`."""
        for key in keys:
            if key in self._counts or len(self._counts) < MOST:
                self._counts[key] += 1
            else:
                metrics.ACCESSES_LOST.inc()

    async def run(self) -> None:
        """Report every few seconds until cancelled, then once more."""
        as_service()
        try:
            while True:
                await asyncio.sleep(EVERY)
                await self.report()
        finally:
            await self.report()

    async def report(self) -> None:
        """Send what was counted; what cannot be delivered is given up."""
        counts, self._counts = self._counts, Counter()
        items = list(counts.items())
        for at in range(0, len(items), BATCH):
            batch = items[at : at + BATCH]
            accesses = [pb.Access(namespace=key.namespace, item_id=key.item_id, count=n) for key, n in batch]
            try:
                counted = await call(
                    self._knowledge.RecordAccess, pb.RecordAccessRequest(accesses=accesses), within=2.0
                )
            except (AppError, RuntimeError) as error:  # whatever it is, the next report may fare better
                metrics.ACCESSES_LOST.inc(sum(count for _, count in batch))
                log.info("accesses_lost", items=len(batch), reason=str(error))
            else:
                await self._rank_by({Key(one.namespace, one.item_id): one.count for one in counted.totals})

    async def look_again(self) -> None:
        """Have the next report ask what those of a batch of items come to that were handed out earlier."""
        found, last = await self._index.used(self._looked_at, BATCH)
        self._looked_at = last or Key("", "")
        self._counts.update(dict.fromkeys(found, 0))

    async def _rank_by(self, totals: dict[Key, int]) -> None:
        try:
            if totals:
                await self._index.count_use(totals)
        except AppError as error:
            log.info("use_not_ranked", items=len(totals), reason=error.message)
