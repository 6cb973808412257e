"""How good an order of answers is: 1 is perfect, 0 has nothing that was wanted."""

import math
from collections.abc import Collection, Sequence
from statistics import fmean


def ndcg(found: Sequence[str], wanted: Collection[str], most: int = 10) -> float:
    """Normalised discounted cumulative gain of the first `most`; what is wanted is all worth the same."""
    gain = sum(1 / math.log2(place + 2) for place, one in enumerate(found[:most]) if one in wanted)
    return gain / sum(1 / math.log2(place + 2) for place in range(min(len(wanted), most)))


def recall(found: Sequence[str], wanted: Collection[str], most: int = 10) -> float:
    """The share of what is wanted that is among the first `most`."""
    return len(set(found[:most]) & set(wanted)) / min(len(wanted), most)


def reciprocal_rank(found: Sequence[str], wanted: Collection[str]) -> float:
    """1 where the first is right, 1/2 where the second is, and so on."""
    return next((1 / place for place, one in enumerate(found, 1) if one in wanted), 0.0)


def mean(values: Sequence[float]) -> float:
    """Their mean; 0 of none."""
    return fmean(values) if values else 0.0
