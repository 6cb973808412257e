"""How far the index has followed knowledge, and what it could not follow."""

import asyncio
import time

from context.v1 import knowledge_pb2
from context.v1 import knowledge_pb2_grpc as knowledge_rpc
from context.v1 import retrieval_pb2 as pb
from context_common import caller, deadline
from context_common.client import call
from context_common.postgres import Notifications, Reads
from context_retrieval.embedder import Embedder
from context_retrieval.indexer import as_service
from context_retrieval.store import Status

LONGEST_WAIT = 30.0  # seconds
LOOK_AGAIN = 1.0  # seconds, should a notification get lost
AT_ONCE = 50  # points of a longer wait that are looked for at once: the others are not reached before those are
REST = 0.05  # of the time waited so far goes by before another look: an import waits for every batch, among others
CALL = 5.0  # seconds for a call to knowledge


class Progress:
    """How far the index has followed knowledge."""

    def __init__(
        self,
        status: Status,
        indexed: Notifications,
        knowledge: "knowledge_rpc.KnowledgeServiceAsyncStub",
        embedder: Embedder,
        reads: Reads,
    ) -> None:
        self._status, self._indexed, self._knowledge, self._embedder = status, indexed, knowledge, embedder
        self._reads = reads

    async def wait(self, namespace: str, points: list[tuple[str, int]], seconds: float) -> list[bool]:
        """Whether each change is indexed, once all are or `seconds` are over; then every process finds it."""
        seconds, began = min(seconds, LONGEST_WAIT), time.monotonic()
        until = began + deadline.remaining(seconds) if seconds > 0 else began
        # The order in which they were made, which is about that in which they are indexed.
        missing = sorted(range(len(points)), key=lambda place: points[place][1])
        while True:
            ticket = self._indexed.ticket()
            over = time.monotonic() >= until
            asked = missing if over else missing[:AT_ONCE]
            reached = await self._status.reached(namespace, [points[place] for place in asked])
            missing = [place for place, found in zip(asked, reached, strict=True) if not found] + missing[len(asked) :]
            if over or not missing:
                break
            if not all(reached):
                await self._pause(ticket, began, until)
        if len(missing) < len(points):
            await self._reads.settle()
        left = set(missing)
        return [place not in left for place in range(len(points))]

    async def _pause(self, ticket: asyncio.Event, began: float, until: float) -> None:
        """Until there may be more to find, or the wait is over."""
        now = time.monotonic()
        await asyncio.sleep(min((now - began) * REST, until - now))
        await self._indexed.wait(ticket, min(until - time.monotonic(), LOOK_AGAIN))

    async def status(self, namespace: str) -> pb.GetIndexStatusResponse:
        """What is indexed in `namespace`, and what waits in all of them."""
        model = self._embedder.model
        counts = await self._status.counts(namespace, model.id if model else "")
        as_service(namespace)
        feed = await call(self._knowledge.GetFeedStatus, knowledge_pb2.GetFeedStatusRequest(), within=CALL)
        return pb.GetIndexStatusResponse(
            pending=feed.pending,
            lag=feed.lag,
            model_id=model.id if model else "",
            items=counts.items,
            chunks=counts.chunks,
            unembedded_chunks=counts.unembedded,
            set_aside=feed.set_aside,
        )

    async def rebuild(self, who: caller.Caller, *, every_namespace: bool) -> int:
        """Ask for every item again, of the caller's namespace or of all; answers how many will come."""
        as_service(who.namespace)
        request = knowledge_pb2.ReplayChangesRequest(every_namespace=every_namespace)
        return int((await call(self._knowledge.ReplayChanges, request, within=LONGEST_WAIT)).replayed)
