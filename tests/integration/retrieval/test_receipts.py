"""What a question was answered can be looked up by those who may read all that it asked, and by nobody else."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from context.v1 import retrieval_pb2 as pb
from context_common import postgres
from context_common.caller import Caller
from context_common.errors import NotFound, Unavailable
from context_retrieval import metrics, receipts
from context_retrieval.bundle import Omission
from context_retrieval.model import Receipt
from context_retrieval.store import SESSION, Receipts, configure
from tests.support import items
from tests.support.retrieval import Retrieval, running

SECRET = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"


@pytest.fixture
async def retrieval(database_url: str) -> AsyncIterator[Retrieval]:
    async with running(database_url) as service:
        await service.put(items.adr(id="ADR-001", title="Invoices", decision="Keep invoices.", version=3))
        await service.as_("billing").put(items.adr(id="ADR-001", title="Theirs", decision="Invoices are theirs."))
        yield service


async def receipt(retrieval: Retrieval, query_id: str) -> pb.GetReceiptResponse:
    answer: pb.GetReceiptResponse = await retrieval.ask("GetReceipt", pb.GetReceiptRequest(query_id=query_id))
    return answer


async def test_a_receipt_says_who_asked_what_and_what_was_answered(retrieval: Retrieval) -> None:
    await retrieval.put(items.adr(id="ADR-002", title="Old invoices", decision="Keep them.", status="superseded"))
    before = datetime.now(UTC)
    bundle, response = await retrieval.query("invoices", max_tokens=900, tags=[], min_score=0.1)
    found = await receipt(retrieval, bundle["query_id"])
    assert (found.query_id, found.principal, found.request_id) == (bundle["query_id"], "ada", "request-1")
    assert before <= found.asked_at.ToDatetime(UTC) <= datetime.now(UTC)
    assert (found.asked.query, found.asked.max_tokens, found.asked.min_score) == ("invoices", 900, 0.1)
    assert list(found.asked.filter.namespaces) == ["web"]
    assert list(found.entries) == list(response.entries)
    assert [(entry.id, entry.version) for entry in found.entries] == [("ADR-001", 3)]
    assert [(left.id, left.reason) for left in found.omitted] == [("ADR-002", "superseded")]
    assert (found.tokens_used, found.degraded) == (bundle["tokens_used"], False)


async def test_secrets_are_taken_out_of_what_was_asked(retrieval: Retrieval) -> None:
    bundle, _ = await retrieval.query(f"why does {SECRET} not work", tags=[SECRET])
    found = await receipt(retrieval, bundle["query_id"])
    assert "why does [redacted:" in found.asked.query
    rows = await retrieval.rows("SELECT receipt FROM receipts")
    assert rows
    assert not any(SECRET.encode() in row["receipt"] for row in rows)


async def test_a_receipt_is_for_those_who_may_read_every_namespace_that_was_asked(retrieval: Retrieval) -> None:
    bundle, _ = await retrieval.as_("web", "billing").query("invoices", namespaces=["web", "billing"])
    for who in (retrieval.as_("web", "billing"), retrieval.as_("billing", "web"), retrieval.as_("docs", "*")):
        assert len((await receipt(who, bundle["query_id"])).entries) == 2
    for who in (retrieval, retrieval.as_("billing"), retrieval.as_("docs", "web"), retrieval.as_("docs")):
        with pytest.raises(NotFound):
            await receipt(who, bundle["query_id"])


@pytest.mark.parametrize("query_id", ["", "x", "01a2082a69ed71919dc680bb6a403f17", str(uuid.UUID(int=0)), "\0"])
async def test_what_is_no_query_has_no_receipt(retrieval: Retrieval, query_id: str) -> None:
    with pytest.raises(NotFound):
        await receipt(retrieval, query_id)


async def test_a_receipt_that_is_being_written_is_waited_for(retrieval: Retrieval, database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(database_url) as blocking:
        await blocking.execute("LOCK TABLE retrieval.receipts IN EXCLUSIVE MODE")
        bundle, _ = await retrieval.query("invoices")
        wanted = asyncio.create_task(receipt(retrieval, bundle["query_id"]))
        await asyncio.sleep(0.2)
        assert not wanted.done()
        await blocking.rollback()
    assert (await wanted).query_id == bundle["query_id"]


def made_up(seconds: float) -> uuid.UUID:
    """An id that nobody's query has, as of one asked so many seconds from now."""
    return uuid.UUID(int=int((time.time() + seconds) * 1000) << 80)


@pytest.mark.parametrize(("seconds", "looks"), [(-3600, 1), (-0.1, 1 + len(receipts.LOOK_AGAIN)), (3600, 0)])
async def test_what_nobody_asked_is_not_looked_for_long(seconds: float, looks: int) -> None:
    store = Store()
    ledger = receipts.Ledger(store, 30)  # type: ignore[arg-type]
    async with asyncio.timeout(receipts.YOUNG / 2):
        with pytest.raises(NotFound):
            await ledger.find(str(made_up(seconds)), Caller("web", "ada", "r"))
    assert store.looks == looks


async def test_a_receipt_that_another_process_writes_is_found(database_url: str) -> None:
    async with running(database_url) as first, running(database_url, knowledge=first.knowledge) as second:
        bundle, _ = await first.query("invoices")
        assert (await receipt(second, bundle["query_id"])).query_id == bundle["query_id"]


async def test_a_receipt_that_is_lost_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipts, "QUEUE", 1)
    monkeypatch.setattr(receipts, "PATIENCE", 0.01)
    ledger = receipts.Ledger(Store(), 30)  # type: ignore[arg-type]
    asked = question()
    for one in (question(), asked):
        await ledger.keep(one)
    async with asyncio.timeout(receipts.YOUNG / 2):
        with pytest.raises(NotFound):
            await ledger.find(asked.query_id, Caller("web", "ada", "r"))
    assert len(ledger._unwritten) == 1


