"""Cursors: they lead on in their own list, and nothing else that looks like one does."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from context_common import pages
from context_common.errors import Invalid

words = st.text(st.characters(categories=["L", "N", "P"]))


@given(words, st.integers(0, 2**63 - 1))
def test_a_position_comes_back(text: str, number: int) -> None:
    mark = pages.mark("list", text)
    cursor = pages.encode([text, number], mark)
    assert pages.decode(cursor, mark, str, int) == (text, number)
    with pytest.raises(Invalid):
        pages.decode(cursor, pages.mark("other", text), str, int)
    with pytest.raises(Invalid):
        pages.decode(cursor, mark, int, str)


@given(st.text())
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        pages.decode(text, pages.mark("list"), str)


@pytest.mark.parametrize("part", ["\0", "\ud800", "\n", 2**63, -1, True, 1.5, None, [], {}])
def test_what_no_database_compares_with_is_refused(part: Any) -> None:
    mark = pages.mark("list")
    with pytest.raises(Invalid):
        pages.decode(pages.encode([part], mark), mark, str if isinstance(part, str) else int)


@given(st.lists(st.integers(), max_size=8), st.integers(1, 8))
def test_a_page_leads_on_only_where_there_is_more(entries: list[int], most: int) -> None:
    page = pages.cut(entries, most, "mark", lambda entry: (entry,))
    assert page.items == entries[:most]
    assert bool(page.cursor) == (len(entries) > most)


def test_sizes_have_a_default_and_a_limit() -> None:
    assert [pages.size(asked) for asked in (0, 1, 200, 201)] == [50, 1, 200, 200]
    with pytest.raises(Invalid):
        pages.size(-1)
