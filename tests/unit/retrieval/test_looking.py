"""When every vector is compared, when the index is asked, and how far it looks."""

import pytest

from context_retrieval.store import Size, compares, look


@pytest.mark.parametrize(
    ("chunks", "everywhere", "compared"),
    [
        (0, 0, True),
        (500, 500, True),
        (3_000, 3_000, False),
        (1_000_000, 1_000_000, False),
        (3_000, 100_000, True),  # the index would give thirty of others for each that is wanted
        (10_000, 1_000_000, True),
        (100_000, 1_000_000, False),
        (500, 0, True),  # nothing was counted yet
        (100_000, 0, False),
    ],
)
def test_a_namespace_is_compared_where_the_index_would_look_longer(
    chunks: int, everywhere: int, compared: bool
) -> None:
    size = Size(documents=chunks, chunks=chunks, everywhere=everywhere, unvouched=False)
    assert compares(size, 12, lexical=True) is compared


def test_by_meaning_alone_the_index_looks_further_and_pays_later() -> None:
    size = Size(documents=2000, chunks=2000, everywhere=2000, unvouched=False)
    assert compares(size, 12, lexical=False)
    assert not compares(size, 12, lexical=True)


def test_the_index_looks_as_far_as_enough_of_a_namespace_takes() -> None:
    whole = Size(documents=50_000, chunks=100_000, everywhere=100_000, unvouched=False)
    tenth = Size(documents=5_000, chunks=10_000, everywhere=100_000, unvouched=False)
    assert look(tenth, 12, lexical=True) == 10 * look(whole, 12, lexical=True)
    assert look(whole, 12, lexical=True, narrow=True) > look(whole, 12, lexical=True)
    assert look(whole, 12, lexical=False) > look(whole, 12, lexical=True, narrow=True)
    assert look(Size(10, 10, 10**9, unvouched=False), 100, lexical=False, narrow=True) == 1000  # more it may not
