"""Answers a context query: what was found, packed into a bundle."""

import os
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace

from context_retrieval.bundle import Item, Omission, Style
from context_retrieval.matters import matters
from context_retrieval.model import Key
from context_retrieval.pack import Packed, Packer, most_items
from context_retrieval.rank import Scored
from context_retrieval.search import Found, Request, Searcher, Timings

BEST_OF_EACH = 2  # hits that each matter of a long question adds


@dataclass(frozen=True, slots=True)
class Answer:
    """A bundle, and what it took."""

    query_id: str
    packed: Packed
    degraded: bool


class Answerer:
    """Answers context queries.

    Args:
        unvouched: The share of a budget that what nobody vouches for may take from the rest.
    """

    def __init__(self, searcher: Searcher, unvouched: float) -> None:
        self._searcher, self._unvouched = searcher, unvouched

    async def answer(self, request: Request, budget: int, *, explain: bool, timings: Timings) -> Answer:
        """The bundle for `request`, of at most `budget` tokens."""
        # No more than can be of use in so small a bundle.
        found = await self._find(replace(request, limit=min(request.limit, most_items(budget))), timings)
        style = Style(found.words, explain=explain, namespaces=len(request.filter.namespaces) > 1)
        query_id = new_query_id()
        with timings.stage("packing"):
            items = [Item(hit, found.pages[hit.key], style) for hit in found.hits]
            packer = Packer(budget, query_id, degraded=found.degraded, unvouched=self._unvouched)
            packed = packer.pack(items, _omissions(found, style))
        return Answer(query_id, packed, found.degraded)

    async def _find(self, request: Request, timings: Timings) -> Found:
        """What bears on the question, and the best for each of its matters, if it has any answer. One after the other:
        a long question takes no more of the database at once than a short one.
        """
        found = await self._searcher.find(request, timings)
        for matter in matters(request.query) if found.hits else ():
            part = await self._searcher.find(replace(request, query=matter, limit=BEST_OF_EACH), timings)
            found = found.with_(part, request.limit)
        return found


def _omissions(found: Found, style: Style) -> list[Omission]:
    """What is left out before packing: what something else replaced, and what was nearly good enough."""

    def listed(hits: Sequence[Scored], reason: str = "") -> list[Omission]:
        return [
            Item(hit, found.pages[hit.key], style).left_out(
                reason or hit.candidate.status, superseded_by=found.elsewhere.get(hit.key, "")
            )
            for hit in hits
        ]

    # An off-topic question gets nothing at all, not a list of what it nearly met.
    nearly = found.nearly if found.hits else ()
    return [*listed(found.gone), *listed(nearly, "below_floor")]


def shown(packed: Packed) -> list[Key]:
    """The keys of what the bundle holds."""
    return [item.scored.key for item, _ in packed.items]


def new_query_id() -> str:
    """A UUID of version 7: ordered by time, so that an index of them stays compact."""
    number = time.time_ns() // 1_000_000 << 80 | int.from_bytes(os.urandom(10))
    return str(uuid.UUID(int=number & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62))
