"""Lists: filters, order and cursors."""

import base64
import json
from typing import Any

import pytest

from context.v1 import types_pb2 as types
from context_common.errors import Invalid
from tests.support.items import adr, failure, meeting, snapshot
from tests.support.knowledge import Knowledge


@pytest.fixture
async def some(knowledge: Knowledge) -> Knowledge:
    items = [
        adr("Use Postgres", created_date="2024-01-01", tags=["db", "cost"], author="ada"),
        adr("Caches", "The databases are slow.", created_date="2024-03-01", tags=["db"], status="proposed"),
        adr("Old", created_date="2023-01-01", tags=["x"], supersedes=[], status="rejected"),
        failure(incident_date="2024-02-01", severity="high", pattern="pool", app_name="shop", tags=["db"]),
        failure("Disk full", incident_date="2024-02-02", app_name="mail", tags=["x"], status="resolved"),
        meeting(date="2024-02-01", tags=["x"]),
        snapshot(date="2024-02-01", tags=["x"]),
    ]
    for item in items:
        await knowledge.create(item)
    return knowledge


FOUND: list[tuple[dict[str, Any], str]] = [
    ({}, "ADR-002 FAIL-002 SNAP-001 MEET-001 FAIL-001 ADR-001 ADR-003"),
    ({"type": types.ITEM_TYPE_ADR}, "ADR-002 ADR-001 ADR-003"),
    ({"type": types.ITEM_TYPE_ADR, "statuses": ["active", "rejected"]}, "ADR-001 ADR-003"),
    ({"tags": ["db"]}, "ADR-002 FAIL-001 ADR-001"),
    ({"tags": ["db", "cost"]}, "ADR-001"),
    ({"tags": ["DB", "Cost"]}, "ADR-001"),
    ({"author": "ada"}, "SNAP-001 ADR-001"),
    ({"from_date": "2024-02-01", "to_date": "2024-02-01"}, "SNAP-001 MEET-001 FAIL-001"),
    ({"text": "database"}, "ADR-002"),
    ({"text": "SLOW are"}, "ADR-002"),
    ({"text": "the"}, "ADR-002 FAIL-002 FAIL-001"),
    ({"text": "adr-003"}, "ADR-003"),
    ({"text": "!!!"}, ""),
    ({"severity": "high"}, "FAIL-001"),
    ({"pattern": "pool"}, "FAIL-001"),
    ({"app_name": "mail"}, "FAIL-002"),
    ({"in_force": True, "type": types.ITEM_TYPE_ADR}, "ADR-002 ADR-001"),
    ({"author": "nobody"}, ""),
    ({"author": "' OR 1=1 --"}, ""),
]


async def test_a_filter_gives_what_passes_it_newest_first(some: Knowledge) -> None:
    for wanted, found in FOUND:
        page = await some.page(**wanted)
        assert " ".join(item.id for item in page.items) == found, wanted
        assert page.next_page_token == ""


async def test_pages_hold_everything_once_while_items_are_added(knowledge: Knowledge) -> None:
    for number in range(7):
        await knowledge.create(adr(created_date=f"2024-01-0{number % 3 + 1}"))
    seen: list[str] = []
    cursor = ""
    while True:
        page = await knowledge.page(page_size=2, page_token=cursor)
        seen += [item.id for item in page.items]
        await knowledge.create(adr(created_date="2025-01-01"))
        if not (cursor := page.next_page_token):
            break
    assert seen == ["ADR-006", "ADR-003", "ADR-005", "ADR-002", "ADR-007", "ADR-004", "ADR-001"]


async def test_a_page_has_fifty_items_and_two_hundred_at_most(knowledge: Knowledge) -> None:
    for _ in range(5):
        await knowledge.record(*[meeting(f"Meeting {n}") for n in range(41)])
    for asked, given in ((0, 50), (200, 200), (100_000, 200), (1, 1)):
        page = await knowledge.page(page_size=asked)
        assert len(page.items) == given
        assert page.next_page_token


async def test_a_page_that_ends_the_list_says_so(knowledge: Knowledge) -> None:
    for _ in range(2):
        await knowledge.create(adr())
    assert (await knowledge.page(page_size=2)).next_page_token == ""


async def test_a_cursor_belongs_to_its_list(some: Knowledge) -> None:
    cursor = (await some.page(page_size=1)).next_page_token
    day, item_id, mark = json.loads(base64.urlsafe_b64decode(cursor + "=="))
    broken: list[Any] = [[day, "x", mark], ["yesterday", item_id, mark], [1, 2, mark], [day, item_id], 5, "x" * 3, {}]
    forged = [base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=") for parts in broken]
    for bad in [*forged, "nonsense", "ä", "a", "{}", "\0", "=" * 50]:
        with pytest.raises(Invalid) as caught:
            await some.page(page_size=1, page_token=bad)
        assert list(caught.value.fields) == ["cursor"]
    with pytest.raises(Invalid):
        await some.page(page_size=1, page_token=cursor, author="ada")
    with pytest.raises(Invalid):
        await some.as_("billing").page(page_size=1, page_token=cursor)
    assert (await some.page(page_size=2, page_token=cursor)).items


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"page_size": -1}, "limit"),
    ({"statuses": ["active", "nonsense"]}, "status"),
    ({"statuses": ["resolved"], "type": types.ITEM_TYPE_ADR}, "status"),
    ({"severity": "awful"}, "severity"),
    ({"from_date": "2024-02-30"}, "from"),
    ({"from_date": "2024-02-02", "to_date": "2024-02-01"}, "from"),
    ({"to_date": "20240201"}, "to"),
    ({"tags": ["a\0"]}, "tags"),
    ({"author": "\0"}, "author"),
    ({"text": "\0"}, "q"),
    ({"pattern": "\0"}, "pattern"),
    ({"app_name": "\0"}, "app_name"),
    ({"type": 99}, "type"),
]


async def test_a_filter_that_cannot_be_is_named(knowledge: Knowledge) -> None:
    for wanted, named in REFUSED:
        with pytest.raises(Invalid) as caught:
            await knowledge.page(**wanted)
        assert list(caught.value.fields) == [named], wanted


async def test_lists_carry_counts(knowledge: Knowledge) -> None:
    await knowledge.create(adr())
    await knowledge.create(failure(impact="ADR-001"))
    await knowledge.create(failure(impact="ADR-001 and ADR-009"))
    (item,) = (await knowledge.page(type=types.ITEM_TYPE_ADR)).items
    assert (item.reference_count, item.access_count_30d) == (2, 0)
