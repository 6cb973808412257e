"""The feed: at least once, never lost, never to two at a time."""

import asyncio

import pytest
from google.protobuf.duration_pb2 import Duration

from context.v1 import knowledge_pb2 as pb
from context.v1 import types_pb2 as types
from context_common.errors import Denied, Invalid
from tests.support.items import adr, failure, snapshot
from tests.support.knowledge import Knowledge

SERVICE = "service:retrieval"


async def feed_status(knowledge: Knowledge) -> pb.GetFeedStatusResponse:
    response: pb.GetFeedStatusResponse = await knowledge.as_(principal=SERVICE).ask(
        "GetFeedStatus", pb.GetFeedStatusRequest()
    )
    return response


async def replay(knowledge: Knowledge, namespace: str = "web", *, every: bool = False) -> int:
    request = pb.ReplayChangesRequest(every_namespace=every)
    return int((await knowledge.as_(namespace, SERVICE).ask("ReplayChanges", request)).replayed)


async def test_a_change_carries_the_item_and_its_edges(knowledge: Knowledge) -> None:
    recorded = await knowledge.create(failure(impact="ADR-001 and SNAP-007"))
    (change,) = await knowledge.lease()
    assert (change.namespace, change.item_id, change.change_id) == ("web", "FAIL-001", recorded.change_id)
    assert change.item == recorded.item
    assert [edge.to_id for edge in change.relationships] == ["ADR-001", "SNAP-007"]
    assert change.attempts == 1
    assert change.changed_at.seconds > 0


async def test_changes_come_oldest_first_and_no_more_than_asked_for(knowledge: Knowledge) -> None:
    for _ in range(5):
        await knowledge.create(adr())
    first = await knowledge.lease(most=2)
    rest = await knowledge.lease(most=100)
    assert [change.item_id for change in first + rest] == [f"ADR-{n:03d}" for n in range(1, 6)]


async def test_workers_never_share_a_change(knowledge: Knowledge) -> None:
    for start in range(0, 200, 50):
        await knowledge.record(*[snapshot(f"hash{n}") for n in range(start, start + 50)])

    async def work(name: str) -> list[str]:
        done = []
        while changes := await knowledge.lease(name, most=7):
            done += [change.item_id for change in changes]
        return done

    done = await asyncio.gather(*(work(f"w{n}") for n in range(8)))
    taken = [item_id for ids in done for item_id in ids]
    assert len(taken) == len(set(taken)) == 200


async def test_an_acknowledged_change_is_gone(knowledge: Knowledge) -> None:
    await knowledge.create(adr())
    (change,) = await knowledge.lease(lease=0.05)
    assert await knowledge.ack(change) == 1
    assert await knowledge.ack(change) == 0
    await asyncio.sleep(0.1)
    assert await knowledge.lease() == []


async def test_a_lease_that_ended_is_taken_by_another(knowledge: Knowledge) -> None:
    await knowledge.create(adr())
    (first,) = await knowledge.lease("w1", lease=0.2)
    assert await knowledge.lease("w2") == []
    (second,) = await knowledge.lease("w2", wait=20)
    assert (second.change_id, second.attempts) == (first.change_id, 2)
    assert await knowledge.ack(first) == 1  # it is done, whoever did it


async def test_a_lease_that_is_renewed_goes_on_and_ends_when_it_is_not(knowledge: Knowledge) -> None:
    await knowledge.create(adr())
    (first,) = await knowledge.lease("w1", lease=0.3)
    for _ in range(3):
        await asyncio.sleep(0.15)
        assert await knowledge.renew("w1", lease=0.3) == 1
    assert await knowledge.renew("w2") == 0
    assert await knowledge.lease("w2") == []
    (second,) = await knowledge.lease("w2", wait=20)
    assert (second.change_id, second.attempts) == (first.change_id, 2)
    assert await knowledge.renew("w1") == 0, "it is another's by now"


