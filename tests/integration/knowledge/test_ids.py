"""Ids are unique for ever and have no gaps, whoever writes at the same time."""

import asyncio

import pytest

from context_common.errors import Conflict, Invalid
from tests.support.items import adr, failure
from tests.support.knowledge import Knowledge


async def test_fifty_writers_at_once_get_a_thousand_ids_without_a_gap(knowledge: Knowledge) -> None:
    async def write(writer: int) -> list[str]:
        made = [await knowledge.create(failure(f"Failure {writer}.{number}")) for number in range(20)]
        return [recorded.item.id for recorded in made]

    made = [item_id for ids in await asyncio.gather(*map(write, range(50))) for item_id in ids]
    assert sorted(made, key=lambda item_id: int(item_id[5:])) == [f"FAIL-{n:03d}" for n in range(1, 1001)]
    assert await knowledge.count("items") == 1000
    assert await knowledge.count("changes") == 1000


async def test_decisions_that_all_supersede_one_another_do_not_lock_up(knowledge: Knowledge) -> None:
    await knowledge.create(adr())

    async def write(number: int) -> str:
        return (await knowledge.create(adr(f"Decision {number}", supersedes=["ADR-001"]))).item.id

    made = await asyncio.gather(*map(write, range(30)))
    assert sorted(made) == [f"ADR-{n:03d}" for n in range(2, 32)]
    assert (await knowledge.get("ADR-001")).adr.superseded_by == "ADR-031"


async def test_ids_grow_past_three_digits(knowledge: Knowledge) -> None:
    await knowledge.create(adr(id="ADR-998"))
    made = [(await knowledge.create(adr())).item.id for _ in range(3)]
    assert made == ["ADR-999", "ADR-1000", "ADR-1001"]
    assert [i.id for i in (await knowledge.page()).items] == ["ADR-1001", "ADR-1000", "ADR-999", "ADR-998"]


async def test_each_type_and_namespace_counts_for_itself(knowledge: Knowledge) -> None:
    other = knowledge.as_("billing")
    made = [await knowledge.create(adr()), await knowledge.create(failure()), await other.create(adr())]
    assert [recorded.item.id for recorded in made] == ["ADR-001", "FAIL-001", "ADR-001"]


@pytest.mark.parametrize(
    ("asked", "given", "following"),
    [
        ("adr-7", "ADR-007", "ADR-008"),
        ("ADR-0012", "ADR-012", "ADR-013"),
        ("ADR-000", "ADR-000", "ADR-001"),
        ("ADR-zeta", "ADR-zeta", "ADR-001"),
        ("ADR-2024.11_x-1", "ADR-2024.11_x-1", "ADR-001"),
        ("ADR-999999999", "ADR-999999999", "ADR-1000000000"),
    ],
)
async def test_a_free_id_may_be_brought(knowledge: Knowledge, asked: str, given: str, following: str) -> None:
    assert (await knowledge.create(adr(id=asked))).item.id == given
    assert (await knowledge.get(asked)).id == given
    assert (await knowledge.create(adr())).item.id == following


async def test_an_id_between_used_ones_may_be_brought_if_nobody_had_it(knowledge: Knowledge) -> None:
    await knowledge.create(adr(id="ADR-005"))
    assert (await knowledge.create(adr(id="ADR-003"))).item.id == "ADR-003"
    assert (await knowledge.create(adr())).item.id == "ADR-006"


WRONG = (
    *("FAIL-001", "ADR", "ADR-", "ADR--1", "ADR-1 2", "ADR-ä", "1", "ADR-1\0"),
    *("ADR-" + "x" * 62, "ADR-1234567890", "ADR-" + "1" * 40),
)


async def test_an_id_of_the_wrong_shape_is_refused(knowledge: Knowledge) -> None:
    for asked in WRONG:
        with pytest.raises(Invalid) as caught:
            await knowledge.create(adr(id=asked))
        assert list(caught.value.fields) == ["id"], asked
    assert (await knowledge.create(adr())).item.id == "ADR-001"


async def test_no_id_is_used_twice(knowledge: Knowledge) -> None:
    await knowledge.create(adr(id="ADR-zeta"))
    await knowledge.create(adr())
    with pytest.raises(Conflict, match="ADR-001 is taken"):
        await knowledge.create(adr(id="ADR-1"))
    for item_id in ("ADR-001", "ADR-zeta"):
        await knowledge.delete(item_id)
        with pytest.raises(Conflict, match="was deleted"):
            await knowledge.create(adr(id=item_id))
    assert (await knowledge.create(adr())).item.id == "ADR-002"


async def test_of_two_who_bring_one_id_one_gets_it(knowledge: Knowledge) -> None:
    results = await asyncio.gather(*(knowledge.create(adr(id="ADR-x")) for _ in range(8)), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == [*["Conflict"] * 7, "Recorded"]


async def test_a_refused_write_uses_no_id(knowledge: Knowledge) -> None:
    with pytest.raises(Invalid):
        await knowledge.create(adr(supersedes=["ADR-001"]))
    assert (await knowledge.create(adr())).item.id == "ADR-001"
