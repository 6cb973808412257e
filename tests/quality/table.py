"""How well questions find what answers them, set by set, and what each technique is worth: `make quality`.

    python -m tests.quality.table [--half dev|held-out|both] [--ablation] [--vectors FILE] [--only PART]

Always on our own sets; on others' text where the environment names it (see sets.py). The tables are Markdown.
"""

import argparse
import asyncio
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from context_retrieval.rank import Scale
from tests.quality.arena import Arena, Encoding, arena
from tests.quality.crowds import Crowd, crowds
from tests.quality.kinds import Floor, kinds
from tests.quality.measure import false_answers, measure, spend
from tests.quality.said import said
from tests.quality.sets import Asked, Labelled, given, ours
from tests.quality.variants import BUNDLES, CUTS, VARIANTS, Variant, ask_cut, cut_documents, cutting, switched
from tests.support.postgres import scratch_database, scratch_server

HALVES = {"dev": (False,), "held-out": (True,), "both": (False, True)}
BUDGETS = (500, 1000, 4000)  # tokens
MOST = 400  # questions of a set that a variant is asked, evenly taken from larger ones;
MOST_BUNDLED = 100  # for which bundles are packed
LINKED = "linked"
TYPOS = "typos"  # of questions that are in other sets as well
FLOOR = ("real unanswered", "off-topic answered", "traps answered")
FLOORS = ("all of it", "one floor")


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is asked: our sets and others', the halves of them that are wanted, and the questions for the floor."""

    ours: Sequence[Labelled]
    given: Sequence[Labelled]
    linked: Sequence[Asked]  # of bundles alone, since a list of results has no neighbours
    floor: Floor

    @classmethod
    def of(cls, half: str, only: str) -> "Chosen":
        """Of the sets whose name has `only` in it, `half` of the questions; the records are always among them."""
        own = list(ours())
        records, decisions = own[:2]

        def wanted(sets: Iterable[Labelled]) -> list[Labelled]:
            named = [one for one in sets if only in one.name or one.name == records.name]
            halved = [replace(one, asked=_of_half(one.asked, half)) for one in named]
            return [one for one in halved if one.asked]

        mine = wanted([records, *kinds(records, decisions), *own[1:]])
        floor = Floor.load().each(lambda asked: _of_half(asked, half))
        return cls(
            [one for one in mine if one.name != LINKED],
            wanted(given(os.environ)),
            next((one.asked for one in mine if one.name == LINKED), ()),
            floor,
        )

    @property
    def sets(self) -> Sequence[Labelled]:
        """All of them."""
        return [*self.ours, *self.given]

    @property
    def spelt(self) -> Sequence[Labelled]:
        """Ours as they are spelt."""
        return [one for one in self.ours if one.name != TYPOS]

    async def fill(self, where: Arena, cut: str = "") -> None:
        """Index every document once."""
        documents = list({document.key: document for one in self.sets for document in one.documents}.values())
        if not cut:
            await where.fill(documents)
            return
        with switched(cutting(cut)):
            await where.fill(cut_documents(documents, cut))

    def crowds(self) -> Iterator[Crowd]:
        """What the questions for the floor are asked of."""
        return crowds(self.ours, self.given)

    def bundled(self) -> Iterator[tuple[str, list[Asked]]]:
        """The questions for which bundles are packed, by group."""
        yield "ours", [each for one in self.spelt for each in _sampled(one.asked, MOST_BUNDLED)]
        yield LINKED, list(self.linked)
        yield "others'", [each for one in self.given for each in _sampled(one.asked, MOST_BUNDLED)]


async def show_sets(where: Arena, chosen: Chosen) -> None:
    """Print every figure of every set."""
    scales = VARIANTS["all of it"].scales
    _header("set", "documents", "questions", "nDCG@10", "recall@5", "recall@10", "MRR", "no answer", "not to be shown")
    for one in chosen.sets:
        got = await measure(where, one.asked, *scales)
        figures = map(_share, (got.ndcg, got.recall_5, got.recall_10, got.reciprocal_rank))
        _row(one.name, len(one.documents), got.asked, *figures, got.nothing, got.shown)


async def show_ablation(where: Arena, chosen: Chosen, variants: Mapping[str, Variant]) -> None:
    """Print nDCG@10 of every set for each of `variants`, and what the floor takes and lets through."""
    for sets in (chosen.ours, chosen.given):
        mine = sets is chosen.ours
        if not sets:
            continue
        _header("nDCG@10", *(one.name for one in sets), *(FLOOR if mine else ()))
        for name, variant in variants.items():
            with switched(variant.switches):
                asked = [ask_cut(_sampled(one.asked, MOST), variant.cut) for one in sets]
                cells = [_share((await measure(where, one, *variant.scales)).ndcg) for one in asked]
                if mine:
                    cells += await _floor(where, chosen.floor, variant)
            _row(name, *cells)