async def test_what_changed_or_was_reported_is_renewed_no_more(knowledge: Knowledge) -> None:
    for _ in range(4):
        await knowledge.create(adr())
    changes = await knowledge.lease("w1")
    await knowledge.update(types.Item(id="ADR-001", title="New"), ["title"])
    await knowledge.ack(changes[1])
    await knowledge.fail(changes[2])
    assert await knowledge.renew("w1") == 1
    assert [change.item_id for change in await knowledge.lease("w2")] == ["ADR-001"]


async def test_what_changes_during_a_lease_comes_again(knowledge: Knowledge) -> None:
    await knowledge.create(adr())
    (first,) = await knowledge.lease("w1")
    await knowledge.update(types.Item(id="ADR-001", title="New"), ["title"])
    (second,) = await knowledge.lease("w2")
    assert second.change_id > first.change_id
    assert (second.item.title, second.attempts) == ("New", 1)
    assert await knowledge.ack(first) == 0
    assert await knowledge.ack(second) == 1


async def test_an_old_acknowledgement_does_not_lose_a_new_change(knowledge: Knowledge) -> None:
    await knowledge.create(adr())
    (first,) = await knowledge.lease()
    await knowledge.update(types.Item(id="ADR-001", title="New"), ["title"])
    assert await knowledge.ack(first) == 0
    (second,) = await knowledge.lease()
    assert second.item.title == "New"


async def test_many_changes_of_an_item_are_one(knowledge: Knowledge) -> None:
    await knowledge.create(adr())
    for number in range(5):
        await knowledge.update(types.Item(id="ADR-001", title=f"Title {number}"), ["title"])
    (change,) = await knowledge.lease()
    assert (change.item.title, change.item.version) == ("Title 4", 6)


async def test_a_deleted_item_is_a_change_without_an_item(knowledge: Knowledge) -> None:
    await knowledge.create(adr())
    (created,) = await knowledge.lease()
    change_id = await knowledge.delete("ADR-001")
    (gone,) = await knowledge.lease()
    assert (gone.item_id, gone.change_id, gone.HasField("item")) == ("ADR-001", change_id, False)
    assert gone.change_id > created.change_id
    assert await knowledge.ack(gone) == 1


async def test_who_waits_is_woken_by_the_next_change(knowledge: Knowledge) -> None:
    waiting = asyncio.create_task(knowledge.lease(wait=30))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    await knowledge.create(adr())
    async with asyncio.timeout(10):
        (change,) = await waiting
    assert change.item_id == "ADR-001"


async def test_waiting_ends_with_nothing_when_its_time_is_over(knowledge: Knowledge) -> None:
    assert await knowledge.lease(wait=0.3) == []


async def test_who_waits_goes_home_when_the_server_stops(knowledge: Knowledge) -> None:
    waiting = asyncio.create_task(knowledge.lease(wait=25))
    await asyncio.sleep(0.3)
    knowledge.feed.close()
    async with asyncio.timeout(10):
        assert await waiting == []


async def test_many_waiters_hold_no_connection(knowledge: Knowledge) -> None:
    waiting = [asyncio.create_task(knowledge.lease(f"w{n}", wait=25)) for n in range(60)]
    await asyncio.sleep(1)
    await knowledge.create(adr())  # with a pool of 20
    knowledge.feed.close()
    leased = [change for changes in await asyncio.gather(*waiting) for change in changes]
    assert [change.item_id for change in leased] == ["ADR-001"]


async def test_a_replay_brings_everything_back_once(knowledge: Knowledge) -> None:
    other = knowledge.as_("billing")
    for _ in range(3):
        await knowledge.create(adr())
    await other.create(adr())
    await knowledge.delete("ADR-003")
    await knowledge.drain()
    await knowledge.create(failure())
    assert await replay(knowledge) == 3
    changes = await knowledge.lease()
    assert {(c.namespace, c.item_id) for c in changes} == {("web", i) for i in ("ADR-001", "ADR-002", "FAIL-001")}
    assert all(change.HasField("item") for change in changes)
    assert await replay(knowledge, every=True) == 4
    assert len(await knowledge.lease()) == 4


