"""Requests that come again: the first answer, one item, and nothing of anybody else's."""

import asyncio

import pytest

from context.v1 import knowledge_pb2 as pb
from context.v1 import types_pb2 as types
from context_common import postgres
from context_common.caller import SERVICE, Caller
from context_common.errors import Conflict, Invalid, from_status
from context_knowledge.once import Once
from context_knowledge.store import SESSION, Store
from tests.support.items import adr, failure, snapshot
from tests.support.knowledge import Knowledge

ITSELF = Caller("default", "service:knowledge", "r", scopes=frozenset({SERVICE}))


async def create(knowledge: Knowledge, item: types.Item, key: str) -> pb.Recorded:
    request = pb.CreateItemRequest(item=item, idempotency_key=key)
    response: pb.CreateItemResponse = await knowledge.ask("CreateItem", request)
    return response.recorded


async def record(knowledge: Knowledge, items: list[types.Item], keys: list[str]) -> list[pb.RecordResult]:
    request = pb.RecordItemsRequest(items=items, idempotency_keys=keys)
    return list((await knowledge.ask("RecordItems", request)).results)


async def test_the_same_again_is_answered_as_the_first_time(knowledge: Knowledge) -> None:
    first = await create(knowledge, adr("One", supersedes=["ADR-007"]), "k-1")
    await knowledge.update(types.Item(id="ADR-001", title="Changed since"), ["title"])
    assert await create(knowledge, adr("One", supersedes=["ADR-007"]), "k-1") == first
    assert (first.outcome, first.item.id, first.item.title) == (pb.OUTCOME_CREATED, "ADR-001", "One")
    assert (await knowledge.get("ADR-001")).title == "Changed since"
    assert await knowledge.count("items") == 1
    assert await knowledge.count("audit") == 2


async def test_another_item_under_the_same_key_is_a_conflict(knowledge: Knowledge) -> None:
    await create(knowledge, adr("One"), "k-1")
    for other in (adr("Two"), adr("One", tags=["db"]), failure("One")):
        with pytest.raises(Conflict):
            await create(knowledge, other, "k-1")
    assert await knowledge.count("items") == 1
    assert (await create(knowledge, adr("One"), "k-1")).item.id == "ADR-001"


async def test_keys_are_each_principals_and_each_namespaces_own(knowledge: Knowledge) -> None:
    made = [
        await create(who, adr("One"), "k-1")
        for who in (knowledge, knowledge.as_(principal="bob"), knowledge.as_("billing"))
    ]
    assert [(r.item.namespace, r.item.id) for r in made] == [
        ("web", "ADR-001"),
        ("web", "ADR-002"),
        ("billing", "ADR-001"),
    ]
    assert all(r.outcome == pb.OUTCOME_CREATED for r in made)


async def test_of_many_at_once_one_is_created(knowledge: Knowledge) -> None:
    made = await asyncio.gather(*(create(knowledge, adr("One"), "k-1") for _ in range(12)))
    assert {recorded.item.id for recorded in made} == {"ADR-001"}
    assert len({recorded.SerializeToString(deterministic=True) for recorded in made}) == 1
    assert await knowledge.count("items") == await knowledge.count("item_versions") == 1


async def test_of_two_different_at_once_one_is_created(knowledge: Knowledge) -> None:
    items = [adr(f"Number {n}") for n in range(6)]
    done = await asyncio.gather(*(create(knowledge, item, "k-1") for item in items), return_exceptions=True)
    assert sum(isinstance(one, pb.Recorded) for one in done) == 1
    assert sum(isinstance(one, Conflict) for one in done) == 5
    assert await knowledge.count("items") == 1


async def test_what_failed_is_not_remembered(knowledge: Knowledge) -> None:
    await knowledge.create(adr(source_uri="1.md"))
    with pytest.raises(Conflict):
        await create(knowledge, adr("Taken", source_uri="1.md"), "k-1")
    await knowledge.delete("ADR-001")
    assert (await create(knowledge, adr("Free", source_uri="1.md"), "k-1")).item.id == "ADR-002"
    assert await knowledge.count("idempotency") == 1


