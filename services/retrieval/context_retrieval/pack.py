"""Fills the budget: the best of each section first, long items cut rather than dropped, never a token too many.

What nobody vouches for has a share of it, and more only of what the rest leave over.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any

from context_retrieval import fence
from context_retrieval.bundle import Item, Omission, Rendered, envelope
from context_retrieval.search import MOST

SHARES = (0.4, 0.3, 0.2)  # of the budget, to decisions, issues and changes; the rest is for what stands around them
BEST = 0.5  # of a small budget that the best match may take at least, so that it says what was decided or what helped
LEAD = 0.6  # of its section's room that the best of it may take whole
PASSAGE = 320  # tokens that each of the others gets at first
LEAST = 110  # tokens below which an item is not worth showing
OMITTED_SHARE = 0.08
MOST_OMITTED = 20
ALIKE = 0.9  # share of words in common from which two items say the same,
ALIKE_PAIRS = 0.7  # and of pairs of words that follow each other, and of the words of their titles
# Stands for the real query id while room is shared out, so that the same question gets the same items every time.
SAMPLE_ID = "01a2082a-69ed-7191-9dc6-80bb6a403f17"
SMALLEST = 180  # tokens that an item takes: few take less
FEWEST = 16  # items to choose among, however small the budget
MARGIN = 8  # tokens that another id and the counts may take more
ALIKE_TEXT = 3000  # characters compared
DENIALS = frozenset("cannot never no none nor not without".split())  # noqa: SIM905
WHERE = ("app_name", "environment")  # the same elsewhere is another failure


@dataclass(frozen=True, slots=True)
class Packed:
    """A bundle: the bytes to hand on, what they count, and the items in them with their cost."""

    json: bytes
    tokens: int
    items: tuple[tuple[Item, int], ...]
    omitted: tuple[Omission, ...]  # all of it; the bundle may name fewer


@dataclass(slots=True)
class Placed:
    """Items that have found room, in rank order, and what is left of the budget."""

    items: Sequence[Item]
    room: int
    unvouched: float = math.inf  # what is left of it to those that nobody vouches for
    rendered: dict[int, Rendered] = field(default_factory=dict)
    best: int = 0  # the rank of the one that is shown whatever it takes

    def put(self, rank: int, rendered: Rendered | None) -> bool:
        """Take the item of that rank in as `rendered`, in place of what it was, if there is room."""
        more = rendered.tokens - self.cost(rank) if rendered else 0
        if rendered is None or more > self.room_for(rank):
            return False
        self.room -= more
        self.unvouched -= 0 if self.items[rank].vouched else more
        self.rendered[rank] = rendered
        return True

    def room_for(self, rank: int) -> int:
        """What the item of that rank may take, more than it has."""
        return self.room if self.items[rank].vouched else int(min(self.room, self.unvouched))

    def cost(self, rank: int) -> int:
        """What the item of that rank takes."""
        return self.rendered[rank].tokens if rank in self.rendered else 0

    def place(self, rank: int, room: int) -> bool:
        """Show the item of that rank in at most `room` tokens: whole, or cut."""
        return self.put(rank, self.items[rank].within(room))


def most_items(budget: int) -> int:
    """How many items are worth finding for a bundle of `budget` tokens."""
    return max(FEWEST, min(MOST, budget // SMALLEST))


class Packer:
    """Packs ranked items into bundles of at most `budget` tokens.

    Args:
        unvouched: The share of the budget, 0 to 1, that items which nobody vouches for may take from the others.
    """

    def __init__(self, budget: int, query_id: str, *, degraded: bool, unvouched: float = 0.3) -> None:
        self._budget, self._query_id, self._degraded, self._unvouched = budget, query_id, degraded, unvouched
        self._number = fence.new_number()

    def pack(self, ranked: Sequence[Item], omissions: Sequence[Omission] = ()) -> Packed:
        """The bundle of `ranked`, best first; `omissions` are those decided on before."""
        items, duplicates = distinct(ranked)
        note = "" if all(item.vouched for item in items) else fence.note(fence.SAMPLE)
        around = _around(self._degraded, note)
        reserve = min(int(self._budget * OMITTED_SHARE), 24 * (len(items) + len(omissions) + len(duplicates)))
        placed = Placed(items, self._budget - around - MARGIN)
        if items:
            self._place_best(placed)
            placed.room -= reserve
            self._place_sections(placed)
            self._spend(placed)
            placed.room += reserve
        left = [item.left_out("over_budget") for rank, item in enumerate(items) if rank not in placed.rendered]
        omitted = [*omissions, *left, *(item.left_out("duplicate") for item in duplicates)]
        return self._finish(placed, omitted)

    def _place_best(self, placed: Placed) -> None:
        """The best match is always shown, whatever it takes; of those vouched for, where there are any."""
        vouched = [rank for rank, item in enumerate(placed.items) if item.vouched]
        if vouched and len(vouched) < len(placed.items):
            # Room for one of them at least, which may be all that bears on the question.
            placed.unvouched = max(self._budget * self._unvouched, LEAST + fence.COST)
        best = placed.best = vouched[0] if vouched else 0
        share = int(self._budget * SHARES[placed.items[best].section] * LEAD)
        room = min(max(share, LEAST, min(int(placed.room * BEST), PASSAGE)), placed.room)
        if placed.place(best, room) or placed.place(best, placed.room):
            return
        if not placed.put(best, placed.items[best].passage(placed.room)):
            # Room was kept for a note on marks; this has none.
            placed.rendered[best] = placed.items[best].bare

    def _place_sections(self, placed: Placed) -> None:
        """Each section within its share and what those before it left."""
        carried = 0.0
        for section, share in enumerate(SHARES):
            ranks = [rank for rank, item in enumerate(placed.items) if item.section == section]
            room = self._budget * share + carried - sum(placed.cost(rank) for rank in ranks)
            mixed = any(placed.items[rank].vouched for rank in ranks)
            unvouched = max(self._budget * share * self._unvouched, LEAST) if mixed else room
            for place, rank in enumerate(ranks):
                if rank in placed.rendered:
                    continue
                most = room * LEAD if place == 0 and len(ranks) > 1 else min(room, PASSAGE)
                if not placed.items[rank].vouched:
                    most = min(most, unvouched)
                if most >= LEAST:
                    placed.place(rank, int(min(most, placed.room_for(rank))))
                room -= placed.cost(rank)
                unvouched -= 0 if placed.items[rank].vouched else placed.cost(rank)
            carried = room

    def _spend(self, placed: Placed) -> None:
        """What is left over: first to each as far as it goes, then to those that nobody vouches for alone."""
        best = placed.best
        whole = placed.items[best].if_whole(placed.room_for(best) + placed.cost(best))
        if whole:
            placed.put(best, whole)
        self._use_up(placed, range(len(placed.items)))
        # Where another has found no place, what is left is too little for any.
        if placed.unvouched < placed.room >= LEAST:
            placed.unvouched = placed.room
            self._use_up(placed, [rank for rank, item in enumerate(placed.items) if not item.vouched])

    def _use_up(self, placed: Placed, ranks: Sequence[int]) -> None:
        """Those left out are shown at all, then the cut ones whole."""
        for rank in ranks:
            if rank not in placed.rendered and placed.room_for(rank) >= LEAST:
                placed.place(rank, min(placed.room_for(rank), PASSAGE))
        for rank in ranks:
            held = placed.rendered.get(rank)
            if held and not held.whole and placed.room_for(rank) >= LEAST // 2:
                room, item = placed.room_for(rank) + placed.cost(rank), placed.items[rank]
                longer = item.within(room)
                if longer and longer.tokens > held.tokens:
                    placed.put(rank, longer)

    def _finish(self, placed: Placed, omitted: Sequence[Omission]) -> Packed:
        """Count what was packed exactly, and give way until it fits: first omissions, then the last items."""
        listed = list(omitted[: min(MOST_OMITTED, max(0, placed.room) // 16)])
        items, rendered = placed.items, dict(placed.rendered)
        while True:
            json, tokens = self._envelope(items, rendered, listed)
            over = tokens - self._budget
            if over <= 0:
                shown = tuple((items[rank], rendered[rank].tokens) for rank in sorted(rendered))
                return Packed(json, tokens, shown, tuple(omitted))
            if listed:
                listed = listed[: -max(1, over // 16)]
            elif len(rendered) > 1:
                del rendered[max(rendered, key=lambda rank: (not items[rank].vouched, rank))]
            else:
                rendered = self._shrink(items, rendered, over)

    def _shrink(self, items: Sequence[Item], rendered: dict[int, Rendered], over: int) -> dict[int, Rendered]:
        rank, held = next(iter(rendered.items()))
        smaller = items[rank].passage(held.tokens - over) or items[rank].bare
        return {rank: smaller} if smaller and smaller.tokens < held.tokens else {}

    def _envelope(
        self, items: Sequence[Item], rendered: dict[int, Rendered], omitted: Sequence[Omission]
    ) -> tuple[bytes, int]:
        sections: list[list[Rendered]] = [[], [], []]
        note = ""
        for rank in sorted(rendered):
            shown = rendered[rank]
            if not items[rank].vouched and shown.marked:
                shown, note = shown._replace(text=fence.seal(shown.text, self._number)), fence.note(self._number)
            sections[items[rank].section].append(shown)
        return envelope(self._query_id, sections, omitted, degraded=self._degraded, note=note)


@lru_cache(maxsize=4)
def _around(degraded: bool, note: str) -> int:
    """Tokens of a bundle with nothing in it."""
    return envelope(SAMPLE_ID, [[], [], []], (), degraded=degraded, note=note)[1]


def distinct(ranked: Sequence[Item]) -> tuple[list[Item], list[Item]]:
    """Those that say something of their own, and near-duplicates of one ranked before them.

    What is vouched for never gives way to what is not, or copying an item would be enough to take its place. What the
    question names stays.
    """
    kept: tuple[list[Words], ...] = ([], [], [])  # of each that stays, by section
    of_its_own: set[int] = set()
    for item in sorted(ranked, key=lambda item: not item.vouched):
        words = Words(item)
        if item.scored.candidate.named or not any(map(words.alike, kept[item.section])):
            kept[item.section].append(words)
            of_its_own.add(id(item))
    return [i for i in ranked if id(i) in of_its_own], [i for i in ranked if id(i) not in of_its_own]


class Words:
    """The words of an item, by which it is held against others."""

    def __init__(self, item: Item) -> None:
        self._item = item
        self.title = frozenset(_words(item.page.title))
        self.where = [item.page.payload.get(name) for name in WHERE]

    @cached_property
    def _in_order(self) -> list[str]:
        """As far as they are compared."""
        return _words(self._item.lead[:ALIKE_TEXT])

    @cached_property
    def all(self) -> frozenset[str]:
        """Each of them once."""
        return frozenset(self._in_order)

    @cached_property
    def pairs(self) -> frozenset[tuple[str, str]]:
        """Those that follow each other."""
        return frozenset(pairwise(self._in_order))

    def alike(self, other: "Words") -> bool:
        """Whether both say the same: nearly all words are in common, and most of the title, which is soon compared.

        Not where they differ in a number, in what is denied, in the order of what they say, in what they are called or
        in where it was: that is what two records of one matter disagree about.
        """
        if _common(self.title, other.title) < ALIKE_PAIRS or _common(self.all, other.all) < ALIKE:
            return False
        differing = self.all ^ other.all
        if self.where != other.where or not differing.isdisjoint(DENIALS) or any(map(_has_digit, differing)):
            return False
        return _common(self.pairs, other.pairs) >= ALIKE_PAIRS


def _words(text: str) -> list[str]:
    return text.lower().split()


def _has_digit(word: str) -> bool:
    return any(map(str.isdigit, word))


def _common(one: frozenset[Any], other: frozenset[Any]) -> float:
    """The share of the members of either that both have."""
    common = len(one & other)
    return common / max(len(one) + len(other) - common, 1)
