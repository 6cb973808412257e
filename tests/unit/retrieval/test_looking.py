"""When every vector is compared, when the index is asked, and how far it looks."""

import pytest

from context_retrieval.store import Size, look, way
from context_retrieval.store.statement import Way


def size(chunks: int, everywhere: int) -> Size:
    return Size(documents=chunks // 2, chunks=chunks, everywhere=everywhere, unvouched=0)


def whole(of: Size, *, lexical: bool = True) -> Way:
    return way(of, of.documents, of.documents, 24, lexical=lexical, whole=True)


def filtered(of: Size, documents: int) -> Way:
    return way(of, documents, documents, 24, lexical=True)


@pytest.mark.parametrize(
    ("chunks", "everywhere", "found"),
    [
        (0, 0, Way.PART),  # of nothing either way takes nothing
        (500, 500, Way.WHOLE),
        (3_000, 3_000, Way.INDEX),
        (1_000_000, 1_000_000, Way.INDEX),
        (3_000, 100_000, Way.WHOLE),  # the index would give thirty of others for each that is wanted
        (10_000, 1_000_000, Way.WHOLE),
        (100_000, 1_000_000, Way.INDEX),
        (500, 0, Way.WHOLE),  # nothing was counted yet
        (100_000, 0, Way.INDEX),
    ],
)
def test_a_namespace_is_compared_where_the_index_would_look_longer(chunks: int, everywhere: int, found: Way) -> None:
    assert whole(size(chunks, everywhere)) is found


@pytest.mark.parametrize(
    ("chunks", "documents", "found"),
    [
        (1_000_000, 0, Way.PART),
        (1_000_000, 5_000, Way.PART),  # half of a hundredth: the index would give a hundred others for each
        (1_000_000, 100_000, Way.INDEX),
        (2_000, 10, Way.PART),
        (2_000, 900, Way.INDEX),
    ],
)
def test_what_passes_a_filter_is_compared_where_the_index_would_look_longer(
    chunks: int, documents: int, found: Way
) -> None:
    assert filtered(size(chunks, chunks), documents) is found


def test_few_among_many_are_left_to_the_index_where_to_find_them_takes_longer() -> None:
    of = size(100_000, 100_000)
    assert way(of, 100, 100, 24, lexical=True) is Way.PART
    assert way(of, 100, of.documents * 100, 24, lexical=True) is Way.INDEX


def test_by_meaning_alone_the_index_looks_further_and_pays_later() -> None:
    of = size(2000, 2000)
    assert whole(of, lexical=False) is Way.WHOLE
    assert whole(of) is Way.INDEX


def test_the_index_looks_as_far_as_enough_of_what_passes_takes() -> None:
    everything = size(100_000, 100_000)
    tenth = size(10_000, 100_000)
    assert look(tenth, 24, lexical=True) == 10 * look(everything, 24, lexical=True)
    assert look(everything.of(5_000), 24, lexical=True) == look(tenth, 24, lexical=True)
    assert look(everything, 24, lexical=True, narrow=True) > look(everything, 24, lexical=True)
    assert look(everything, 24, lexical=False) > look(everything, 24, lexical=True, narrow=True)
    assert look(size(10, 10**9), 100, lexical=False, narrow=True) == 1000  # more it may not
