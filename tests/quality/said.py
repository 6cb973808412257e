"""What feedback is worth: some items are asked for, their answers rated, and then asked for again in other words.

Three callers rate each answer: what was wanted helped, what stood above it did not. Whoever asks for the same items
again should be better off, and whoever asks for others hardly worse.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from context_retrieval.rank import Scale
from tests.quality.arena import Arena
from tests.quality.measure import measure
from tests.quality.sets import Asked, Labelled

PAIRS = (("own title", "own context"), ("adr title", "adr context"), ("adr title", "adr deep"))
CALLERS = 3
ABOVE = 3  # of what stood above what was wanted, at most, is said not to have helped
SHARE = 4  # every so manieth item is asked for
DOUBT = 3.0  # as knowledge weighs votes: against so many who said nothing


@dataclass(frozen=True, slots=True)
class Said:
    """nDCG@10 of a set, of questions for items that were asked for before, and for others; without and with it."""

    name: str
    again: int
    others: int
    again_ndcg: tuple[float, float]
    others_ndcg: tuple[float, float]


async def said(where: Arena, sets: Sequence[Labelled], scale: Scale) -> list[Said]:
    """What it is worth for each pair of sets that is there, with `scale`."""
    return [await _said(where, before, after, scale) for before, after in _pairs(sets)]


def _pairs(sets: Sequence[Labelled]) -> Iterator[tuple[Labelled, Labelled]]:
    named = {one.name: one for one in sets}
    for before, after in PAIRS:
        if before in named and after in named:
            yield named[before], named[after]


async def _said(where: Arena, before: Labelled, after: Labelled, scale: Scale) -> Said:
    without = replace(scale, feedback=0.0)
    ratings = await _ratings(where, [one for one in before.asked if _popular(one.wanted)], without)
    (namespace,) = after.asked[0].within.namespaces
    await where.rate(namespace, ratings)
    again = [one for one in after.asked if _popular(one.wanted)]
    others = [one for one in after.asked if not _popular(one.wanted)]
    got = {
        which: ((await measure(where, asked, without)).ndcg, (await measure(where, asked, scale)).ndcg)
        for which, asked in (("again", again), ("others", others))
    }
    await where.rate(namespace, dict.fromkeys(ratings, 0.0))
    return Said(after.name, len(again), len(others), got["again"], got["others"])


async def _ratings(where: Arena, asked: Sequence[Asked], scale: Scale) -> Mapping[str, float]:
    """What the answers to `asked` come to, by item, as knowledge weighs votes."""
    helped, helped_not = Counter[str](), Counter[str]()
    for one in asked:
        found = await where.ask(one.question, one.within, scale)
        place = next((at for at, item in enumerate(found) if item in one.wanted), None)
        if place is not None:
            helped[found[place]] += CALLERS
            helped_not.update(dict.fromkeys(found[max(place - ABOVE, 0) : place], CALLERS))
    return {
        item: (helped[item] - helped_not[item]) / (helped[item] + helped_not[item] + DOUBT)
        for item in {*helped, *helped_not}
    }


def _popular(wanted: Collection[str]) -> bool:
    digest = hashlib.md5("".join(sorted(wanted)).encode(), usedforsecurity=False).digest()
    return digest[-1] % SHARE == 0