async def test_without_a_key_the_same_again_is_another_item(knowledge: Knowledge) -> None:
    made = [await create(knowledge, adr("One"), "") for _ in range(2)]
    assert [recorded.item.id for recorded in made] == ["ADR-001", "ADR-002"]
    assert await knowledge.count("idempotency") == 0


async def test_a_known_commit_is_answered_the_same_again(knowledge: Knowledge) -> None:
    await knowledge.create(snapshot("abc"))
    first = await create(knowledge, snapshot("abc"), "k-1")
    assert (first.outcome, first.item.id) == (pb.OUTCOME_UNCHANGED, "SNAP-001")
    assert await create(knowledge, snapshot("abc"), "k-1") == first


@pytest.mark.parametrize("key", ["x" * 256, "a\nb", "schlüssel", "\x7f"])
async def test_a_key_that_cannot_be_is_refused_by_name(knowledge: Knowledge, key: str) -> None:
    with pytest.raises(Invalid) as caught:
        await create(knowledge, adr(), key)
    assert list(caught.value.fields) == ["idempotency_key"]
    assert await knowledge.count("items") == 0


async def test_after_a_day_a_key_is_new_and_old_ones_are_purged(knowledge: Knowledge) -> None:
    for number in range(5):
        await create(knowledge.as_(f"n{number}"), adr("One"), f"k-{number}")
    await create(knowledge, adr("One"), "fresh")
    await knowledge.execute("UPDATE idempotency SET at = at - interval '25 hours' WHERE key <> %s", "fresh")
    assert (await create(knowledge.as_("n0"), adr("Two"), "k-0")).item.id == "ADR-002"
    async with postgres.open_pool(knowledge.url, SESSION, name="test", size=2) as pool:
        assert await Once(Store(pool)).purge(ITSELF, batch=3) == 4
        assert await Once(Store(pool)).purge(ITSELF, batch=3) == 0
    left = await knowledge.rows("SELECT key FROM idempotency ORDER BY key")
    assert [row["key"] for row in left] == ["fresh", "k-0"]


async def test_a_bulk_call_that_comes_again_creates_nothing_again(knowledge: Knowledge) -> None:
    items, keys = [adr("One"), failure("Two"), adr(""), snapshot("abc")], [f"b/{n}" for n in range(4)]
    first = await record(knowledge, items, keys)
    second = await record(knowledge, items, keys)
    assert second == first
    assert [result.recorded.item.id for result in first] == ["ADR-001", "FAIL-001", "", "SNAP-001"]
    assert isinstance(from_status(first[2].error), Invalid)
    assert await knowledge.count("items") == 3


async def test_a_bulk_call_cut_short_goes_on_where_it_ended(knowledge: Knowledge) -> None:
    items, keys = [adr(f"Number {n}") for n in range(10)], [f"b/{n}" for n in range(10)]
    await record(knowledge, items[:6], keys[:6])
    whole = await record(knowledge, items, keys)
    assert [result.recorded.item.id for result in whole] == [f"ADR-{n:03d}" for n in range(1, 11)]
    assert await knowledge.count("items") == 10


async def test_a_line_that_changed_under_its_key_is_a_conflict_and_stops_no_other(knowledge: Knowledge) -> None:
    await record(knowledge, [adr("One"), adr("Two")], ["b/1", "b/2"])
    changed, same = await record(knowledge, [adr("Other"), adr("Two")], ["b/1", "b/2"])
    assert isinstance(from_status(changed.error), Conflict)
    assert same.recorded.item.id == "ADR-002"
    assert await knowledge.count("items") == 2


async def test_keys_of_a_bulk_call_are_one_for_each_item(knowledge: Knowledge) -> None:
    with pytest.raises(Invalid) as caught:
        await record(knowledge, [adr(), adr()], ["b/1"])
    assert list(caught.value.fields) == ["idempotency_keys"]
    kept, plain = await record(knowledge, [adr(), adr()], ["b/1", ""])
    assert [kept.recorded.item.id, plain.recorded.item.id] == ["ADR-001", "ADR-002"]
    assert await knowledge.count("idempotency") == 1