async def test_a_replay_ends_a_lease(knowledge: Knowledge) -> None:
    await knowledge.create(adr())
    (first,) = await knowledge.lease()
    await replay(knowledge)
    assert await knowledge.ack(first) == 0
    (second,) = await knowledge.lease()
    assert second.change_id > first.change_id


async def test_the_status_counts_what_is_pending(knowledge: Knowledge) -> None:
    assert (await feed_status(knowledge)).pending == 0
    await knowledge.create(adr())
    await knowledge.as_("billing").create(adr())
    status = await feed_status(knowledge)
    assert status.pending == 2
    assert status.lag.ToNanoseconds() > 0


async def test_nothing_is_lost_while_writers_and_workers_run(knowledge: Knowledge) -> None:
    """Workers apply a change unless they have a newer one, as a read model does; it ends as the truth is."""
    model: dict[str, tuple[int, str]] = {}
    stop = asyncio.Event()

    async def write(number: int) -> None:
        item = (await knowledge.create(failure(f"F{number}"))).item
        for turn in range(8):
            await knowledge.update(types.Item(id=item.id, title=f"F{number}.{turn}"), ["title"])
            if turn == 4:
                await replay(knowledge)

    async def work(name: str) -> None:
        while True:
            changes = await knowledge.lease(name, most=5, lease=0.05)
            for change in changes:
                if change.change_id >= model.get(change.item_id, (0, ""))[0]:
                    model[change.item_id] = (change.change_id, change.item.title)
            await knowledge.ack(*changes)
            if not changes and stop.is_set() and (await feed_status(knowledge)).pending == 0:
                return

    workers = [asyncio.create_task(work(f"w{n}")) for n in range(3)]
    await asyncio.gather(*map(write, range(10)))
    stop.set()
    await asyncio.gather(*workers)
    truth = {item.id: item.title for item in (await knowledge.page()).items}
    assert {item_id: title for item_id, (_, title) in model.items()} == truth
    assert all(title.endswith(".7") for title in truth.values())


async def totals(knowledge: Knowledge, seen: dict[str, int]) -> dict[str, int]:
    accesses = [pb.Access(namespace="web", item_id=item_id, count=count) for item_id, count in seen.items()]
    request = pb.RecordAccessRequest(accesses=accesses)
    answer = await knowledge.as_(principal=SERVICE).ask("RecordAccess", request)
    return {one.item_id: one.count for one in answer.totals}


async def test_what_was_handed_out_is_counted(knowledge: Knowledge) -> None:
    await knowledge.create(adr())
    seen = [
        pb.Access(namespace="web", item_id="ADR-001", count=2),
        pb.Access(namespace="web", item_id="ADR-001", count=1),
        pb.Access(namespace="web", item_id="ADR-009", count=1),
        pb.Access(namespace="billing", item_id="ADR-001", count=1),
    ]
    for _ in range(2):
        await knowledge.as_(principal=SERVICE).ask("RecordAccess", pb.RecordAccessRequest(accesses=seen))
    assert (await knowledge.get("ADR-001")).access_count_30d == 6
    await knowledge.create(adr())
    assert await totals(knowledge, {"ADR-001": 1, "ADR-002": 0, "ADR-999": 1}) == {"ADR-001": 7, "ADR-002": 0}
    assert await knowledge.rows("SELECT item_id, count FROM access_counts") == [{"item_id": "ADR-001", "count": 7}]
    await knowledge.execute("UPDATE access_counts SET day = day - 30")
    assert (await knowledge.get("ADR-001")).access_count_30d == 0
    assert (await knowledge.get("ADR-001")).version == 1


