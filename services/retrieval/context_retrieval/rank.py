"""From evidence to scores. Relevance decides; recency, importance and feedback only nudge, within a bound.

Relevance is absolute: it means the same from question to question, and a floor can be held against it. The order among
what was found goes by each kind of evidence as a share of the best there is of it, since how high words or vectors can
score at all differs from question to question by more than the answers do.

The earlier build added 0.5 relevance, 0.3 recency and 0.2 importance, so that a fresh, unrelated item could beat the
right one. Here relevance is a factor: the other two, in that same proportion, take away at most `nudge` of it. What was
said of an item by those it was shown to moves it up or down by at most `feedback` of its score. Whether there is an
answer at all is a matter of relevance alone.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import Enum

from context_retrieval.model import MEANT, OFTEN, TELLING, UNRELATED, WORDS, Candidate, Expansion, Key, Link

SEVERITY = {"critical": 1.0, "high": 0.75, "medium": 0.5, "low": 0.25}
TRUST = {"human": 1.0, "agent": 0.9, "import": 0.9, "event": 0.7}
# How much of a hit's relevance goes over an edge, at full strength and to a neighbour that bears on the question.
EDGE = {
    "resolved_by": 0.9,
    "caused_by": 0.9,
    "supersedes": 0.8,
    "implements": 0.8,
    "contradicts": 0.8,
    "references": 0.7,
    "discussed_in": 0.7,
    "related_to": 0.7,
}


class Mode(Enum):
    """Which evidence counts."""

    HYBRID = "hybrid"
    SEMANTIC = "semantic"
    KEYWORD = "keyword"


BESIDE = 3  # neighbours that one hit brings, at most: the best of what may be many commits that only name it


@dataclass(frozen=True, slots=True)
class Scale:
    """The calibration; it belongs to the embedding model, and tests/quality shows whether it holds."""

    cosine_from: float = UNRELATED
    cosine_span: float = 0.70  # from there to the same thing said twice
    dense: float = 0.7  # of relevance; together 1
    lexical: float = 0.3
    words: float = WORDS  # of the order
    telling: float = TELLING
    meant: float = MEANT
    relative: bool = True  # whether the order goes by shares of the best; else by relevance
    recency: float = 0.3
    importance: float = 0.2
    nudge: float = 0.05  # of relevance, at most
    feedback: float = 0.1  # of the score, at most, to either side
    half_life: float = 180.0  # days
    chance: float = 0.065  # relevance of an item that has nothing to do with the question, on the mean,
    scatter: float = 0.045  # and how far it scatters from there
    most_floor: float = 0.25  # however many items there are: most of what many say is of one field
    degraded_floor: float = 0.2  # where words must do, though meaning was asked for
    keyword_floor: float = 0.05  # where words were asked for
    covered: float = 0.7  # share of the question from which an item that has its words is an answer,
    worded: float = 0.35  # unless its meaning is another and its words are not this good
    tail: float = 0.4  # of the best's score, which in a bundle everything else must have,
    tail_beside: float = 0.35  # but for what an edge leads to,
    rest: float = 0.1  # and in a list of results
    coded: float = 0.75  # relevance of what has an exact code of the question, at least

    def floor(self, documents: int) -> float:
        """The relevance that the best of so many documents must have for there to be an answer.

        As much as the highest of so many comes to by chance: the more there are, the nearer something is to anything.
        """
        return min(self.most_floor, self.chance + self.scatter * math.sqrt(2 * math.log(documents + 1)))


@dataclass(frozen=True, slots=True)
class Peak:
    """The best evidence of each kind that a search found, and the best relevance; nothing is below 0."""

    cosine: float
    bm25: float
    relevance: float


@dataclass(frozen=True, slots=True)
class Scored:
    """A candidate with its score and the parts of it, each 0 to 1; feedback -1 to 1.

    `via` is the hit over whose edge it came; `replaces` are superseded matches that it stands for.
    """

    candidate: Candidate
    score: float
    relevance: float
    semantic: float
    keyword: float
    recency: float
    importance: float
    feedback: float = 0.0
    via: Key | None = None
    replaces: tuple[str, ...] = ()

    @property
    def key(self) -> Key:
        """The item's key."""
        return self.candidate.key


