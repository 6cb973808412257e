"""With its neighbours away, slow or full, retrieval answers what it can, says so, and never waits for them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest

from context.v1 import embedding_pb2_grpc
from context.v1 import retrieval_pb2 as pb
from context_common import caller, deadline
from context_common.client import connect
from context_common.errors import Overloaded, TooLate, Unavailable
from context_retrieval import embedder
from context_retrieval.service import EMBEDDING
from tests.support import items
from tests.support.retrieval import FakeEmbedding, Retrieval, ids, running, serving
from tests.support.trust import trust

ITEM = items.adr(id="ADR-001", decision="Keep invoices for ten years.")


@pytest.fixture
async def retrieval(database_url: str) -> AsyncIterator[Retrieval]:
    async with running(database_url) as service:
        await service.put(ITEM)
        yield service


async def test_knowledge_may_go_under_load_and_no_read_fails(retrieval: Retrieval) -> None:
    asked = 0

    async def reader(number: int) -> None:
        nonlocal asked
        for _ in range(12):
            bundle, _ = await retrieval.query(f"keep invoices for {number} years")
            assert ids(bundle) == ["ADR-001"]
            assert await retrieval.search("invoices") == ["ADR-001"]
            assert (await retrieval.ask("Browse", pb.BrowseRequest())).items
            asked += 1

    async def killer() -> None:
        while asked < 20:
            await asyncio.sleep(0.01)
        await retrieval.stop_knowledge()

    await asyncio.gather(killer(), *(reader(number) for number in range(8)))
    assert asked == 96
    receipt = (await retrieval.query("invoices"))[0]["query_id"]
    assert (await retrieval.ask("GetReceipt", pb.GetReceiptRequest(query_id=receipt))).query_id == receipt


async def test_accesses_that_nobody_takes_hold_no_question_up(database_url: str) -> None:
    async with running(database_url) as retrieval:
        retrieval.knowledge.deaf = True
        await retrieval.put(ITEM)
        for _ in range(20):
            assert ids((await retrieval.query("invoices"))[0]) == ["ADR-001"]


async def test_a_question_is_answered_by_words_before_its_time_is_over(retrieval: Retrieval) -> None:
    retrieval.embedding.hanging = True
    answer = await retrieval.ask("QueryContext", pb.QueryContextRequest(query="invoices"), within=10)
    assert answer.degraded
    assert [entry.id for entry in answer.entries] == ["ADR-001"]


@pytest.mark.parametrize(
    ("left", "windows", "times", "rests"),
    [(0.3, 1, 6, False), (30.0, 4, 6, False), (30.0, 1, 1, False), (30.0, 1, 5, True)],
    ids=["hurry", "long", "late once", "late again and again"],
)
async def test_who_asks_too_much_for_the_time_does_not_make_the_others_do_without_meaning(
    left: float, windows: int, times: int, rests: bool
) -> None:
    fake = FakeEmbedding()
    fake.hanging = True
    register = embedding_pb2_grpc.add_EmbeddingServiceServicer_to_server
    async with (
        serving("embedding", fake, register, EMBEDDING) as addr,
        connect(addr, EMBEDDING, trust=trust("retrieval"), to="embedding") as channel,
    ):
        asker = embedder.Embedder(embedding_pb2_grpc.EmbeddingServiceStub(channel))
        caller.bind(caller.Caller("web", "ada", "request-1", scopes=frozenset({caller.READ})))
        for _ in range(times):
            deadline.bind(left)
            with pytest.raises(TooLate):
                await asker.question(["invoices"] * windows, 0.4)
        fake.hanging = False
        deadline.bind(30)
        if rests:
            with pytest.raises(Unavailable):
                await asker.question(["invoices"], 0.4)
        else:
            assert (await asker.question(["invoices"], 20)).model_id == "words-1"


async def test_large_documents_are_tokenised_in_parts_with_time_by_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    class Reading(FakeEmbedding):
        """Reads 300,000 characters a second."""

        largest = 0

        async def Tokenize(self, request: Any, context: Any) -> Any:
            size = sum(map(len, request.texts))
            self.largest = max(self.largest, size)
            await asyncio.sleep(size / 300_000)
            return await super().Tokenize(request, context)

    monkeypatch.setattr(embedder, "PROBE_WAIT", 0.3)
    fake = Reading()
    register = embedding_pb2_grpc.add_EmbeddingServiceServicer_to_server
    async with (
        serving("embedding", fake, register, EMBEDDING) as addr,
        connect(addr, EMBEDDING, trust=trust("retrieval"), to="embedding") as channel,
    ):
        caller.bind(caller.Caller("web", "ada", "request-1", scopes=frozenset({caller.READ})))
        asker = embedder.Embedder(embedding_pb2_grpc.EmbeddingServiceStub(channel))
        starts = await asker.tokenize([f"{number} " * 20_000 for number in range(10)] + ["short"])
    assert [len(one) for one in starts] == [20_000] * 10 + [1]
    assert fake.largest <= embedder.CHARACTERS


async def test_more_questions_than_can_be_answered_are_told_to_come_again(database_url: str) -> None:
    async with running(database_url, max_queries=1) as retrieval:
        await retrieval.put(ITEM)
        retrieval.embedding.hanging = True
        asked = [asyncio.create_task(retrieval.query("invoices")) for _ in range(8)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, Overloaded)]
        assert all(isinstance(answer, tuple | Overloaded) for answer in answers), answers
        assert len(refused) >= 6
        assert all(answer.retry_after for answer in refused)
        retrieval.embedding.hanging = False
        for _ in range(3):
            assert ids((await retrieval.query("invoices"))[0]) == ["ADR-001"]


async def test_callers_who_give_up_give_their_turn_back(database_url: str) -> None:
    async with running(database_url, max_queries=2) as retrieval:
        await retrieval.put(ITEM)
        async with await psycopg.AsyncConnection.connect(database_url) as connection:
            await connection.execute("LOCK TABLE retrieval.documents")  # a search waits as long as this is held
            for _ in range(4):
                with pytest.raises((TooLate, Overloaded)):
                    await retrieval.ask("Search", pb.SearchRequest(query="invoices"), within=0.3)
        assert await retrieval.search("invoices") == ["ADR-001"]