async def test_receipts_are_written_before_the_service_ends_and_outlive_the_index(database_url: str) -> None:
    async with running(database_url) as first:
        await first.put(items.adr(id="ADR-001", decision="Keep invoices."))
        asked = [(await first.query("invoices"))[0]["query_id"] for _ in range(20)]
    async with running(database_url, knowledge=first.knowledge) as second:
        await second.ask("RebuildIndex", pb.RebuildIndexRequest())
        await second.settled()
        assert [(await receipt(second, query_id)).query_id for query_id in asked] == asked


def question(principal: str = "ada") -> receipts.Question:
    return receipts.Question(
        who=Caller("web", principal, "request-1"),
        asked=pb.QueryContextRequest(query="invoices"),
        asked_at=datetime.now(UTC),
        namespaces=("web",),
        query_id=str(uuid.uuid4()),
        entries=[pb.BundleEntry(id="ADR-001")],
        omitted=[Omission("ADR-002", "duplicate", 9)],
        tokens=100,
        degraded=False,
    )


class Store:
    """The table, as slow or as sick as a test wants it."""

    def __init__(self) -> None:
        self.kept: list[Receipt] = []
        self.batches: list[int] = []
        self.open = asyncio.Event()
        self.failures = self.looks = 0

    async def find(self, query_id: uuid.UUID, namespaces: Any) -> Receipt | None:
        self.looks += 1
        return next((one for one in self.kept if one.query_id == query_id), None)

    async def keep(self, batch: Any) -> None:
        await self.open.wait()
        if self.failures:
            self.failures -= 1
            raise Unavailable("away")
        if any(entry.principal == "broken" for entry in batch):
            raise ValueError("what cannot be stored")
        self.batches.append(len(batch))
        self.kept.extend(batch)


async def test_questions_of_a_busy_moment_are_written_together(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    ledger = receipts.Ledger(store, 30)  # type: ignore[arg-type]
    writer = asyncio.create_task(ledger.write())
    await ledger.keep(question())
    while ledger._queue.qsize():
        await asyncio.sleep(0)
    await asyncio.sleep(receipts.LINGER * 2)  # the first is being written
    for _ in range(50):
        await ledger.keep(question())
    store.open.set()
    await ledger.flush()
    assert (len(store.kept), store.batches) == (51, [1, 50])
    writer.cancel()


async def test_a_full_queue_is_waited_for_and_then_a_receipt_is_given_up_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(receipts, "QUEUE", 2)
    monkeypatch.setattr(receipts, "PATIENCE", 0.05)
    lost = metrics.RECEIPTS.labels("lost")
    before = lost._value.get()
    store = Store()
    ledger = receipts.Ledger(store, 30)  # type: ignore[arg-type]
    for _ in range(3):
        await ledger.keep(question())
    assert lost._value.get() - before == 1
    waiting = asyncio.create_task(ledger.keep(question()))
    await asyncio.sleep(0)
    writer = asyncio.create_task(ledger.write())
    store.open.set()
    await waiting
    await ledger.flush()
    assert len(store.kept) == 3
    writer.cancel()


async def test_while_the_database_is_away_a_full_queue_holds_no_question_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipts, "QUEUE", 2)
    monkeypatch.setattr(receipts, "PATIENCE", 3600.0)
    monkeypatch.setattr(receipts, "RETRY", 0.01)
    lost = metrics.RECEIPTS.labels("lost")
    before = lost._value.get()
    store = Store()
    store.failures = 10**9
    store.open.set()
    ledger = receipts.Ledger(store, 30)  # type: ignore[arg-type]
    await ledger.keep(question())
    writer = asyncio.create_task(ledger.write())
    async with asyncio.timeout(60):
        while not ledger._stuck:
            await asyncio.sleep(0.01)
        for _ in range(5):
            await ledger.keep(question())
    assert lost._value.get() - before == 3
    store.failures = 0
    await ledger.flush()
    assert len(store.kept) == 3
    writer.cancel()


async def test_a_database_that_is_away_delays_receipts_and_one_that_cannot_be_written_takes_no_other_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(receipts, "RETRY", 0.01)
    store = Store()
    store.failures = 3
    store.open.set()
    ledger = receipts.Ledger(store, 30)  # type: ignore[arg-type]
    good, bad = [question() for _ in range(4)], question("broken")
    for one in (*good[:2], bad, *good[2:]):
        await ledger.keep(one)
    writer = asyncio.create_task(ledger.write())
    await ledger.flush()
    assert {str(entry.query_id) for entry in store.kept} == {one.query_id for one in good}
    writer.cancel()


async def test_old_receipts_are_purged_a_few_at_a_time(database_url: str) -> None:
    def one(days: float) -> Receipt:
        moment = datetime.now(UTC) - timedelta(days=days)
        key = uuid.UUID(int=int(moment.timestamp() * 1000) << 80 | uuid.uuid4().int >> 48)
        return Receipt(key, ("web",), moment, "ada", "r", b"")

    async with postgres.open_pool(database_url, SESSION, name="test", size=4, configure=configure) as pool:
        store = Receipts(pool)
        old, young = [one(31 + number) for number in range(7)], [one(number) for number in (0, 29.9)]
        await store.keep([*old, *young, young[0]])
        before = datetime.now(UTC) - timedelta(days=30)
        assert [await store.purge(before, 5) for _ in range(3)] == [5, 2, 0]
        assert await store.find(young[1].query_id, ["web"]) == young[1]
        assert await store.find(old[0].query_id, None) is None
        assert await store.find(young[1].query_id, ["billing"]) is None
