"""One search from question to ranked hits: vector, statement, ranking, and what the graph adds."""

import asyncio
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime

import structlog

from context_common.errors import AppError
from context_retrieval import metrics
from context_retrieval.analysis import analyse, codes_in, ids_in, only_ids, subject
from context_retrieval.aspects import Aspects, aspects_of
from context_retrieval.crowd import Bar, bar, thinned
from context_retrieval.embedder import Embedded, Embedder, unavailable
from context_retrieval.model import Candidate, Filter, Key, Page, Question, Weights
from context_retrieval.passages import windows
from context_retrieval.rank import Mode, Ranker, Scale, Scored, in_order
from context_retrieval.remembered import Remembered
from context_retrieval.spelling import capitals, doubtful
from context_retrieval.store import Passing, Reader, Readers, Size, look, sought, way
from context_retrieval.store.statement import Plan, Way
from context_retrieval.vocabulary import Vocabulary

EMBED_WAIT = 1.0  # seconds, at most, that a question's vector is waited for before words must do
SIZE_KEPT = 5.0  # seconds for which a namespace's size is remembered, at most,
PASSING_KEPT = 30.0  # and how many documents pass a filter;
KEPT_A_DOCUMENT = 0.05  # seconds a document: what is small may soon be many times as much
COUNTED = 20_000  # of them, at most
MOST = 40  # hits that are shown or packed
MOST_SHARE = 0.5  # of them, at most, to what nobody vouches for while there are others
NEARLY = 5  # hits below the bar that a bundle mentions
REPLACED = 2  # more than a list holds: two of them may be superseded by the same
CODES = 16
MISFIT = 0.7  # of its score, what has not the type, status, severity or date that the question names

log = structlog.get_logger()


