"""The gRPC skin of retrieval: checks what comes in, hands it on, and puts the answer on the wire."""

import time
from collections.abc import Callable
from typing import Any

from google.protobuf.duration_pb2 import Duration

from context.v1 import knowledge_pb2, types_pb2
from context.v1 import knowledge_pb2_grpc as knowledge_rpc
from context.v1 import retrieval_pb2 as pb
from context.v1 import retrieval_pb2_grpc as rpc
from context_common import caller, deadline
from context_common.client import call
from context_common.postgres import Notifications
from context_retrieval import metrics
from context_retrieval.access import AccessCounter
from context_retrieval.answer import Answerer, shown
from context_retrieval.bundle import Item
from context_retrieval.checks import LEAST_TOKENS, MOST_TOKENS, TOKENS, Checks
from context_retrieval.embedder import Embedder
from context_retrieval.excerpt import excerpt, shorten
from context_retrieval.fence import clean
from context_retrieval.indexer import as_service
from context_retrieval.model import Glimpse
from context_retrieval.rank import Mode, Scored
from context_retrieval.search import Found, Request, Searcher, Timings
from context_retrieval.store import Reader, Status

SNIPPET = 300  # characters
LONGEST_WAIT = 30.0  # seconds
LOOK_AGAIN = 1.0  # seconds, should a notification get lost
CALL = 5.0  # seconds for a call to knowledge
MODES = {
    pb.SEARCH_MODE_UNSPECIFIED: Mode.HYBRID,
    pb.SEARCH_MODE_HYBRID: Mode.HYBRID,
    pb.SEARCH_MODE_SEMANTIC: Mode.SEMANTIC,
    pb.SEARCH_MODE_KEYWORD: Mode.KEYWORD,
}


class RetrievalServicer(rpc.RetrievalServiceServicer):
    """Search, bundles, and how far the index is."""

    def __init__(
        self,
        searcher: Searcher,
        answerer: Answerer,
        reader: Reader,
        progress: "Progress",
        accesses: AccessCounter,
    ) -> None:
        self._searcher, self._answerer, self._reader = searcher, answerer, reader
        self._progress, self._accesses = progress, accesses

    async def QueryContext(self, request: pb.QueryContextRequest, context: Any) -> pb.QueryContextResponse:
        checks = Checks()
        query = checks.query(request.query)
        budget = checks.number("max_tokens", request.max_tokens, TOKENS, LEAST_TOKENS, MOST_TOKENS)
        floor = checks.share("min_score", request.min_score) if request.HasField("min_score") else None
        wanted = checks.filter(request.filter, caller.current())
        checks.complain()
        timings = Timings()
        asked = Request(query, wanted, floor=floor)
        found = await self._answerer.answer(asked, budget, explain=request.explain, timings=timings)
        metrics.QUERIES.labels(str(found.degraded).lower()).inc()
        self._accesses.add(shown(found.packed))
        return pb.QueryContextResponse(
            query_id=found.query_id,
            bundle=found.packed.json,
            tokens_used=found.packed.tokens,
            degraded=found.degraded,
            entries=[_entry(item, tokens) for item, tokens in found.packed.items],
            cost=_cost(timings),
        )

    async def Search(self, request: pb.SearchRequest, context: Any) -> pb.SearchResponse:
        checks = Checks()
        query = checks.query(request.query)
        limit = checks.number("top_k", request.top_k, 20, 1, 100)
        wanted = checks.filter(request.filter, caller.current())
        checks.complain()
        timings = Timings()
        mode = MODES.get(request.mode, Mode.HYBRID)
        asked = Request(query, wanted, mode, bundle=False, named=True, limit=limit)
        found = await self._searcher.find(asked, timings)
        hits = [_hit(hit, found, explain=request.explain) for hit in found.hits]
        return pb.SearchResponse(results=hits, degraded=found.degraded, cost=_cost(timings))

    async def Browse(self, request: pb.BrowseRequest, context: Any) -> pb.BrowseResponse:
        checks = Checks()
        limit = checks.number("limit", request.limit, 10, 1, 200)
        wanted = checks.filter(request.filter, caller.current())
        checks.complain()
        return pb.BrowseResponse(items=[_glimpse(item) for item in await self._reader.browse(wanted, limit)])

    async def WaitIndexed(self, request: pb.WaitIndexedRequest, context: Any) -> pb.WaitIndexedResponse:
        points = [(point.item_id, point.change_id) for point in request.points]
        wait = min(request.wait.ToMilliseconds() / 1000, LONGEST_WAIT)
        return pb.WaitIndexedResponse(indexed=await self._progress.wait(caller.current().namespace, points, wait))

    async def GetIndexStatus(self, request: pb.GetIndexStatusRequest, context: Any) -> pb.GetIndexStatusResponse:
        return await self._progress.status(caller.current().namespace)

    async def RebuildIndex(self, request: pb.RebuildIndexRequest, context: Any) -> pb.RebuildIndexResponse:
        replayed = await self._progress.rebuild(caller.current(), every_namespace=request.every_namespace)
        return pb.RebuildIndexResponse(replayed=replayed)


