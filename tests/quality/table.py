"""How well questions find what answers them, set by set, and what each technique is worth: `make quality`.

    python -m tests.quality.table [--half dev|held-out|both] [--ablation] [--vectors FILE] [--only PART]

Always on our own records and decisions; on others' text where the environment names it (see sets.py). The last columns
are questions about our records that got no answer, and off-topic ones that got one.
"""

import argparse
import asyncio
import os
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from context_retrieval.model import Filter
from context_retrieval.rank import Scale
from tests.quality.arena import Arena, Encoding, arena
from tests.quality.figures import mean, ndcg, recall, reciprocal_rank
from tests.quality.sets import HERE, Asked, Labelled, committed, given
from tests.support.postgres import scratch_database, scratch_server

HALVES = {"dev": (False,), "held-out": (True,), "both": (False, True)}
WORDS, MEANING = replace(Scale(), words=1.0, telling=0.0), replace(Scale(), words=0.0)
VARIANTS = {
    "all of it": [Scale()],
    "absolute order": [replace(Scale(), relative=False)],
    "words only": [WORDS],
    "meaning only": [MEANING],
    "rank fusion": [WORDS, MEANING],
    "words always": [replace(Scale(), telling=0.0)],
    "no nudge": [replace(Scale(), nudge=0.0)],
    "no floor": [replace(Scale(), floor=0.0)],
}


@dataclass(frozen=True, slots=True)
class Result:
    """What one set came to."""

    ndcg: float
    recall: float
    reciprocal_rank: float
    nothing: int  # questions without any answer
    asked: int


@dataclass(frozen=True, slots=True)
class Floor:
    """Questions about our records, and such as nothing on record answers."""

    real: Sequence[Asked]
    off_topic: Sequence[Asked]

    @classmethod
    def load(cls) -> "Floor":
        """Those of floor.toml and questions.toml."""
        own = tomllib.loads((HERE / "floor.toml").read_text())
        asked = tomllib.loads((HERE / "questions.toml").read_text())
        real = [(question, found) for found, questions in own["real"].items() for question in questions]
        real += [(row["ask"], row["find"]) for row in asked["records"]]
        off = [
            question for questions in (*own["off_topic"].values(), asked["off_topic"]["ask"]) for question in questions
        ]
        return cls([Asked(one, frozenset({found})) for one, found in real], [Asked(one, frozenset()) for one in off])


async def measure(where: Arena, namespace: str, asked: Iterable[Asked], *scales: Scale) -> Result:
    """How `asked` is answered in `namespace`."""
    wanted = Filter((namespace,))
    rows = [(one.wanted, await where.ask_each(one.question, wanted, scales)) for one in asked]
    return Result(
        mean([ndcg(found, right) for right, found in rows]),
        mean([recall(found, right) for right, found in rows]),
        mean([reciprocal_rank(found, right) for right, found in rows]),
        sum(not found for _, found in rows),
        len(rows),
    )


async def false_answers(where: Arena, namespace: str, asked: Iterable[Asked], scale: Scale) -> list[str]:
    """Those of `asked` that got an answer."""
    return [one.question for one in asked if await where.ask(one.question, Filter((namespace,)), scale)]


def of_half(asked: Sequence[Asked], half: str) -> list[Asked]:
    """Those of `half`."""
    return [one for one in asked if one.held_out in HALVES[half]]


async def show(where: Arena, sets: Sequence[Labelled], half: str, variants: Iterable[str]) -> None:
    """Print the table."""
    floor, sets = Floor.load(), [one for one in sets if of_half(one.asked, half)]
    print(f"{'nDCG@10':<16}" + "".join(f"{one.name[:14]:>15}" for one in sets) + f"{'no answer':>12}{'off-topic':>12}")
    for name in variants:
        scales = VARIANTS[name]
        results = [await measure(where, one.name, of_half(one.asked, half), *scales) for one in sets]
        real = await measure(where, "records", of_half(floor.real, half), *scales)
        wrong = await false_answers(where, "records", of_half(floor.off_topic, half), scales[0])
        cells = "".join(f"{one.ndcg:>10.3f} {f'({one.nothing})' if one.nothing else '':>4}" for one in results)
        off = len(of_half(floor.off_topic, half))
        print(f"{name:<16}{cells}{real.nothing:>6}/{real.asked:<5}{len(wrong):>6}/{off:<5}", flush=True)


async def run(options: argparse.Namespace, url: str) -> None:
    """Fill an arena on the database at `url` and print its table."""
    sets = [one for one in (*committed(), *given(os.environ)) if options.only in one.name or one.name == "records"]
    async with arena(url, Encoding(options.vectors)) as where:
        for one in sets:
            await where.fill(one.documents)
            asked = of_half(one.asked, options.half)
            print(f"{one.name}: {len(one.documents)} documents, {len(asked)} questions", flush=True)
        await show(where, sets, options.half, VARIANTS if options.ablation else options.variants)


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


if __name__ == "__main__":
    main()