@dataclass
class Timings:
    """Seconds spent in each part of an answer."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a part."""
        start = time.perf_counter()
        try:
            with metrics.stage(name):
                yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked. `floor` None: the calibration's own."""

    query: str
    filter: Filter
    mode: Mode = Mode.HYBRID
    floor: float | None = None
    bundle: bool = True  # neighbours of the hits as well, and nothing far behind the best
    named: bool = False  # an item whose id is asked for, whatever its status
    limit: int = MOST
    ids: tuple[str, ...] = ()  # lower case: those that a list has, whatever else the question says


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found, best first, with the pages of all of it."""

    hits: tuple[Scored, ...]
    gone: tuple[Scored, ...]  # matched, but something else holds now, or it was turned down
    nearly: tuple[Scored, ...]  # the best of what is below the bar
    pages: dict[Key, Page]
    elsewhere: Mapping[Key, str]  # of what was superseded: the id of what holds now, where the filter keeps that out
    words: tuple[str, ...]
    degraded: bool

    def with_(self, other: "Found", most: int) -> "Found":
        """The best `most` of both, each item as the search shows it in which it scored higher."""
        best = {hit.key: (hit, self) for hit in self.hits}
        for hit in other.hits:
            if hit.key not in best or hit.score > best[hit.key][0].score:
                best[hit.key] = hit, other
        hits = thinned(in_order(hit for hit, _ in best.values()), most, MOST_SHARE)
        shown = {hit.key for hit in hits}
        gone = {hit.key: hit for hit in (*other.gone, *self.gone) if hit.key not in shown}
        return replace(
            self,
            hits=tuple(hits),
            gone=tuple(gone.values()),
            nearly=tuple(hit for hit in self.nearly if hit.key not in shown),
            pages=self.pages | other.pages | {hit.key: best[hit.key][1].pages[hit.key] for hit in hits},
            elsewhere={**other.elsewhere, **self.elsewhere},
            degraded=self.degraded or other.degraded,
        )


class Searcher:
    """Answers questions from the read model."""

    def __init__(self, readers: Readers, embedder: Embedder, scale: Scale) -> None:
        self._readers, self._embedder, self._scale = readers, embedder, scale
        self._vocabulary = Vocabulary()
        self._sizes = Remembered[tuple[str, ...], Size](lambda size: _kept(size.documents, SIZE_KEPT))
        self._passing = Remembered[Filter, Passing](lambda passing: _kept(passing.documents, PASSING_KEPT))

    async def find(self, request: Request, timings: Timings) -> Found:
        """What bears on the question; by words alone (`degraded`) where its vector is not to be had in time.

        A question that is nothing but `open incidents of last month` is answered by the newest that are, if any are.
        """
        aspects = aspects_of(request.query, today()) if request.mode is Mode.HYBRID else None
        if aspects and aspects.alone:
            with timings.stage("sql"):
                request = await self._listed(request, aspects)
        return await self._find(request, aspects, timings)

    async def _listed(self, request: Request, aspects: Aspects) -> Request:
        """`request` for the newest of what it asks for; as it is where there is nothing of it.

        Programs may have written all of the newest: what somebody vouches for is among them nevertheless.
        """
        within = aspects.within(request.filter)
        reader = self._readers.of(within.namespaces)
        newest = await reader.browse(within, request.limit)
        if any(not one.vouched for one in newest):
            newest += await reader.browse(within, request.limit, vouched=True)
        ids = dict.fromkeys(one.key.item_id.lower() for one in newest)
        return replace(request, filter=within, ids=tuple(ids)) if ids else request

    async def _find(self, request: Request, aspects: Aspects | None, timings: Timings) -> Found:
        wanted, about = request.filter, subject(request.query)
        analysis = replace(analyse(about), doubtful=doubtful(about), capitals=capitals(about)[:CODES])
        if about != request.query:
            analysis = replace(analysis, identifiers=analyse(request.query).identifiers)
        by_id = only_ids(request.query)
        if by_id or request.ids:  # whose words are those of all ids, or of all lists
            analysis = replace(analysis, plain="")
        if not analysis.plain:  # nor does it mean anything to the model, to which all such texts are alike
            request = replace(request, mode=Mode.KEYWORD)
        reader = self._readers.of(wanted.namespaces)
        # The vector is on its way while the words are weighed.
        embedding = asyncio.create_task(self._vector(request.mode, about, timings))
        try:
            spaces = wanted.namespaces
            size = await self._sizes.get(spaces, lambda: reader.size(spaces))
            if request.mode is Mode.SEMANTIC and await embedding:
                weights = Weights()  # so that words take no part in what is looked at
            else:
                codes = codes_in(request.query)[:CODES]
                weights = await self._vocabulary.weigh(reader, spaces, size.documents, analysis, codes)
            passing = await self._passes(reader, request, size)
            embedded = await embedding
        finally:
            embedding.cancel()
        mode = request.mode if embedded or request.mode is Mode.KEYWORD else Mode.KEYWORD
        question = Question(analysis.plain, weights, request.ids or ids_in(request.query))
        if embedded:
            question = replace(question, vector=embedded.vector, model_id=embedded.model_id)
        with timings.stage("sql"):
            most = request.limit + (NEARLY if request.bundle else REPLACED)
            plan, far = plan_for(request, mode, size, passing, most)
            candidates, expansion = await reader.search(question, wanted, plan, most, far)
            if plan.current and _crowded(candidates, request.limit, most, sought(most, bundle=request.bundle)):
                alone = replace(plan, current=False)
                others, beside = await reader.search(question, wanted, alone, most, far)
                candidates = list({one.key: one for one in (*candidates, *others)}.values())
                expansion = expansion.with_(beside)
        with timings.stage("ranking"):
            floor = self._floor(request, mode, passing)
            ranker = Ranker(self._scale, mode, today(), floor.unvouched).beside(candidates)
            ranked, turned_down = _fitting(ranker.rank(candidates), aspects), list[Scored]()
            if plan.current and plan.bundle:
                turned_down = [one for one in ranked if one.candidate.turned_down]
                ranked = [one for one in ranked if not one.candidate.turned_down]
            least, least_beside = self._least(request, ranked, floor, turned_down)
            noted = _worth_knowing(turned_down, ranked, floor, self._scale.tail)
            hits, nearly = _divide(ranked, least)
            gone = [hit for hit in hits if plan.current and not hit.candidate.in_force]
            kept = {hit.key for hit in hits} - {hit.key for hit in gone if not (request.named and hit.candidate.named)}
            leads = {hit.key for hit in hits if by_id and hit.candidate.named}
            final = [
                hit for hit in ranker.reach(hits, expansion) if hit.key in kept or _arrived(hit, least_beside, leads)
            ]
        reached = {hit.key for hit in final}
        return Found(
            hits=tuple(thinned(final, request.limit, MOST_SHARE)),
            gone=(*(hit for hit in gone if hit.key not in kept), *noted),
            nearly=tuple(hit for hit in nearly if hit.candidate.in_force and hit.key not in reached),
            pages=dict(expansion.pages),
            elsewhere=expansion.elsewhere,
            words=tuple(weights.lexemes) or tuple(question.plain.split()),
            degraded=mode is not request.mode,
        )

    async def _vector(self, mode: Mode, about: str, timings: Timings) -> Embedded | None:
        """The vector of what is asked about; None where it is not wanted, or not to be had in time."""
        if mode is Mode.KEYWORD:
            return None
        try:
            with timings.stage("embedding"):
                return await self._embedder.question(windows(about), EMBED_WAIT)
        except AppError as error:
            if not unavailable(error):
                raise
            log.warning("answered_by_words", reason=error.message)
            return None

    async def _passes(self, reader: Reader, request: Request, size: Size) -> Passing:
        """How many documents pass, as of half a minute ago: any way to search them is right, one is the quickest.

        Where no vectors are sought there is no way to choose, and nothing is counted.
        """
        wanted = request.filter
        if not wanted.narrow or request.mode is Mode.KEYWORD:
            return Passing(size.documents, size.unvouched)
        return await self._passing.get(wanted, lambda: reader.passing(wanted, COUNTED))

    def _floor(self, request: Request, mode: Mode, passing: Passing) -> Bar:
        """The relevance that an answer must have, by how many documents it is chosen from."""
        scale = self._scale
        if mode is Mode.KEYWORD:
            floor = scale.keyword_floor if request.mode is Mode.KEYWORD else scale.degraded_floor
            return Bar(floor, floor)
        return Bar(scale.floor(passing.documents - passing.unvouched), scale.floor(passing.documents))

    def _least(
        self, request: Request, ranked: Sequence[Scored], floor: Bar, turned_down: Sequence[Scored]
    ) -> tuple[Bar, Bar]:
        """The score that a hit must have, and what an edge leads to."""
        if request.floor is not None:
            least = Bar(request.floor, request.floor)
            return least, least
        scale = self._scale
        tails = (scale.tail, scale.tail_beside) if request.bundle else (scale.rest, scale.rest)
        least, least_beside = (bar(ranked, floor, tail).beside(turned_down, tail) for tail in tails)
        return least, least_beside


def plan_for(request: Request, mode: Mode, size: Size, passing: Passing, most: int) -> tuple[Plan, int]:
    """How to search, and how far the vector index is to look at once where it is asked."""
    wanted, lexical = request.filter, mode is not Mode.SEMANTIC
    vouched, unvouched = passing.documents - passing.unvouched, passing.unvouched
    many = sought(most, bundle=request.bundle)
    plan = Plan(
        dense=mode is not Mode.KEYWORD,
        lexical=lexical,
        way=way(size, vouched, passing.documents, many, lexical=lexical, whole=not wanted.narrow),
        way_unvouched=way(size, unvouched, size.unvouched, many, lexical=lexical) if size.unvouched else None,
        marked=not size.prevails,
        named=request.named,
        current=not (wanted.history or wanted.statuses),
        bundle=request.bundle,
    )
    sides = ((plan.way, vouched), (plan.way_unvouched, unvouched))
    asked = [size.of(documents) for chosen, documents in sides if chosen is Way.INDEX]
    return plan, max((look(some, many, lexical=lexical, narrow=wanted.narrow) for some in asked), default=0)


def _crowded(candidates: Sequence[Candidate], limit: int, most: int, many: int) -> bool:
    """Whether what is superseded may have taken the place of what is in force: there is little of that and much of the
    other, and there may be more than was looked for.
    """
    holding = sum(candidate.in_force for candidate in candidates)
    spare = most - limit
    return holding < limit and len(candidates) - holding > spare and len(candidates) >= min(most, many)


def _kept(documents: int, most: float) -> float:
    """Seconds for which it is remembered that there are so many documents."""
    return min(most, documents * KEPT_A_DOCUMENT)


def _divide(ranked: Sequence[Scored], least: Bar) -> tuple[list[Scored], list[Scored]]:
    """The hits, and the best of those that are not good enough."""
    hits = [hit for hit in ranked if hit.candidate.named or hit.score >= least.of(hit)]
    taken = {hit.key for hit in hits}
    nearly = [hit for hit in ranked if hit.key not in taken and hit.score >= least.of(hit) / 2]
    return hits, nearly[:NEARLY]


def _worth_knowing(turned_down: Sequence[Scored], ranked: Sequence[Scored], floor: Bar, tail: float) -> list[Scored]:
    """What would be an answer if it had not been turned down."""
    least = tail * max((one.score for one in (*turned_down, *ranked)), default=0.0)
    return [one for one in turned_down if one.score >= least and one.relevance >= floor.of(one)]


def _fitting(ranked: Sequence[Scored], aspects: Aspects | None) -> list[Scored]:
    """`ranked` with what the question prefers before what is as good."""
    if not aspects:
        return list(ranked)
    return in_order(one if aspects.fit(one.candidate) else replace(one, score=MISFIT * one.score) for one in ranked)


def _arrived(hit: Scored, least: Bar, leads: Collection[Key]) -> bool:
    """Whether something reached over an edge stays: a successor always does, a neighbour where it is worth it, or what
    led to it is all that was asked for.
    """
    worth_it = hit.via is not None and (hit.score >= least.of(hit) or hit.via in leads)
    return hit.candidate.in_force and (bool(hit.replaces) or worth_it)


def today() -> date:
    """The day it is, in UTC."""
    return datetime.now(UTC).date()
