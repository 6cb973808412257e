"""Keeps what nobody vouches for from crowding out what somebody does. Programs write more than people, and faster."""

from collections.abc import Sequence
from dataclasses import dataclass

from context_retrieval.rank import Scored


@dataclass(frozen=True, slots=True)
class Bar:
    """What a hit must be worth. What is vouched for is held against its like alone, so that no copy of the question
    raises the bar for it.
    """

    vouched: float
    unvouched: float

    def of(self, scored: Scored) -> float:
        """What this one must be worth."""
        return self.vouched if scored.candidate.vouched else self.unvouched


def bar(ranked: Sequence[Scored], floor: float, tail: float) -> Bar:
    """At least `floor`, and `tail` of the best; what is named by its id is no measure for the others."""

    def best(scored: Sequence[Scored]) -> float:
        return max((one.relevance for one in scored if not one.candidate.named), default=0.0)

    vouched = [scored for scored in ranked if scored.candidate.vouched]
    return Bar(max(floor, tail * best(vouched)), max(floor, tail * best(ranked)))


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
