"""Fills the budget: the best of each section first, long items cut rather than dropped, never a token too many."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from context_retrieval.bundle import Item, Omission, Rendered, envelope

SHARES = (0.4, 0.3, 0.2)  # of the budget, to decisions, issues and changes; the rest is for what stands around them
LEAD = 0.6  # of its section's room that the best of it may take whole
PASSAGE = 320  # tokens that each of the others gets at first
LEAST = 110  # tokens below which an item is not worth showing
OMITTED_SHARE = 0.08
MOST_OMITTED = 20
ALIKE = 0.9  # share of words in common from which two items say the same
# Stands for the real query id while room is shared out, so that the same question gets the same items every time.
SAMPLE_ID = "01a2082a-69ed-7191-9dc6-80bb6a403f17"
MARGIN = 8  # tokens that another id and the counts may take more
WORDS = re.compile(r"\w+")
ALIKE_TEXT = 3000  # characters compared


@dataclass(frozen=True, slots=True)
class Packed:
    """A bundle: the bytes to hand on, what they count, and the items in them with their cost."""

    json: bytes
    tokens: int
    items: tuple[tuple[Item, int], ...]


@dataclass(slots=True)
class Placed:
    """Items that have found room, in rank order, and what is left of the budget."""

    room: int
    rendered: dict[int, Rendered] = field(default_factory=dict)

    def put(self, rank: int, rendered: Rendered | None) -> bool:
        """Take the item of that rank in as `rendered`, in place of what it was, if there is room."""
        before = self.rendered[rank].tokens + 1 if rank in self.rendered else 0
        if rendered is None or rendered.tokens + 1 - before > self.room:
            return False
        self.room -= rendered.tokens + 1 - before
        self.rendered[rank] = rendered
        return True

    def cost(self, rank: int) -> int:
        """What the item of that rank takes."""
        return self.rendered[rank].tokens + 1 if rank in self.rendered else 0


class Packer:
    """Packs ranked items into bundles of at most `budget` tokens."""

    def __init__(self, budget: int, query_id: str, *, degraded: bool) -> None:
        self._budget, self._query_id, self._degraded = budget, query_id, degraded

    def pack(self, ranked: Sequence[Item], omissions: Sequence[Omission] = ()) -> Packed:
        """The bundle of `ranked`, best first; `omissions` are those decided on before."""
        items, duplicates = distinct(ranked)
        _, around = envelope(SAMPLE_ID, [[], [], []], (), degraded=self._degraded)
        reserve = min(int(self._budget * OMITTED_SHARE), 24 * (len(items) + len(omissions) + len(duplicates)))
        placed = Placed(self._budget - around - MARGIN)
        if items:
            self._place_best(items, placed)
            placed.room -= reserve
            self._place_sections(items, placed)
            self._spend(items, placed)
            placed.room += reserve
        left = [self._left_out(item, "over_budget") for rank, item in enumerate(items) if rank not in placed.rendered]
        omitted = [*omissions, *left, *(self._left_out(item, "duplicate") for item in duplicates)]
        return self._finish(items, placed, omitted)

    def _place_best(self, items: Sequence[Item], placed: Placed) -> None:
        """The best match is always shown, whatever it takes."""
        share = int(self._budget * SHARES[items[0].section] * LEAD)
        room = min(max(share, LEAST), placed.room)
        if not (self._place(items, 0, room, placed) or self._place(items, 0, placed.room, placed)):
            placed.put(0, items[0].passage(placed.room))

    def _place_sections(self, items: Sequence[Item], placed: Placed) -> None:
        """Each section within its share and what those before it left."""
        carried = 0.0
        for section, share in enumerate(SHARES):
            ranks = [rank for rank, item in enumerate(items) if item.section == section]
            room = self._budget * share + carried - sum(placed.cost(rank) for rank in ranks)
            for place, rank in enumerate(ranks):
                if rank in placed.rendered:
                    continue
                most = room * LEAD if place == 0 and len(ranks) > 1 else min(room, PASSAGE)
                before = placed.room
                if most >= LEAST:
                    self._place(items, rank, int(min(most, placed.room)), placed)
                room -= before - placed.room
            carried = room

    def _spend(self, items: Sequence[Item], placed: Placed) -> None:
        """What is left over: the best is shown whole, then those left out are shown at all, then the cut ones whole."""
        if items[0].whole.tokens < placed.room + placed.cost(0):
            placed.put(0, items[0].whole)
        for rank in range(len(items)):
            if rank not in placed.rendered and placed.room >= LEAST:
                self._place(items, rank, min(placed.room, PASSAGE), placed)
        for rank, item in enumerate(items):
            held = placed.rendered.get(rank)
            if held and not held.whole and placed.room >= LEAST // 2:
                room = placed.room + placed.cost(rank)
                longer = item.whole if item.whole.tokens < room else item.passage(room - 1)
                if longer and longer.tokens > held.tokens:
                    placed.put(rank, longer)

    def _place(self, items: Sequence[Item], rank: int, room: int, placed: Placed) -> bool:
        whole = items[rank].whole
        return placed.put(rank, whole if whole.tokens < room else items[rank].passage(room - 1))

    def _left_out(self, item: Item, reason: str) -> Omission:
        return Omission(item.scored.key.item_id, reason, item.whole.tokens)

    def _finish(self, items: Sequence[Item], placed: Placed, omitted: Sequence[Omission]) -> Packed:
        """Count what was packed exactly, and give way until it fits: first omissions, then the last items."""
        listed = list(omitted[: min(MOST_OMITTED, max(0, placed.room) // 16)])
        rendered = dict(placed.rendered)
        while True:
            json, tokens = self._envelope(items, rendered, listed)
            over = tokens - self._budget
            if over <= 0:
                shown = tuple((items[rank], rendered[rank].tokens) for rank in sorted(rendered))
                return Packed(json, tokens, shown)
            if listed:
                listed = listed[: -max(1, over // 16)]
            elif len(rendered) > 1:
                del rendered[max(rendered)]
            else:
                rendered = self._shrink(items, rendered, over)

    def _shrink(self, items: Sequence[Item], rendered: dict[int, Rendered], over: int) -> dict[int, Rendered]:
        rank, held = next(iter(rendered.items()))
        smaller = items[rank].passage(held.tokens - over)
        return {rank: smaller} if smaller and smaller.tokens < held.tokens else {}

    def _envelope(
        self, items: Sequence[Item], rendered: dict[int, Rendered], omitted: Sequence[Omission]
    ) -> tuple[bytes, int]:
        sections: list[list[bytes]] = [[], [], []]
        for rank in sorted(rendered):
            sections[items[rank].section].append(rendered[rank].json)
        return envelope(self._query_id, sections, omitted, degraded=self._degraded)


def distinct(ranked: Sequence[Item]) -> tuple[list[Item], list[Item]]:
    """Those that say something of their own, and near-duplicates of one ranked before them."""
    kept: list[tuple[Item, frozenset[str]]] = []
    duplicates: list[Item] = []
    for item in ranked:
        words = frozenset(WORDS.findall(item.lead[:ALIKE_TEXT].lower()))
        if any(item.section == other.section and _alike(words, seen) for other, seen in kept):
            duplicates.append(item)
        else:
            kept.append((item, words))
    return [item for item, _ in kept], duplicates


def _alike(one: frozenset[str], other: frozenset[str]) -> bool:
    small, large = sorted((len(one), len(other)))
    if small < large * ALIKE:
        return False
    common = len(one & other)
    return common >= (small + large - common) * ALIKE