async def show_crowds(where: Arena, chosen: Chosen) -> None:
    """Print what the floor takes and lets through in ever more documents."""
    _header("floor", "documents", *FLOOR)
    for crowd in chosen.crowds():
        await where.fill(crowd.documents)
        floor = chosen.floor.each(crowd.asked)
        if not crowd.answers:
            floor = replace(floor, real=())
        for name in FLOORS:
            _row(f"{crowd.name}: {name}", crowd.size, *await _floor(where, floor, VARIANTS[name]))


async def show_bundles(where: Arena, chosen: Chosen, variants: Mapping[str, Variant]) -> None:
    """Print what bundles are filled with: of the budget what is used, how many hold what was wanted, and of their
    tokens how many are its.
    """
    parts = ("used", "holding", "right")
    _header("bundles", "questions", *(f"{part} at {budget}" for budget in BUDGETS for part in parts))
    for group, asked in chosen.bundled():
        for name, variant in variants.items() if asked else ():
            with switched(variant.switches):
                spent = [await spend(where, asked, budget, variant.scales[0]) for budget in BUDGETS]
            _row(f"{group}: {name}", len(asked), *(_share(part) for one in spent for part in one.shares))


async def show_said(where: Arena, chosen: Chosen, scale: Scale) -> None:
    """Print what feedback on a quarter of the items is worth: to questions for these, and to those for others."""
    columns = ("without", "with")
    _header("feedback", "again", *columns, "for others", *columns)
    for one in await said(where, chosen.sets, scale):
        _row(one.name, one.again, *map(_share, one.again_ndcg), one.others, *map(_share, one.others_ndcg))


async def run(options: argparse.Namespace, url: str) -> None:
    """Fill an arena on the database at `url` and print its tables."""
    chosen = Chosen.of(options.half, options.only)
    variants = {name: VARIANTS[name] for name in (VARIANTS if options.ablation else options.variants)}
    async with arena(url, Encoding(options.vectors)) as where:
        for cut in ("", *(cut for cut in CUTS if any(variant.cut == cut for variant in variants.values()))):
            await chosen.fill(where, cut)
        await show_sets(where, chosen)
        await show_ablation(where, chosen, variants)
        await show_bundles(where, chosen, BUNDLES if options.ablation else {"all of it": BUNDLES["all of it"]})
        await show_said(where, chosen, VARIANTS["all of it"].scales[0])
        if not options.only:
            await show_crowds(where, chosen)


def main() -> None:
    """As the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--half", choices=HALVES, default="both")
    parser.add_argument("--vectors", type=Path, help="a file to keep vectors in")
    parser.add_argument("--only", default="", help="only sets whose name has this in it, and the records")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=["all of it"], help="lines of the table")
    parser.add_argument("--ablation", action="store_true", help="a line for each technique left out as well")
    options = parser.parse_args()
    with scratch_server() as server, scratch_database(server) as url:
        asyncio.run(run(options, url))


async def _floor(where: Arena, floor: Floor, variant: Variant) -> list[str]:
    """How many real questions got no answer, and how many off-topic ones and traps got one."""
    floor = floor.each(lambda asked: ask_cut(asked, variant.cut))
    nothing = (await measure(where, floor.real, *variant.scales)).nothing
    wrong = [len(await false_answers(where, one, variant.scales[0])) for one in (floor.off_topic, floor.traps)]
    asked = (floor.real, floor.off_topic, floor.traps)
    return [f"{count} of {len(one)}" for count, one in zip((nothing, *wrong), asked, strict=True)]


def _of_half(asked: Sequence[Asked], half: str) -> list[Asked]:
    return [one for one in asked if one.held_out in HALVES[half]]


def _sampled(asked: Sequence[Asked], most: int) -> Sequence[Asked]:
    """At most `most` of them: every second, third, and so on."""
    return asked[:: -(-len(asked) // most)] if asked else asked


def _share(value: float) -> str:
    """A share as it is written here: .901."""
    return f"{value:.3f}".removeprefix("0")


def _header(*names: str) -> None:
    print()
    _row(*names)
    _row(*("---" for _ in names))


def _row(*cells: object) -> None:
    print("|", " | ".join(map(str, cells)), "|", flush=True)


if __name__ == "__main__":
    main()
