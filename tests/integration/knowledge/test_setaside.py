"""Changes that cannot be indexed: given back for a while, set aside in the end, and brought back when called for."""

import asyncio
from itertools import pairwise

import pytest

from context.v1 import admin_pb2
from context.v1 import knowledge_pb2 as pb
from context.v1 import types_pb2 as types
from context_common.errors import Invalid
from tests.support.administration import Administration, administrator
from tests.support.items import adr, failure
from tests.support.knowledge import Knowledge

ATTEMPTS = 5


async def status(knowledge: Knowledge) -> tuple[int, int]:
    """How many changes are pending, and how many set aside."""
    found = await knowledge.as_(principal="service:retrieval").ask("GetFeedStatus", pb.GetFeedStatusRequest())
    return found.pending, found.set_aside


async def pass_time(knowledge: Knowledge) -> None:
    """Let every lease and every back-off be over."""
    await knowledge.execute("UPDATE changes SET lease_until = '-infinity'")


async def give_up(knowledge: Knowledge, *items: types.Item) -> list[str]:
    """Create items whose changes fail until they are set aside; answers their ids."""
    ids = [(await knowledge.create(item)).item.id for item in items]
    while (await status(knowledge))[0]:
        changes = await knowledge.lease()
        await knowledge.fail(*changes, reason="it broke")
        await pass_time(knowledge)
    return ids


async def test_a_change_that_fails_comes_again_later_and_is_set_aside_in_the_end(
    knowledge: Knowledge, administration: Administration
) -> None:
    await knowledge.create(adr())
    waits = []
    for attempt in range(1, ATTEMPTS + 1):
        (change,) = await knowledge.lease()
        assert change.attempts == attempt
        assert await knowledge.fail(change, reason=f"reason {attempt}") == (attempt == ATTEMPTS)
        assert await knowledge.lease() == []
        (row,) = await knowledge.rows("SELECT extract(epoch FROM lease_until - now())::float8 AS wait FROM changes")
        waits.append(row["wait"])
        await pass_time(knowledge)
    assert all(later > earlier for earlier, later in pairwise(waits))
    assert await status(knowledge) == (0, 1)
    assert await knowledge.lease(wait=0.3) == []
    (aside,) = await administration.set_aside()
    assert (aside.item_id, aside.attempts, aside.reason) == ("ADR-001", ATTEMPTS, "reason 5")
    assert aside.at.seconds > 0


async def test_others_go_on_meanwhile(knowledge: Knowledge) -> None:
    await knowledge.create(adr())
    (bad,) = await knowledge.lease()
    await knowledge.fail(bad)
    await knowledge.create(failure())
    (good,) = await knowledge.lease()
    assert good.item_id == "FAIL-001"
    assert await knowledge.ack(good) == 1
    assert await status(knowledge) == (1, 0)


async def test_who_waits_gets_a_failed_change_when_its_time_has_come(knowledge: Knowledge) -> None:
    await knowledge.create(adr())
    (change,) = await knowledge.lease("w1")
    waiting = asyncio.create_task(knowledge.lease("w2", wait=25))
    await asyncio.sleep(0.2)
    await knowledge.fail(change)
    async with asyncio.timeout(20):  # the lease would have lasted for a minute
        (again,) = await waiting
    assert (again.item_id, again.attempts) == ("ADR-001", 2)


async def test_a_failure_told_twice_counts_once(knowledge: Knowledge) -> None:
    await knowledge.create(adr())
    (change,) = await knowledge.lease()
    for _ in range(ATTEMPTS + 1):
        assert await knowledge.fail(change) == 0
    assert await status(knowledge) == (1, 0)
    await pass_time(knowledge)
    (again,) = await knowledge.lease()
    assert again.attempts == 2


async def test_an_old_failure_does_not_hold_up_a_new_change(knowledge: Knowledge) -> None:
    await knowledge.create(adr())
    (old,) = await knowledge.lease()
    await knowledge.update(types.Item(id="ADR-001", title="New"), ["title"])
    assert await knowledge.fail(old) == 0
    (new,) = await knowledge.lease()
    assert (new.item.title, new.attempts) == ("New", 1)


async def test_a_change_whose_workers_never_come_back_is_set_aside(
    knowledge: Knowledge, administration: Administration
) -> None:
    await knowledge.create(adr())
    for attempt in range(1, ATTEMPTS + 1):
        (change,) = await knowledge.lease(f"worker {attempt}")
        assert change.attempts == attempt
        await pass_time(knowledge)
    assert await knowledge.lease("worker 6") == []
    assert await status(knowledge) == (0, 1)
    (aside,) = await administration.set_aside()
    assert aside.reason == "its worker ended without a word"


