"""With the real model: what is meant is found in other words, and what is not meant is not."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from context.v1 import embedding_pb2, embedding_pb2_grpc
from context.v1 import retrieval_pb2 as pb
from context.v1 import types_pb2 as types
from context_common import caller
from context_common.client import call, connect
from context_retrieval.service import EMBEDDING
from tests.support import items
from tests.support.retrieval import Retrieval, ids, running
from tests.support.trust import admin, trust

RECORDS = [
    items.adr(
        id="ADR-001",
        title="Use RDS instead of provisioned EC2 databases",
        decision="We will use managed relational databases and stop operating MySQL and Postgres on our own machines.",
        context="Keeping database servers patched, backed up and replicated takes a large share of the team's time.",
    ),
    items.adr(
        id="ADR-002",
        title="Egress traffic inspection",
        decision="Traffic that leaves the network goes through a central firewall, whose cost is charged to each team.",
    ),
    items.adr(
        id="ADR-003",
        title="Store secrets in a vault",
        decision="Credentials, tokens and private keys live in Secrets Manager and are rotated every ninety days.",
    ),
    items.failure(
        id="FAIL-001",
        title="Checkout outage on Black Friday",
        root_cause="The connection pool was exhausted because each request held two connections.",
        resolution="Connections are now returned before the payment provider is called.",
        symptoms="Customers saw timeouts while paying; psycopg reported PoolTimeout.",
        severity="critical",
    ),
    items.failure(
        id="FAIL-002",
        title="Search index was stale for a day",
        root_cause="The worker that follows the change feed had died and nobody was alerted.",
    ),
    items.snapshot(
        id="SNAP-001",
        commit_message="feat: let customers pay by instalments",
        changed_files=["billing/plans.py"],
    ),
]
QUESTIONS = {
    "why did we stop running our own database servers?": "ADR-001",
    "who pays for data going out to the internet?": "ADR-002",
    "where do we keep passwords?": "ADR-003",
    "customers could not pay during the sale": "FAIL-001",
    "PoolTimeout": "FAIL-001",
    "why were search results out of date?": "FAIL-002",
    "paying in several parts": "SNAP-001",
}
OFF_TOPIC = [
    "how do I bake sourdough bread",
    "what is the capital of Mongolia",
    "symptoms of the common cold",
    "guitar chords for beginners",
    "xqzvb wlkjh pmnrt",
]


@pytest.fixture
async def retrieval(database_url: str, embedding_addr: str) -> AsyncIterator[Retrieval]:
    async with running(database_url, embedding_addr=embedding_addr) as service:
        await service.put(*RECORDS)
        await service.filled()
        yield service


async def test_questions_in_other_words_find_their_record(retrieval: Retrieval) -> None:
    found = {question: (await retrieval.search(question))[:1] for question in QUESTIONS}
    assert found == {question: [item_id] for question, item_id in QUESTIONS.items()}


async def test_off_topic_questions_get_nothing(retrieval: Retrieval) -> None:
    answers = {question: ids((await retrieval.query(question))[0]) for question in OFF_TOPIC}
    assert answers == {question: [] for question in OFF_TOPIC}


async def test_what_was_empty_when_it_was_asked_is_not_taken_for_empty_once_it_is_filled(
    database_url: str, embedding_addr: str
) -> None:
    by_chance = "which key is this song in?"  # as near to the vault for secrets as would do among none
    async with running(database_url, embedding_addr=embedding_addr) as service:
        assert await service.search(by_chance) == []
        await service.put(*RECORDS)
        await service.filled()
        assert await service.search(by_chance) == []


@pytest.mark.parametrize("budget", [200, 500, 4000])
async def test_the_best_match_is_in_the_bundle_at_any_budget(retrieval: Retrieval, budget: int) -> None:
    for question, item_id in QUESTIONS.items():
        bundle, response = await retrieval.query(question, max_tokens=budget)
        assert item_id in ids(bundle), question
        assert response.tokens_used <= budget


async def test_each_entry_is_told_beside_the_bundle(retrieval: Retrieval) -> None:
    bundle, response = await retrieval.query("why did we stop running our own database servers?")
    assert [entry.id for entry in response.entries if entry.section == pb.SECTION_KEY_DECISIONS] == [
        item["id"] for item in bundle["key_decisions"]
    ]
    assert all(entry.tokens > 0 and entry.version == 1 and entry.namespace == "web" for entry in response.entries)
    assert response.query_id == bundle["query_id"]


async def test_passages_fit_the_models_own_window(database_url: str, embedding_addr: str) -> None:
    strange = "Größenänderung naïve café x=1;y[2]={3} https://example.com/a/b?c=d " * 30
    cjk = "データベースの接続が枯渇した。再起動で直った。" * 60
    plain = " ".join(f"Sentence {number} explains why the service was changed." for number in range(150))
    async with running(database_url, embedding_addr=embedding_addr) as retrieval:
        await retrieval.put(
            items.adr(id="ADR-001", title="Plain", decision=plain, context=f"## Heading one\n{plain}\n## Two\n{plain}"),
            items.adr(id="ADR-002", title="Strange " * 60, decision=strange),
            items.adr(id="ADR-003", title="日本語", decision=cjk),
        )
        await retrieval.filled()
        rows = await retrieval.rows(
            "SELECT item_id, count(*) AS chunks, max(token_count) AS most FROM chunks GROUP BY 1"
        )
    sizes = {row["item_id"]: row for row in rows}
    assert all(row["chunks"] > 2 for row in sizes.values())
    # Full windows are cut off at exactly this: one below it says that nothing was.
    assert all(150 < row["most"] < 256 for row in sizes.values()), sizes


@pytest.mark.parametrize("name", ["mk002x00001z", "web-7d9f8c6b5x-x2x4z", "3f2504e0-4f89-11d3-9a0c-0305e82c3301"])
async def test_what_machines_call_a_thing_finds_it_among_a_few_that_are_nearer(
    database_url: str, embedding_addr: str, name: str
) -> None:
    others = [f"{name[:-1]}{end}" for end in "abcdef"] + [f"mk10{n}x0000{n}z" for n in range(6)]
    async with running(database_url, embedding_addr=embedding_addr) as retrieval:
        assert await retrieval.search(name) == []  # so that it is remembered to stand nowhere
        text = "Take part {} because it was measured to be enough."
        decision = types.MeetingDecision(decision=text.format(name))
        await retrieval.put(
            *(
                items.adr(title=f"Choice {one}", decision=text.format(one), id=f"ADR-{n}")
                for n, one in enumerate(others, 1)
            ),
            items.meeting(f"Choice {name}", decisions=[decision], id="MEET-001"),
        )
        await retrieval.filled()
        for most in (1, 3, 10):
            assert (await retrieval.search(name, top_k=most))[0] == "MEET-001"


async def test_a_word_as_long_as_a_record_keeps_none_from_the_index(retrieval: Retrieval) -> None:
    await retrieval.put(
        items.failure(
            id="FAIL-100", title="Heap dump of the kiosk", root_cause="deadbeef" * 7_500, symptoms="m" * 90_000
        )
    )
    assert retrieval.knowledge.aside == {}
    assert (await retrieval.search("heap dump of the kiosk"))[0] == "FAIL-100"


async def test_a_question_longer_than_the_window_is_read_to_its_end(retrieval: Retrieval) -> None:
    first = "We are looking for the place where passwords and other credentials of the services are kept. " * 16
    then = "And we wonder why nobody here operates relational database servers any longer. " * 16
    found = await retrieval.search(first + then, mode=pb.SEARCH_MODE_SEMANTIC)
    assert set(found[:2]) == {"ADR-001", "ADR-003"}


async def test_the_model_is_named(retrieval: Retrieval, embedding_addr: str) -> None:
    caller.bind(admin())
    async with connect(embedding_addr, EMBEDDING, trust=trust("retrieval"), to="embedding") as channel:
        stub: Any = embedding_pb2_grpc.EmbeddingServiceStub(channel)
        model = (await call(stub.DescribeModel, embedding_pb2.DescribeModelRequest(), within=5)).model
    status = await retrieval.status()
    assert (status.model_id, status.items, status.unembedded_chunks) == (model.id, len(RECORDS), 0)