class Ranker:
    """Scores candidates as of `today`: in proportion to `peak`, or each for itself where there is none.

    `floor` is the relevance that an answer must have.
    """

    def __init__(self, scale: Scale, mode: Mode, today: date, floor: float, peak: Peak | None = None) -> None:
        self._scale, self._mode, self._today, self._floor, self._peak = scale, mode, today, floor, peak
        self._words = self._share(peak) if peak and mode is not Mode.SEMANTIC else 0.0

    def score(self, candidate: Candidate) -> Scored:
        """`candidate` with its score."""
        scale, relevance = self._scale, self.relevance(candidate)
        recency, importance = self.recency(candidate), importance_of(candidate)
        weight = scale.recency + scale.importance
        prior = (scale.recency * recency + scale.importance * importance) / weight if weight else 1.0
        # Whoever asks for meaning alone gets what is nearest, in that order.
        nudge, said = scale.nudge, scale.feedback * candidate.feedback
        if self._mode is Mode.SEMANTIC:
            nudge = said = 0.0
        score = clamp(self._fit(candidate, relevance) * (1 - nudge + nudge * prior) * (1 + said))
        if candidate.named:
            score = 1.0
        keyword = clamp(candidate.lexical)
        semantic = self._semantic(candidate)
        return Scored(candidate, score, relevance, semantic, keyword, recency, importance, candidate.feedback)

    def relevance(self, candidate: Candidate) -> float:
        """What it has to do with the question, whatever else was found."""
        if candidate.named:
            return 1.0
        relevance = self._uncoded(candidate)
        return relevance if self._mode is Mode.SEMANTIC else self._coded(candidate, relevance)

    def _uncoded(self, candidate: Candidate) -> float:
        """The same whether or not it has a code of the question."""
        semantic, keyword = self._semantic(candidate), clamp(candidate.lexical)
        if self._mode is Mode.SEMANTIC:
            return semantic
        scale, alone = self._scale, self._alone(candidate)
        relevance = keyword if alone else scale.dense * semantic + scale.lexical * keyword
        meant = alone or semantic > 0 or keyword >= scale.worded
        if candidate.covered >= scale.covered and meant:
            relevance = max(relevance, self._floor, scale.degraded_floor if alone else 0.0)
        return relevance

    def _semantic(self, candidate: Candidate) -> float:
        return clamp(((candidate.cosine or 0.0) - self._scale.cosine_from) / self._scale.cosine_span)

    def _alone(self, candidate: Candidate) -> bool:
        """Whether words have to speak for it: where there is no vector yet, nothing else can."""
        return self._mode is Mode.KEYWORD or candidate.cosine is None

    def _fit(self, candidate: Candidate, relevance: float) -> float:
        """How it compares with the best of what was found, as a share of that one's relevance."""
        peak = self._peak
        if peak is None:
            return relevance
        meaning = clamp((candidate.cosine or 0.0) / peak.cosine) if peak.cosine > 0 else 0.0
        words = clamp(candidate.bm25 / peak.bm25) if peak.bm25 > 0 else 0.0
        share = self._words
        if self._mode is not Mode.SEMANTIC and self._alone(candidate):
            share = 1.0
        return self._coded(candidate, peak.relevance * ((1 - share) * meaning + share * words))

    def _share(self, peak: Peak) -> float:
        """How much words count in the order: the more, the more they say, and the less the best meaning does."""
        scale = self._scale
        words = scale.words * peak.bm25 / (peak.bm25 + scale.telling) if peak.bm25 > 0 else 0.0
        meaning = (1 - words) * (clamp((peak.cosine - scale.cosine_from) / scale.meant) if scale.meant else 1.0)
        return words / (words + meaning) if words + meaning > 0 else words

    def _coded(self, candidate: Candidate, value: float) -> float:
        return self._scale.coded + (1 - self._scale.coded) * value if candidate.coded else value

    def beside(self, candidates: Sequence[Candidate]) -> "Ranker":
        """One that scores in proportion to the best of `candidates`; as with the bar, by what is vouched for if any.

        What a code adds to one of them is none of the others'.
        """
        if not self._scale.relative:
            return self
        vouched = [candidate for candidate in candidates if candidate.vouched] or candidates
        relevances = (self._uncoded(candidate) for candidate in vouched if not candidate.named)
        peak = Peak(
            max((candidate.cosine or 0.0 for candidate in vouched), default=0.0),
            max((candidate.bm25 for candidate in vouched), default=0.0),
            max(relevances, default=0.0) or 1.0,
        )
        return Ranker(self._scale, self._mode, self._today, self._floor, peak)

    def recency(self, candidate: Candidate) -> float:
        """1 today, half of it after each half-life; a decision in force does not age, a date to come gains nothing."""
        if candidate.type == "adr" and candidate.in_force:
            return 1.0
        return math.exp2(-abs((self._today - candidate.item_date).days) / self._scale.half_life)

    def rank(self, candidates: Iterable[Candidate]) -> list[Scored]:
        """`candidates`, best first, the order the same every time."""
        return in_order(self.score(candidate) for candidate in candidates)

    def reach(self, hits: Sequence[Scored], expansion: Expansion) -> list[Scored]:
        """`hits` with their successors in the place of what is superseded, and with their neighbours; best first."""
        found = {hit.key: hit for hit in hits}
        self._succeed(found, expansion)
        leads = dict(found)
        beside = Counter[tuple[Key, bool]]()
        linked = ((leads.get(link.origin), link) for link in expansion.neighbours if link.target not in leads)
        others = in_order(self._neighbour(lead, link, expansion.reached) for lead, link in linked if lead)
        for other in others:
            if other.key in found or not other.via:
                continue
            # What nobody vouches for takes no place from what somebody does.
            side = other.via, other.candidate.vouched
            beside[side] += 1
            if beside[side] <= BESIDE:
                found[other.key] = other
        return in_order(found.values())

    def _succeed(self, found: dict[Key, Scored], expansion: Expansion) -> None:
        for link in expansion.successors:
            match = found.get(link.origin)
            if match is None:
                continue
            heir = found.get(link.target) or self.score(expansion.reached[link.target])
            found[link.target] = replace(
                heir,
                score=max(heir.score, match.score),
                relevance=max(heir.relevance, match.relevance),
                replaces=tuple(dict.fromkeys((*heir.replaces, link.origin.item_id))),
            )

    def _neighbour(self, lead: Scored, link: Link, reached: Mapping[Key, Candidate]) -> Scored:
        """A share of what led there, larger the more the neighbour itself has to do with the question."""
        own = self.score(reached[link.target])
        share = EDGE.get(link.type, 0.6) * clamp(link.strength) * (0.5 + 0.5 * own.relevance)
        return replace(own, score=min(lead.score, max(own.score, lead.score * share)), via=link.origin)


def importance_of(candidate: Candidate) -> float:
    """How much an item matters whatever is asked: severity, references, use and trust, each bounded; pinned is 1."""
    if candidate.pinned:
        return 1.0
    severity = SEVERITY.get(candidate.severity, 0.5)
    references = 1 - math.exp(-candidate.references / 4)
    use = 1 - math.exp(-candidate.access_count / OFTEN)
    return (0.5 * severity + 0.25 * references + 0.25 * use) * trust(candidate)


def trust(candidate: Candidate) -> float:
    """How far an item's text is to be trusted; a review makes it as good as a human's."""
    approved = candidate.vouched and candidate.provenance in ("agent", "event")
    return 1.0 if approved else TRUST.get(candidate.provenance, 0.7)


def in_order(scored: Iterable[Scored]) -> list[Scored]:
    """Best first; what the question names by its id before all; of what is as good the newest first, then by id."""
    return sorted(scored, key=lambda s: (not s.candidate.named, -s.score, -s.candidate.item_date.toordinal(), s.key))


def clamp(value: float) -> float:
    """`value` within 0 and 1."""
    return min(1.0, max(0.0, value))
