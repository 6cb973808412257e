"""Ids: how they are written, and how they are found in text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from context_knowledge import references
from context_knowledge.model import Adr, Item, ItemType
from context_knowledge.references import canonical, expected, named_by, named_in, numbered


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("adr-12", "ADR-012"),
        ("ADR-0012", "ADR-012"),
        (" MEET-1 ", "MEET-001"),
        ("Snap-1000", "SNAP-1000"),
        ("FAIL-zeta", "FAIL-zeta"),
        ("ADR-1.2", "ADR-1.2"),
        ("ADR-١", None),
        ("ADR", None),
        ("ADR-", None),
        ("ADR--1", None),
        ("MADR-1", None),
        ("ADR-1\n2", None),
        ("", None),
    ],
)
def test_an_id_has_one_form(text: str, found: str | None) -> None:
    assert canonical(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see ADR-12, fail-3 and SNAP-1000.", ["ADR-012", "FAIL-003", "SNAP-1000"]),
        ("ADR-1/ADR-2 (ADR-3) [ADR-4](x) 'ADR-5'", ["ADR-001", "ADR-002", "ADR-003", "ADR-004", "ADR-005"]),
        ("ADR-012-use-postgres.md", ["ADR-012", "ADR-012-use-postgres.md"]),
        ("FAIL-zeta.", ["FAIL-zeta"]),
        ("ADR-2024-11", ["ADR-2024-11"]),
        ("fail-safe, adr-tools, snap-in", []),
        ("MADR-1 xADR-1 _ADR-1 ADR 1 ADR- ADR_1", []),
        ("ADR-12abc", ["ADR-12abc"]),
        ("adr-12abc", []),
        ("ADR-1234567890123", []),
        ("ADR-" + "x" * 62, []),
        ("", []),
    ],
)
def test_ids_are_found_in_text(text: str, found: list[str]) -> None:
    assert list(named_in(text)) == found


def test_a_name_is_found_once_and_not_the_items_own() -> None:
    item = Item(
        "ADR-001", ItemType.ADR, Adr(decision="ADR-2 adr-002 ADR-1", supersedes=("ADR-009",)), title="ADR-001 ADR-3"
    )
    assert named_by(item) == ["ADR-003", "ADR-002"]


@pytest.mark.parametrize(
    ("item_id", "likely"),
    [("ADR-012", True), ("SNAP-3f2a", True), ("ADR-2024-11", True), ("ADR-driven", False), ("ADR-012-x.md", False)],
)
def test_words_that_look_like_ids_are_not_waited_for_aloud(item_id: str, likely: bool) -> None:
    assert expected(item_id) is likely


@given(st.sampled_from(["ADR", "FAIL", "MEET", "SNAP"]), st.integers(0, 10**12 - 1))
def test_a_numbered_id_is_canonical_and_found_in_text(prefix: str, number: int) -> None:
    item_id = numbered(prefix, number)
    assert canonical(item_id.lower()) == item_id
    assert list(named_in(f"as in {item_id.lower()}.")) == [item_id]


@given(st.text())
def test_whatever_is_found_in_a_text_is_an_id(text: str) -> None:
    assert all(canonical(found) == found or expected(found) for found in named_in(text))


def test_what_names_more_than_anybody_reads_is_a_list() -> None:
    text = " ".join(f"ADR-{number:03d}" for number in range(1, 2_000))
    assert len(references.named_by(Item("", ItemType.ADR, title="List", body=Adr(decision=text)))) == references.MOST
