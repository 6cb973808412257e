"""Asks questions of an arena, and says what the answers are worth."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from context_retrieval.rank import Scale
from tests.quality.arena import Arena
from tests.quality.figures import mean, ndcg, recall, reciprocal_rank
from tests.quality.sets import Asked

AT_ONCE = 4  # questions under way
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Result:
    """What one set came to: means over its questions, and how many of them went wrong."""

    ndcg: float
    recall_5: float
    recall_10: float
    reciprocal_rank: float
    nothing: int  # without any answer
    shown: int  # answered, among others, with what must not be
    asked: int


@dataclass(frozen=True, slots=True)
class Spent:
    """What bundles of one budget came to, as shares from 0 to 1."""

    used: float  # of the budget, on the mean
    holding: float  # of the bundles: those with something in them that was wanted
    right: float  # of all their tokens: those of items that were wanted
    most: float  # of the budget, in the fullest bundle
    found: float  # of what was wanted, on the mean: where a question has several answers

    @property
    def shares(self) -> tuple[float, float, float]:
        """The first three."""
        return self.used, self.holding, self.right


async def measure(where: Arena, asked: Sequence[Asked], *scales: Scale) -> Result:
    """How `asked` are answered."""
    answers = await _each(asked, lambda one: where.ask_each(one.question, one.within, scales))
    rows = list(zip((one.wanted for one in asked), answers, strict=True))
    return Result(
        mean([ndcg(found, right) for right, found in rows]),
        mean([recall(found, right, 5) for right, found in rows]),
        mean([recall(found, right) for right, found in rows]),
        mean([reciprocal_rank(found, right) for right, found in rows]),
        sum(not found for found in answers),
        sum(not one.unwanted.isdisjoint(found) for one, found in zip(asked, answers, strict=True)),
        len(rows),
    )


async def spend(where: Arena, asked: Sequence[Asked], budget: int, scale: Scale) -> Spent:
    """What bundles of `budget` tokens are filled with."""
    bundles = await _each(asked, lambda one: where.bundle(one.question, one.within, budget, scale))
    found = [
        len(one.wanted & bundle.items.keys()) / len(one.wanted) for one, bundle in zip(asked, bundles, strict=True)
    ]
    right = [
        sum(tokens for item, tokens in bundle.items.items() if item in one.wanted)
        for one, bundle in zip(asked, bundles, strict=True)
    ]
    return Spent(
        mean([bundle.tokens / budget for bundle in bundles]),
        mean([tokens > 0 for tokens in right]),
        sum(right) / sum(bundle.tokens for bundle in bundles),
        max(bundle.tokens for bundle in bundles) / budget,
        mean(found),
    )


async def false_answers(where: Arena, asked: Sequence[Asked], scale: Scale) -> list[str]:
    """Those of `asked` that got an answer."""
    answers = await _each(asked, lambda one: where.ask(one.question, one.within, scale))
    return [one.question for one, found in zip(asked, answers, strict=True) if found]


async def _each(asked: Iterable[Asked], answer: Callable[[Asked], Awaitable[T]]) -> list[T]:
    """What `answer` makes of each, in order, a few at once."""
    permits = asyncio.Semaphore(AT_ONCE)

    async def permitted(one: Asked) -> T:
        async with permits:
            return await answer(one)

    return await asyncio.gather(*map(permitted, asked))