class Progress:
    """How far the index has followed knowledge."""

    def __init__(
        self,
        status: Status,
        indexed: Notifications,
        knowledge: "knowledge_rpc.KnowledgeServiceAsyncStub",
        embedder: Embedder,
    ) -> None:
        self._status, self._indexed, self._knowledge, self._embedder = status, indexed, knowledge, embedder

    async def wait(self, namespace: str, points: list[tuple[str, int]], seconds: float) -> list[bool]:
        """Whether each change is indexed, once all are or `seconds` are over."""
        until = time.monotonic() + deadline.remaining(seconds) if seconds > 0 else 0.0
        while True:
            ticket = self._indexed.ticket()
            reached = await self._status.reached(namespace, points)
            left = until - time.monotonic()
            if all(reached) or left <= 0:
                return reached
            await self._indexed.wait(ticket, min(left, LOOK_AGAIN))

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
        )

    async def rebuild(self, who: caller.Caller, *, every_namespace: bool) -> int:
        """Ask for every item again, of the caller's namespace or of all; answers how many will come."""
        as_service(who.namespace)
        request = knowledge_pb2.ReplayChangesRequest(every_namespace=every_namespace)
        return int((await call(self._knowledge.ReplayChanges, request, within=LONGEST_WAIT)).replayed)


def _entry(item: Item, tokens: int) -> pb.BundleEntry:
    return pb.BundleEntry(
        id=item.scored.key.item_id,
        namespace=item.scored.key.namespace,
        version=item.page.version,
        section=pb.Section.ValueType(item.section + 1),
        score=item.scored.score,
        tokens=tokens,
        trust=_trust(item.vouched),
    )


def _hit(hit: Scored, found: Found, *, explain: bool) -> pb.SearchHit:
    page, candidate = found.pages[hit.key], hit.candidate
    text = _text(candidate.vouched)
    shown_hit = pb.SearchHit(
        id=hit.key.item_id,
        type=_type(candidate.type),
        title=text(page.title),
        snippet=text(excerpt(page.passage, found.words, SNIPPET) or page.title),
        score=hit.score,
        date=candidate.item_date.isoformat(),
        tags=map(text, page.tags),
        status=candidate.status,
        namespace=hit.key.namespace,
        provenance=_provenance(candidate.provenance),
        trust=_trust(candidate.vouched),
    )
    if explain:
        shown_hit.why.CopyFrom(
            pb.Why(
                semantic=hit.semantic,
                keyword=hit.keyword,
                recency=hit.recency,
                importance=hit.importance,
                feedback=hit.feedback,
                via=hit.via.item_id if hit.via else "",
            )
        )
    return shown_hit


def _glimpse(item: Glimpse) -> pb.SearchHit:
    text = _text(item.vouched)
    return pb.SearchHit(
        id=item.key.item_id,
        type=_type(item.type),
        title=text(item.title),
        snippet=text(shorten(excerpt(item.passage, (), SNIPPET), SNIPPET) or item.title),
        date=item.item_date.isoformat(),
        tags=map(text, item.tags),
        status=item.status,
        namespace=item.key.namespace,
        provenance=_provenance(item.provenance),
        trust=_trust(item.vouched),
    )


def _type(name: str) -> types_pb2.ItemType.ValueType:
    return types_pb2.ItemType.Value(f"ITEM_TYPE_{name.upper()}")


def _provenance(name: str) -> types_pb2.Provenance.ValueType:
    return types_pb2.Provenance.Value(f"PROVENANCE_{name.upper()}")


def _trust(vouched: bool) -> pb.Trust.ValueType:
    return pb.TRUST_VOUCHED if vouched else pb.TRUST_UNVOUCHED


def _text(vouched: bool) -> Callable[[str], str]:
    """How a text is shown: without what is not seen, where nobody vouches for it."""
    return str if vouched else clean


def _cost(timings: Timings) -> pb.Cost:
    return pb.Cost(**{name: _duration(seconds) for name, seconds in timings.seconds.items()})


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromMicroseconds(int(seconds * 1_000_000))
    return duration