async def test_a_change_that_kills_its_workers_takes_no_other_with_it(knowledge: Knowledge) -> None:
    """Workers that meet ADR-003 die with all that they hold; the others do their work."""
    for _ in range(6):
        await knowledge.create(adr())
    done: list[str] = []
    for number in range(40):
        while changes := await knowledge.lease(f"worker {number}"):
            if "ADR-003" in [change.item_id for change in changes]:
                break
            done += [change.item_id for change in changes]
            await knowledge.ack(*changes)
        await pass_time(knowledge)
        if await status(knowledge) == (0, 1):
            break
    assert sorted(done) == ["ADR-001", "ADR-002", "ADR-004", "ADR-005", "ADR-006"]
    (left,) = await knowledge.rows("SELECT item_id, attempts FROM changes")
    assert (left["item_id"], left["attempts"]) == ("ADR-003", ATTEMPTS)


async def test_a_worker_that_asks_again_was_not_killed(knowledge: Knowledge) -> None:
    """An index that is away for long sets nothing aside: the workers are there and try on."""
    for _ in range(3):
        await knowledge.create(adr())
    for _ in range(ATTEMPTS * 3):
        assert len(await knowledge.lease("w1")) == 3
        await pass_time(knowledge)
    assert await status(knowledge) == (3, 0)


async def test_a_new_change_of_the_item_brings_it_back(knowledge: Knowledge) -> None:
    await give_up(knowledge, adr())
    await knowledge.update(types.Item(id="ADR-001", title="New"), ["title"])
    assert await status(knowledge) == (1, 0)
    (change,) = await knowledge.lease()
    assert (change.item.title, change.attempts) == ("New", 1)
    assert await knowledge.ack(change) == 1


async def test_a_replay_brings_everything_back_deletions_too(knowledge: Knowledge) -> None:
    await give_up(knowledge, adr(), failure())
    await knowledge.delete("ADR-001")
    while (await status(knowledge))[0]:
        await knowledge.fail(*await knowledge.lease())
        await pass_time(knowledge)
    assert await status(knowledge) == (0, 2)
    service = knowledge.as_(principal="service:retrieval")
    assert (await service.ask("ReplayChanges", pb.ReplayChangesRequest())).replayed == 2
    changes = await knowledge.lease()
    assert {(c.item_id, c.HasField("item"), c.attempts) for c in changes} == {
        ("ADR-001", False, 1),
        ("FAIL-001", True, 1),
    }


async def test_what_is_asked_for_is_tried_again(knowledge: Knowledge, administration: Administration) -> None:
    await give_up(knowledge, adr(), adr(), failure())
    waiting = asyncio.create_task(knowledge.lease("w9", wait=25))
    await asyncio.sleep(0.2)
    assert await administration.retry("adr-2", "ADR-999") == 1
    async with asyncio.timeout(20):
        (change,) = await waiting
    assert (change.item_id, change.attempts) == ("ADR-002", 1)
    assert await status(knowledge) == (1, 2)
    assert await administration.retry("ADR-002") == 0  # it is pending already
    assert await administration.retry() == 2
    assert await status(knowledge) == (3, 0)
    assert [entry.detail for entry in await administration.audit(action="retry_set_aside")] == [
        "2 changes",
        "1 changes ADR-002 ADR-999",
    ]


async def test_an_acknowledgement_that_comes_late_counts(knowledge: Knowledge) -> None:
    await knowledge.create(adr())
    for attempt in range(ATTEMPTS):
        (change,) = await knowledge.lease(f"worker {attempt}")
        await pass_time(knowledge)
    await knowledge.lease("worker 6")
    assert await status(knowledge) == (0, 1)
    assert await knowledge.ack(change) == 1
    assert await status(knowledge) == (0, 0)


async def test_lists_show_the_callers_namespace_page_by_page(
    knowledge: Knowledge, administration: Administration
) -> None:
    ids = await give_up(knowledge, *[adr() for _ in range(5)])
    await give_up(knowledge.as_("billing"), failure())
    found: list[str] = []
    token = ""
    while True:
        request = admin_pb2.ListSetAsideRequest(page_size=2, page_token=token)
        page: admin_pb2.ListSetAsideResponse = await administration.ask("ListSetAside", request)
        found += [change.item_id for change in page.changes]
        token = page.next_page_token
        if not token:
            break
    assert found == ids
    billing = administration.as_(administrator("billing"))
    assert [change.item_id for change in await billing.set_aside()] == ["FAIL-001"]
    assert await billing.retry("ADR-001") == 0
    with pytest.raises(Invalid):
        await administration.set_aside(page_token="x")
    with pytest.raises(Invalid) as caught:
        await administration.retry("ADR-001", "nonsense", "a\0")
    assert list(caught.value.fields) == ["item_ids[1]", "item_ids[2]"]
    with pytest.raises(Invalid):
        await administration.retry(*[f"ADR-{n}" for n in range(501)])


async def test_a_reason_is_kept_as_far_as_it_can_be_shown(knowledge: Knowledge, administration: Administration) -> None:
    await knowledge.create(adr())
    for _ in range(ATTEMPTS):
        await knowledge.fail(*await knowledge.lease(), reason="\0line\n" + "x" * 5_000)
        await pass_time(knowledge)
    (aside,) = await administration.set_aside()
    assert aside.reason.startswith(" line xxx")
    assert len(aside.reason) == 1000
