"""A long text is taken apart where one matter ends; a short one, and a trace, is one matter."""

import pytest

from context_retrieval.matters import LEAST, MOST, SEVERAL, matters

TASK = (
    "Add a client for the new carrier to the shipping service. "
    "Calls to a carrier that is slow must not hold the others up. Prices are never floats.\n\n"
    "- Street names are cut at thirty-five characters before a label is printed\n"
    "- Secrets of the carrier are read from the vault and never from a file"
)
TRACE = "panic: runtime error: index out of range\n" + "\n".join(
    f"  at com.parcels.tracking.Consumer{n}.parse(Consumer{n}.java:{n})" for n in range(40)
)


def test_a_task_is_several_matters() -> None:
    assert [part.split()[0] for part in matters(TASK)] == ["Add", "Calls", "-", "-"]
    assert matters(TASK)[1].endswith("Prices are never floats.")


@pytest.mark.parametrize("text", ["", "   ", "Why did we choose Postgres? And when?", TRACE, "word " * 500])
def test_what_is_short_or_one_matter_is_left_whole(text: str) -> None:
    assert matters(text) == []


def test_however_long_it_is_there_are_few_and_all_of_it_is_in_them() -> None:
    sentences = [f"This is sentence number {n} of a task that goes on and on." for n in range(101)]
    found = matters(" ".join(sentences))
    assert 1 < len(found) <= MOST
    assert " ".join(found) == " ".join(sentences)
    assert all(len(part.split()) >= LEAST for part in found)
    assert matters(" ".join(["word."] * SEVERAL)) == []
