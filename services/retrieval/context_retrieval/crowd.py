"""Keeps what nobody vouches for from crowding out what somebody does. Programs write more than people, and faster."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from context_retrieval.rank import Scored


@dataclass(frozen=True, slots=True)
class Bar:
    """What a hit must have. What is vouched for is held against its like alone, so that neither a copy of the question
    nor a crowd of anything raises the bar for it.
    """

    vouched: float
    unvouched: float

    def of(self, scored: Scored) -> float:
        """What this one must have."""
        return self.vouched if scored.candidate.vouched else self.unvouched

    def beside(self, turned_down: Sequence[Scored], tail: float) -> "Bar":
        """The same where this was found as well: what is far behind it has little to do with the question."""
        measures = (one for one in turned_down if one.candidate.vouched and not one.candidate.named)
        best = max((one.score for one in measures), default=0.0)
        return Bar(max(self.vouched, tail * best), max(self.unvouched, tail * best))


def bar(ranked: Sequence[Scored], floor: Bar, tail: float) -> Bar:
    """A share `tail` of the best score, or more than there is where not even the best has `floor` as its relevance.

    What is named by its id is no measure for the others.
    """

    def least(scored: Sequence[Scored], relevance: float) -> float:
        found = [one for one in scored if not one.candidate.named]
        if max((one.relevance for one in found), default=0.0) < relevance:
            return math.inf
        return tail * max(one.score for one in found)

    vouched = [scored for scored in ranked if scored.candidate.vouched]
    return Bar(least(vouched, floor.vouched), least(ranked, floor.unvouched))


def thinned(ranked: Sequence[Scored], most: int, share: float) -> list[Scored]:
    """The best `most`; of those that nobody vouches for, only the best `share` of `most` while there are others."""
    vouched = sum(scored.candidate.vouched for scored in ranked)
    left = max(int(most * share), most - vouched)
    kept: list[Scored] = []
    for scored in ranked:
        if len(kept) == most:
            break
        if scored.candidate.vouched or left > 0:
            left -= not scored.candidate.vouched
            kept.append(scored)
    return kept
