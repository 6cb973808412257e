"""What `python -m tests.quality.table` shows stays above what is promised, on the sets that this repository has."""

import asyncio
from pathlib import Path

import pytest

from context_retrieval.rank import Scale
from tests.quality.arena import Encoding, arena
from tests.quality.sets import committed
from tests.quality.table import Floor, Result, false_answers, measure
from tests.support.postgres import scratch_database

LEAST = {"records": 0.9, "own title": 0.85, "own context": 0.7}  # nDCG@10; the sets are small, hence the room
MOST_UNANSWERED = 0.02  # of questions about the records
MOST_FALSE = 0.05  # of those that nothing on record answers


@pytest.fixture(scope="module")
def measured(postgres_url: str, model_dir: Path) -> tuple[dict[str, Result], Result, list[str]]:
    """Each set's figures, those of the questions for the floor, and the off-topic questions that got an answer."""

    async def all_of_it(url: str) -> tuple[dict[str, Result], Result, list[str]]:
        floor, sets = Floor.load(), [one for one in committed() if one.name in LEAST]
        async with arena(url, Encoding()) as where:
            for one in sets:
                await where.fill(one.documents)
            results = {one.name: await measure(where, one.name, one.asked, Scale()) for one in sets}
            real = await measure(where, "records", floor.real, Scale())
            return results, real, await false_answers(where, "records", floor.off_topic, Scale())

    with scratch_database(postgres_url) as url:
        return asyncio.run(all_of_it(url))


@pytest.mark.parametrize("name", LEAST)
def test_questions_find_what_answers_them(measured: tuple[dict[str, Result], Result, list[str]], name: str) -> None:
    assert measured[0][name].ndcg >= LEAST[name]


def test_what_is_on_record_is_answered(measured: tuple[dict[str, Result], Result, list[str]]) -> None:
    _, real, _ = measured
    assert real.nothing <= MOST_UNANSWERED * real.asked
    assert real.recall >= 0.95


def test_what_is_not_on_record_is_not_answered(measured: tuple[dict[str, Result], Result, list[str]]) -> None:
    _, _, wrong = measured
    assert len(wrong) <= MOST_FALSE * len(Floor.load().off_topic), wrong
