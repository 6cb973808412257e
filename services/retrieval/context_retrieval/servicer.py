"""The gRPC skin of retrieval: checks what comes in, hands it on, and puts the answer on the wire."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

import structlog

from context.v1 import retrieval_pb2 as pb
from context.v1 import retrieval_pb2_grpc as rpc
from context_common import caller, pages
from context_common.caller import EVERY
from context_common.errors import Denied, Invalid
from context_retrieval import metrics, wire
from context_retrieval.access import AccessCounter
from context_retrieval.admission import Admission
from context_retrieval.answer import Answerer, shown
from context_retrieval.checks import LEAST_TOKENS, MOST_TOKENS, TOKENS, Checks
from context_retrieval.progress import Progress
from context_retrieval.rank import Mode
from context_retrieval.receipts import Ledger, Question
from context_retrieval.search import Request, Searcher, Timings
from context_retrieval.store import Readers

LOGGED = 500  # characters of a question in the log

log = structlog.get_logger()

MODES = {
    pb.SEARCH_MODE_UNSPECIFIED: Mode.HYBRID,
    pb.SEARCH_MODE_HYBRID: Mode.HYBRID,
    pb.SEARCH_MODE_SEMANTIC: Mode.SEMANTIC,
    pb.SEARCH_MODE_KEYWORD: Mode.KEYWORD,
}


@dataclass(frozen=True, slots=True)
class Parts:
    """What the calls are handed to."""

    searcher: Searcher
    answerer: Answerer
    readers: Readers
    progress: Progress
    accesses: AccessCounter
    ledger: Ledger
    admission: Admission
    log_queries: bool = False


class RetrievalServicer(rpc.RetrievalServiceServicer):
    """Search, bundles and their receipts, and how far the index is."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def QueryContext(self, request: pb.QueryContextRequest, context: Any) -> pb.QueryContextResponse:
        checks, who, timings = Checks(), caller.current(), Timings()
        query = checks.query(request.query)
        budget = checks.number("max_tokens", request.max_tokens, TOKENS, LEAST_TOKENS, MOST_TOKENS)
        floor = checks.share("min_score", request.min_score) if request.HasField("min_score") else None
        wanted = checks.filter(request.filter, who)
        checks.complain()
        asked_at, start = datetime.now(UTC), perf_counter()
        async with self._parts.admission.turn():
            asked = Request(query, wanted, floor=floor)
            found = await self._parts.answerer.answer(asked, budget, explain=request.explain, timings=timings)
        metrics.QUERIES.labels(str(found.degraded).lower()).inc()
        log.info(
            "context_query",
            max_tokens=budget,
            result_count=len(found.packed.items),
            tokens=found.packed.tokens,
            degraded=found.degraded,
            took_ms=round((perf_counter() - start) * 1000, 1),
            **({"query": query[:LOGGED]} if self._parts.log_queries else {}),
        )
        self._parts.accesses.add(shown(found.packed))
        entries = [wire.entry(item, tokens) for item, tokens in found.packed.items]
        await self._parts.ledger.keep(
            Question(
                who=who,
                asked=request,
                asked_at=asked_at,
                namespaces=wanted.namespaces,
                query_id=found.query_id,
                entries=entries,
                omitted=found.packed.omitted,
                tokens=found.packed.tokens,
                degraded=found.degraded,
            )
        )
        return pb.QueryContextResponse(
            query_id=found.query_id,
            bundle=found.packed.json,
            tokens_used=found.packed.tokens,
            degraded=found.degraded,
            entries=entries,
            cost=wire.cost(timings),
        )

    async def Search(self, request: pb.SearchRequest, context: Any) -> pb.SearchResponse:
        checks, timings = Checks(), Timings()
        query = checks.query(request.query)
        limit = checks.number("top_k", request.top_k, 20, 1, 100)
        wanted = checks.filter(request.filter, caller.current())
        checks.complain()
        mode = MODES.get(request.mode, Mode.HYBRID)
        asked = Request(query, wanted, mode, bundle=False, named=True, limit=limit)
        async with self._parts.admission.turn():
            found = await self._parts.searcher.find(asked, timings)
        hits = [wire.search_hit(hit, found, explain=request.explain) for hit in found.hits]
        return pb.SearchResponse(results=hits, degraded=found.degraded, cost=wire.cost(timings))

    async def Browse(self, request: pb.BrowseRequest, context: Any) -> pb.BrowseResponse:
        checks = Checks()
        limit = checks.number("limit", request.limit, 10, 1, 200)
        wanted = checks.filter(request.filter, caller.current())
        checks.complain()
        mark = pages.mark("browse", asdict(wanted))
        after = wire.read_place(request.page_token, mark) if request.page_token else None
        async with self._parts.admission.turn():
            found = await self._parts.readers.of(wanted.namespaces).browse(wanted, limit + 1, after)
        page = pages.cut(found, limit, mark, wire.position)
        return pb.BrowseResponse(items=map(wire.glimpse, page.items), next_page_token=page.cursor)

    async def GetReceipt(self, request: pb.GetReceiptRequest, context: Any) -> pb.GetReceiptResponse:
        return await self._parts.ledger.find(request.query_id, caller.current())

    async def WaitIndexed(self, request: pb.WaitIndexedRequest, context: Any) -> pb.WaitIndexedResponse:
        points = [(point.item_id, point.change_id) for point in request.points]
        if any("\0" in item_id for item_id, _ in points):
            raise Invalid({"points": ["name something with a NUL character"]})
        wait = request.wait.ToMilliseconds() / 1000
        reached = await self._parts.progress.wait(caller.current().namespace, points, wait)
        return pb.WaitIndexedResponse(indexed=reached)

    async def GetIndexStatus(self, request: pb.GetIndexStatusRequest, context: Any) -> pb.GetIndexStatusResponse:
        return await self._parts.progress.status(caller.current().namespace)

    async def RebuildIndex(self, request: pb.RebuildIndexRequest, context: Any) -> pb.RebuildIndexResponse:
        who = caller.current()
        if request.every_namespace and not who.may_write(EVERY):
            raise Denied("only who administers every namespace rebuilds the index of all")
        replayed = await self._parts.progress.rebuild(who, every_namespace=request.every_namespace)
        return pb.RebuildIndexResponse(replayed=replayed)