REQUESTS = [
    ("LeaseChanges", pb.LeaseChangesRequest(worker="w")),
    ("RenewChanges", pb.RenewChangesRequest(worker="w")),
    ("AckChanges", pb.AckChangesRequest()),
    ("ReplayChanges", pb.ReplayChangesRequest(every_namespace=True)),
    ("GetFeedStatus", pb.GetFeedStatusRequest()),
    ("RecordAccess", pb.RecordAccessRequest()),
]


async def test_the_feed_answers_to_services_only(knowledge: Knowledge) -> None:
    for method, request in REQUESTS:
        with pytest.raises(Denied):
            await knowledge.ask(method, request)


LEASES = [
    (pb.LeaseChangesRequest(), "worker"),
    (pb.LeaseChangesRequest(worker="a\0"), "worker"),
    (pb.LeaseChangesRequest(worker="w", max_changes=-1), "max_changes"),
    (pb.LeaseChangesRequest(worker="w", max_changes=501), "max_changes"),
    (pb.LeaseChangesRequest(worker="w", lease=Duration(seconds=-1)), "lease"),
    (pb.LeaseChangesRequest(worker="w", lease=Duration(seconds=3601)), "lease"),
    (pb.LeaseChangesRequest(worker="w", wait=Duration(seconds=61)), "wait"),
]


RENEWED_TOO_LONG = pb.RenewChangesRequest(worker="w", lease=Duration(seconds=3601))


async def test_a_lease_that_cannot_be_is_named(knowledge: Knowledge) -> None:
    for request, named in LEASES:
        with pytest.raises(Invalid) as caught:
            await knowledge.as_(principal=SERVICE).ask("LeaseChanges", request)
        assert list(caught.value.fields) == [named]


async def test_a_renewal_that_cannot_be_is_named(knowledge: Knowledge) -> None:
    for request, named in ((pb.RenewChangesRequest(), "worker"), (RENEWED_TOO_LONG, "lease")):
        with pytest.raises(Invalid) as caught:
            await knowledge.as_(principal=SERVICE).ask("RenewChanges", request)
        assert list(caught.value.fields) == [named]


@pytest.mark.parametrize("count", [-1, 2**62])
async def test_a_count_that_cannot_be_is_refused(knowledge: Knowledge, count: int) -> None:
    await knowledge.create(adr())
    seen = [pb.Access(namespace="web", item_id="ADR-001", count=count)] * 3
    with pytest.raises(Invalid):
        await knowledge.as_(principal=SERVICE).ask("RecordAccess", pb.RecordAccessRequest(accesses=seen))


async def test_names_that_postgres_refuses_are_invalid(knowledge: Knowledge) -> None:
    service = knowledge.as_(principal=SERVICE)
    with pytest.raises(Invalid):
        await service.ask("AckChanges", pb.AckChangesRequest(done=[pb.ChangeRef(namespace="\0", item_id="x")]))
    with pytest.raises(Invalid):
        await service.ask("RecordAccess", pb.RecordAccessRequest(accesses=[pb.Access(item_id="\0", count=1)]))


async def test_what_came_in_bulk_waits_for_what_did_not(knowledge: Knowledge) -> None:
    await knowledge.record(*(adr(title=f"Imported {number}") for number in range(6)))
    await knowledge.create(adr(title="Written"))
    assert {change.item_id for change in await knowledge.lease("w1", most=2)} == {"ADR-007", "ADR-001"}
    await knowledge.update(types.Item(id="ADR-005", title="Edited"), ["title"])
    await knowledge.record(adr(id="ADR-005", title="Imported again"))  # somebody waits for it still
    assert {change.item_id for change in await knowledge.lease("w2", most=2)} == {"ADR-005", "ADR-002"}


async def test_what_is_replayed_waits_as_well(knowledge: Knowledge) -> None:
    await knowledge.create(adr())
    await knowledge.drain()
    assert await replay(knowledge) == 1
    await knowledge.create(adr())
    assert [change.item_id for change in await knowledge.lease(most=1)] == ["ADR-002"]
