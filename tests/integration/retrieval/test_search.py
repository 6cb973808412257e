"""Search finds what bears on a question, only what may be found, and by what kind of evidence it was told to."""

import asyncio
import base64
import json
import math
import random
from collections import Counter
from collections.abc import AsyncIterator
from datetime import date
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from context.v1 import retrieval_pb2 as pb
from context.v1 import types_pb2
from context_common import pages
from context_common.errors import Invalid, Unavailable
from context_retrieval import search
from context_retrieval.crowd import Bar
from context_retrieval.store.statement import Way
from tests.support import items
from tests.support.retrieval import WORD, FakeEmbedding, Retrieval, ids, running

TYPES = {"adr": types_pb2.ITEM_TYPE_ADR, "failure": types_pb2.ITEM_TYPE_FAILURE}


@pytest.fixture
async def retrieval(database_url: str) -> AsyncIterator[Retrieval]:
    async with running(database_url) as service:
        yield service


def sentence(random_: random.Random, words: int = 12, vocabulary: int = 60) -> str:
    return " ".join(f"word{random_.randrange(vocabulary)}" for _ in range(words))


async def fill(retrieval: Retrieval, count: int, seed: int = 5) -> dict[str, types_pb2.Item]:
    """Many items with random words, tags of several rarities, dates and statuses."""
    random_ = random.Random(seed)
    made = {}
    for number in range(1, count + 1):
        item = items.adr(
            id=f"ADR-{number:03d}",
            title=sentence(random_, 3),
            decision=sentence(random_),
            tags=[name for name, share in (("half", 2), ("tenth", 10), ("rare", 50)) if number % share == 0],
            created_date=date(2020 + number % 6, 1 + number % 12, 1).isoformat(),
            status=["active", "proposed", "deprecated"][number % 3],
        )
        made[item.id] = item
    await retrieval.put(*made.values())
    return made


def exact(made: dict[str, types_pb2.Item], query: str, model: FakeEmbedding) -> list[str]:
    """Ids by true cosine, best first."""
    wanted = np.frombuffer(model.embedding(query).vector, "<f4")
    scores = {
        item_id: float(wanted @ np.frombuffer(model.embedding(embedded(item)).vector, "<f4"))
        for item_id, item in made.items()
    }
    return sorted(scores, key=lambda item_id: -scores[item_id])


def embedded(item: types_pb2.Item) -> str:
    return f"{item.title}\nDecision:\n{item.adr.decision}"


FILTERS: list[tuple[str, dict[str, Any], Any]] = [
    ("all", {}, lambda item: True),
    ("half", {"tags": ["half"]}, lambda item: "half" in item.tags),
    ("tenth", {"tags": ["tenth", "none"]}, lambda item: "tenth" in item.tags),
    ("rare", {"tags": ["rare"]}, lambda item: "rare" in item.tags),
    ("status", {"statuses": ["deprecated"]}, lambda item: item.status == "deprecated"),
    ("from", {"from_date": "2025-01-01"}, lambda item: item.adr.created_date >= "2025-01-01"),
    ("to", {"to_date": "2020-12-31"}, lambda item: item.adr.created_date <= "2020-12-31"),
    (
        "together",
        {"tags": ["half"], "from_date": "2021-01-01", "to_date": "2023-12-31"},
        lambda item: "half" in item.tags and "2021-01-01" <= item.adr.created_date <= "2023-12-31",
    ),
]


@pytest.mark.parametrize("by_index", [False, True], ids=["every vector", "by the index"])
async def test_filters_cut_no_recall_straight_after_loading(
    retrieval: Retrieval, by_index: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "way", lambda *_, **__: Way.INDEX if by_index else Way.PART)
    made = await fill(retrieval, 400)
    for query in ("word1 word2 word3 word4 word5", "word30 word31 word32"):
        for name, filters, passes in FILTERS:
            wanted = exact({i: item for i, item in made.items() if passes(item)}, query, retrieval.embedding)[:10]
            hits = await retrieval.hits(query, top_k=100, mode=pb.SEARCH_MODE_SEMANTIC, explain=True, **filters)
            found = [hit.id for hit in hits.results]
            assert all(passes(made[item_id]) for item_id in found), name
            good = [item_id for item_id in wanted if item_id in found[:14]]
            # What is below the floor is not found, and need not be.
            above = [i for i in wanted if cosine(made[i], query, retrieval.embedding) > 0.25]
            assert len(good) >= 0.9 * len(above), (name, above, found)


def cosine(item: types_pb2.Item, query: str, model: FakeEmbedding) -> float:
    pair = [np.frombuffer(model.embedding(text).vector, "<f4") for text in (embedded(item), query)]
    return float(pair[0] @ pair[1])


@pytest.mark.parametrize("written", ["Postgres", "ÜBUNG Ω", 'a "b" \\c, {d}', "NULL"])
@pytest.mark.parametrize("way", Way)
async def test_a_tag_is_the_same_in_whatever_case(
    retrieval: Retrieval, way: Way, written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "way", lambda *_, **__: way)
    await retrieval.put(
        items.adr(id="ADR-001", title="Rows", decision="word1 word2", tags=["other", written]),
        items.adr(id="ADR-002", title="Columns", decision="word1 word2", tags=[f"{written} more", "others"]),
    )
    for tag in (written, written.lower(), written.upper()):
        assert await retrieval.search("word1 word2", tags=["none", tag]) == ["ADR-001"]
        assert ids((await retrieval.query("word1 word2", tags=[tag]))[0]) == ["ADR-001"]
        page = await retrieval.ask("Browse", pb.BrowseRequest(filter=pb.Filter(tags=[tag])))
        assert [(item.id, list(item.tags)) for item in page.items] == [("ADR-001", ["other", written])]


async def test_a_rare_match_is_found_among_many_that_do_not_pass(retrieval: Retrieval) -> None:
    await fill(retrieval, 300)
    await retrieval.put(items.adr(id="ADR-900", title="word1 word2", decision="word1 word2 word3", tags=["only"]))
    bundle, _ = await retrieval.query("word1 word2 word3", tags=["only"])
    assert ids(bundle) == ["ADR-900"]


def bm25(texts: dict[str, str], query: str) -> list[str]:
    """Okapi BM25, with the length of a document beside 200 words, and with pairs of words that follow each other."""
    words = {item_id: WORD.findall(text) for item_id, text in texts.items()}
    holding = Counter(term for said in words.values() for term in set(said))
    asked = WORD.findall(query)

    def weight(term: str) -> float:
        return math.log(1 + (len(words) - holding[term] + 0.5) / (holding[term] + 0.5))

    def impact(times: int, length: int) -> float:
        return times / (times + 1.2 * (0.6 + 0.4 * length / 200))

    scores = {}
    for item_id, said in words.items():
        counts, pairs = Counter(said), Counter(pairwise(said))
        score = sum(weight(term) * impact(counts[term], len(said)) for term in set(asked))
        for pair in set(pairwise(asked)):
            score += 0.3 * (weight(pair[0]) + weight(pair[1])) / 2 * impact(pairs[pair], len(said))
        scores[item_id] = score
    return sorted((item_id for item_id in scores if scores[item_id] > 0), key=lambda item_id: -scores[item_id])


@pytest.mark.parametrize("by_index", [False, True], ids=["every vector", "by the index"])
async def test_by_meaning_alone_the_nearest_are_found_in_their_order(
    retrieval: Retrieval, by_index: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Words have no part in it, neither in what is shown nor in what is looked at."""
    monkeypatch.setattr(search, "way", lambda *_, **__: Way.INDEX if by_index else Way.WHOLE)
    made = await fill(retrieval, 200)
    for query in ("word1 word2 word3", "word30 word31", "word7 word8 word9 word10"):
        nearest = exact(made, query, retrieval.embedding)[:7]
        hits = await retrieval.hits(query, top_k=7, mode=pb.SEARCH_MODE_SEMANTIC)
        assert {hit.id for hit in hits.results} == set(nearest)


async def test_a_large_namespace_among_many_small_ones_is_asked_by_the_vector_index(
    retrieval: Retrieval, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One plan serves all, for which each holds an equal share of everything: hardly worth an index."""
    monkeypatch.setattr(search, "way", lambda size, *_, **__: Way.WHOLE if size.chunks < 20 else Way.INDEX)
    for number in range(12):
        await retrieval.as_(f"small-{number}").put(items.adr(id="ADR-001", title="One", decision="Alone here."))
    await fill(retrieval, 60)
    used = "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'chunks_embedding'"
    (before,) = await retrieval.rows(used)
    for number in range(5):
        assert await retrieval.search(f"word{number} word7", mode=pb.SEARCH_MODE_SEMANTIC)
    async with asyncio.timeout(20):  # a session tells what it did once a second
        while (await retrieval.rows(used))[0]["idx_scan"] < before["idx_scan"] + 5:
            await retrieval.search("word1 word2", mode=pb.SEARCH_MODE_SEMANTIC)
            await asyncio.sleep(0.2)


async def test_words_rank_as_okapi_would(retrieval: Retrieval) -> None:
    random_ = random.Random(9)
    # Words are as unequal as in language: a few stand nearly everywhere, most nearly nowhere.
    vocabulary = [f"term{number}" for number in range(120) for _ in range(1 + 120 // (number + 1))]
    texts = {
        f"ADR-{number:03d}": " ".join(random_.choice(vocabulary) for _ in range(random_.randrange(15, 80)))
        for number in range(1, 151)
    }
    await retrieval.put(*(items.adr(id=item_id, title="t", decision=text) for item_id, text in texts.items()))
    shared = []
    for _ in range(25):
        query = " ".join(random_.sample([f"term{number}" for number in range(2, 120)], 4))
        expected = bm25(texts, query)[:10]
        found = await retrieval.search(query, mode=pb.SEARCH_MODE_KEYWORD, top_k=10)
        shared.append(len(set(expected) & set(found)) / len(expected))
        assert found[0] in expected[:2]
    assert sum(shared) / len(shared) > 0.95


async def test_a_rare_word_weighs_more_than_a_common_one(retrieval: Retrieval) -> None:
    await retrieval.put(*(items.adr(id=f"ADR-{n:03d}", title=f"Common {n}", decision="common") for n in range(1, 30)))
    await retrieval.put(items.adr(id="ADR-099", title="Other", decision="The peculiar thing."))
    assert (await retrieval.search("common peculiar", mode=pb.SEARCH_MODE_KEYWORD))[0] == "ADR-099"


async def test_a_title_weighs_more_than_a_mention(retrieval: Retrieval) -> None:
    await retrieval.put(
        items.adr(id="ADR-001", title="About storage", decision="Mentions caching once, among other things."),
        items.adr(id="ADR-002", title="About caching", decision="Mentions storage once, among other things."),
    )
    assert (await retrieval.search("caching"))[0] == "ADR-002"
    assert (await retrieval.search("storage"))[0] == "ADR-001"


@pytest.mark.parametrize("query", ["ADR-012", "adr 12", "what did Adr-12 decide?", "see adr012"])
async def test_an_exact_id_finds_its_item_first(retrieval: Retrieval, query: str) -> None:
    await retrieval.put(
        items.adr(id="ADR-012", title="Something", decision="Else."),
        items.adr(
            id="ADR-013", title="ADR-012 ADR-012 what did it decide", decision="See ADR-012, see what it decides."
        ),
    )
    assert (await retrieval.search(query))[0] == "ADR-012"
    bundle, _ = await retrieval.query(query)
    assert bundle["key_decisions"][0]["id"] == "ADR-012"


async def test_a_custom_id_is_found_too(retrieval: Retrieval) -> None:
    await retrieval.put(items.failure(id="FAIL-zeta.9", root_cause="Nothing to do with it."))
    assert await retrieval.search("what was fail-zeta.9 about") == ["FAIL-zeta.9"]


@pytest.mark.parametrize(
    "code", ["ECONNREFUSED", "SQLSTATE 42P01", "ORA-00942", "pg_stat_activity", "OutOfMemoryError", "PAYREFUSED"]
)
async def test_an_exact_code_finds_its_item_first(retrieval: Retrieval, code: str) -> None:
    noise = [
        items.failure(id=f"FAIL-{n:03d}", title="Connections to the database fail", root_cause="The database says no.")
        for n in range(1, 20)
    ]
    wanted = items.failure(id="FAIL-099", title="Nightly job", root_cause=f"It ended with {code}, nobody knew why.")
    await retrieval.put(*noise, wanted)
    query = f"connections to the database fail with {code}"
    assert (await retrieval.search(query))[0] == "FAIL-099"
    assert (await retrieval.search(query, mode=pb.SEARCH_MODE_KEYWORD))[0] == "FAIL-099"


@pytest.mark.parametrize(
    "query",
    [
        "2026-11-28T09:10:47Z which queue do we use",
        "2026-11-28 09:10:47,123 which queue do we use",
        "which queue do we use IMMEDIATELY",
        "EXPLAIN which queue do we use",
        "which queue do we use at 10.0.0.9",
    ],
)
@pytest.mark.parametrize("mode", [pb.SEARCH_MODE_HYBRID, pb.SEARCH_MODE_KEYWORD])
async def test_neither_times_nor_shouted_words_nor_parts_of_numbers_decide(
    retrieval: Retrieval, query: str, mode: pb.SearchMode
) -> None:
    others = [items.adr(id=f"ADR-{n:03d}", title="Colours", decision="Doors are painted green.") for n in range(3, 30)]
    await retrieval.put(
        items.adr(id="ADR-001", title="The queue", decision="The queue that we use is NATS."),
        items.failure(
            id="FAIL-001",
            title="Bump ruff to 0.9",
            root_cause="We explain: it ended immediately at 2025-03-04T05:09:47Z, 123 of 28 and 10.",
        ),
        *others,
    )
    assert (await retrieval.search(query, mode=mode))[0] == "ADR-001"


@pytest.mark.parametrize(("written", "is_code"), [("UNMISTAKABLY", True), ("unmistakably", False)])
async def test_what_somebody_writes_small_is_no_code_in_capitals_either(
    retrieval: Retrieval, written: str, is_code: bool
) -> None:
    others = [items.adr(id=f"ADR-{n:03d}", title="Colours", decision="Doors are painted green.") for n in range(3, 30)]
    await retrieval.put(
        items.adr(id="ADR-001", title="The queue", decision="The queue that we use for messages is NATS."),
        items.failure(id="FAIL-001", title="An alarm", root_cause="It said UNMISTAKABLY that it was late."),
        items.failure(id="FAIL-002", title="A door", root_cause=f"It was {written} of wood, and open."),
        *others,
    )
    found = await retrieval.search("which queue do we use for messages UNMISTAKABLY")
    assert (found[0] == "ADR-001") is not is_code


async def test_an_id_that_does_not_exist_finds_nothing_that_is_only_about_ids(retrieval: Retrieval) -> None:
    await retrieval.put(
        items.adr(id="ADR-001", title="ADRs are numbered", decision="An ADR has a number: ADR 777 is done and valid."),
        items.adr(id="ADR-012", title="The queue", decision="The queue is NATS."),
        items.adr(id="ADR-013", title="Topics of the queue", decision="A queue has topics; see ADR-777."),
    )
    assert await retrieval.search("adr 999: is it done?") == []
    assert await retrieval.search("is ADR-999 still valid") == []
    assert await retrieval.search("is ADR-777 still valid") == ["ADR-013"]
    assert (await retrieval.search("what is ADR 777 and the queue"))[:2] == ["ADR-012", "ADR-013"]
    assert (await retrieval.search("has ADR-012 topics"))[:2] == ["ADR-012", "ADR-013"]


@pytest.mark.parametrize(
    ("asked", "written"),
    [
        ("k8s", "Kubernetes"),
        ("Kubernetes", "k8s"),
        ("authz", "authorization"),
        ("authn", "Authentication"),
        ("2fa", "two-factor"),
        ("two-factor", "MFA"),
        ("oom", "memory"),
        ("pg", "PostgreSQL"),
    ],
)
async def test_what_is_written_short_finds_what_is_written_in_full(
    retrieval: Retrieval, asked: str, written: str
) -> None:
    await retrieval.put(
        items.adr(id="ADR-001", title="A choice", decision=f"The new {written} is what everybody has."),
        items.adr(id="ADR-002", title="A choice", decision="The new office is what everybody has."),
    )
    assert await retrieval.search(f"{asked} rollout", mode=pb.SEARCH_MODE_KEYWORD) == ["ADR-001"]
    assert await retrieval.search(asked, mode=pb.SEARCH_MODE_KEYWORD) == ["ADR-001"]


@pytest.mark.parametrize(
    "query", ["deadlok in the payment worker", "kuberntes", "postgress", "authenticaton", "Kuberentes?"]
)
async def test_a_typo_of_a_rare_word_finds_what_has_it(retrieval: Retrieval, query: str) -> None:
    others = [
        items.failure(id=f"FAIL-{n:03d}", title="A payment worker stopped", root_cause="The payment worker was full.")
        for n in range(2, 9)
    ]
    text = "Deadlocks in Postgres, where authentication on Kubernetes holds a lock."
    await retrieval.put(items.failure(id="FAIL-001", title="A worker waited", root_cause=text), *others)
    assert (await retrieval.search(query, mode=pb.SEARCH_MODE_KEYWORD))[0] == "FAIL-001"


@pytest.mark.parametrize("query", ["PAYREFUSDE", "EACCESS", "ADR-777", "pagse_zz", "pagse.zz", "Payrefusde7"])
async def test_a_code_that_nothing_has_is_taken_for_no_other(retrieval: Retrieval, query: str) -> None:
    text = "EACCES and PAYREFUSED, in pages_qq."
    await retrieval.put(items.failure(id="FAIL-001", title="Refusals", root_cause=text))
    assert await retrieval.search(query, mode=pb.SEARCH_MODE_KEYWORD) == []


async def incidents(retrieval: Retrieval) -> None:
    rows = [("critical", "investigating"), ("critical", "resolved"), ("low", "recurring"), ("low", "resolved")]
    await retrieval.put(
        *(
            items.failure(
                id=f"FAIL-{n:03d}",
                title=f"Mail stopped, {n}",
                severity=severity,
                status=status,
                incident_date=f"2024-0{n}-01",
            )
            for n, (severity, status) in enumerate(rows, 1)
        ),
        items.adr(id="ADR-001", title="Open failures", decision="Open failures are critical incidents in March 2024."),
        items.adr(id="ADR-002", title="Mail", decision="Mail goes through a relay.", created_date="2024-03-09"),
        items.adr(id="ADR-003", title="Mail", decision="No relay.", created_date="2024-03-08", status="rejected"),
    )


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("open failures", ["FAIL-003", "FAIL-001"]),
        ("critical incidents", ["FAIL-002", "FAIL-001"]),
        ("open critical incidents", ["FAIL-001"]),
        ("what happened in March 2024?", ["ADR-002", "FAIL-003"]),
        ("which incidents were there since 2024-02-01?", ["FAIL-004", "FAIL-003", "FAIL-002"]),
    ],
)
async def test_a_question_for_a_list_is_answered_with_all_of_it_the_newest_first(
    retrieval: Retrieval, query: str, found: list[str]
) -> None:
    await incidents(retrieval)
    assert await retrieval.search(query) == found
    bundle, _ = await retrieval.query(query)
    assert set(ids(bundle)) == set(found)
    assert await retrieval.search(query, top_k=1) == found[:1]
    # Whoever asks for words alone gets what has them.
    assert "ADR-001" in await retrieval.search("open failures", mode=pb.SEARCH_MODE_KEYWORD)


async def test_where_a_list_is_empty_or_a_filter_leaves_nothing_of_it_words_and_meaning_answer(
    retrieval: Retrieval,
) -> None:
    await incidents(retrieval)
    assert (await retrieval.search("critical incidents in March 2023"))[0] == "ADR-001"
    assert await retrieval.search("open failures", types=[types_pb2.ITEM_TYPE_ADR]) == ["ADR-001"]


async def test_what_programs_write_leaves_a_list_room_for_what_people_wrote(retrieval: Retrieval) -> None:
    theirs = [
        items.failure(
            id=f"FAIL-{n}", status="investigating", incident_date="2024-11-01", provenance=types_pb2.PROVENANCE_EVENT
        )
        for n in range(100, 160)
    ]
    await incidents(retrieval)
    await retrieval.put(*theirs)
    for found in (await retrieval.search("open failures", top_k=6), ids((await retrieval.query("open failures"))[0])):
        assert {"FAIL-001", "FAIL-003"} < set(found)


async def test_beside_a_subject_a_severity_a_status_or_a_date_is_a_preference(retrieval: Retrieval) -> None:
    await incidents(retrieval)
    for query, first in (
        ("resolved low severity incidents with stopped mail", "FAIL-004"),
        ("resolved critical incidents with stopped mail", "FAIL-002"),
        ("what happened to mail that stopped in February 2024?", "FAIL-002"),
    ):
        found = await retrieval.search(query)
        assert found[0] == first
        assert {"FAIL-001", "FAIL-002", "FAIL-003", "FAIL-004"} <= set(found)


async def test_what_japanese_has_between_its_words_finds_nothing(retrieval: Retrieval) -> None:
    await retrieval.put(items.adr(id="ADR-001", title="会議", decision="会議の時間はどうですか。朝です。"))
    assert await retrieval.search("天気はどうですか", mode=pb.SEARCH_MODE_KEYWORD) == []
    assert await retrieval.search("会議はどうですか", mode=pb.SEARCH_MODE_KEYWORD) == ["ADR-001"]


async def test_identifiers_are_found_whole_and_in_parts(retrieval: Retrieval) -> None:
    await retrieval.put(
        items.adr(id="ADR-001", decision="See services/billing/InvoiceWriter.py, retry_budget and v2.14.1.")
    )
    for query in ("InvoiceWriter", "invoice writer", "invoicewriter.py", "retry_budget", "retry budget", "v2.14.1"):
        assert await retrieval.search(query, mode=pb.SEARCH_MODE_KEYWORD) == ["ADR-001"], query


async def test_an_off_topic_question_gets_nothing(retrieval: Retrieval) -> None:
    await fill(retrieval, 50)
    bundle, response = await retrieval.query("recipes for sourdough bread")
    assert (ids(bundle), bundle["omitted"], bundle["total_items"]) == ([], [], 0)
    assert response.tokens_used < 100
    assert await retrieval.search("recipes for sourdough bread") == []


@pytest.mark.parametrize("query", ["the", "!!! ???", "\t . \n", "a of in", "🙂", "word" * 2400])
async def test_a_question_without_a_word_to_look_for_is_answered_with_nothing(retrieval: Retrieval, query: str) -> None:
    await fill(retrieval, 5)
    for mode in (pb.SEARCH_MODE_KEYWORD, pb.SEARCH_MODE_HYBRID):
        assert await retrieval.search(query if query.strip() else "?", mode=mode) == []


async def test_a_long_question_is_answered(retrieval: Retrieval) -> None:
    await fill(retrieval, 30)
    await retrieval.put(
        items.failure(id="FAIL-001", title="Pool ran dry, checkout held connections", root_cause="A leak.")
    )
    trace = "\n".join(f"  at module{n}.function{n} (file{n}.js:{n})" for n in range(150))
    found = await retrieval.search(f"pool ran dry, checkout held connections {trace}")
    assert found[:1] == ["FAIL-001"]


async def test_injection_strings_are_only_words(retrieval: Retrieval) -> None:
    await fill(retrieval, 3)
    for query in (
        "'); DROP TABLE documents; --",
        "a' & !b | (c",
        "\\'\\",
        "%(plain)s %s",
        "' OR '1'='1",
        "foo:*",
        "<->",
    ):
        await retrieval.hits(query)
        await retrieval.query(query)
        await retrieval.search(query, tags=[query], statuses=[query])
    assert (await retrieval.status()).items == 3


async def test_what_is_not_in_force_is_left_out_unless_history_is_asked_for(retrieval: Retrieval) -> None:
    statuses = ["active", "proposed", "deprecated", "rejected", "retracted", "archived", "superseded"]
    await retrieval.put(
        *(items.adr(id=f"ADR-{n:03d}", title=f"Invoices {s}", decision=f"{s} invoices {n}", status=s)
          for n, s in enumerate(statuses, 1))
    )  # fmt: skip
    bundle, _ = await retrieval.query("invoices")
    assert {item["status"] for item in bundle["key_decisions"]} == {"active", "proposed", "deprecated"}
    bundle, _ = await retrieval.query("invoices", include_history=True)
    assert {item["status"] for item in bundle["key_decisions"]} == set(statuses)
    assert await retrieval.search("invoices", statuses=["rejected"]) == ["ADR-004"]
    assert set(await retrieval.search("invoices")) == {"ADR-001", "ADR-002", "ADR-003"}


async def supersession(retrieval: Retrieval) -> None:
    """ADR-003 replaced ADR-002, which had replaced ADR-001."""
    retrieval.knowledge.put(
        items.adr(id="ADR-001", title="Run Mongo", decision="Invoices live in Mongo.", status="superseded")
    )
    retrieval.knowledge.put(
        items.adr(id="ADR-002", title="Run Couch", decision="Documents go elsewhere.", status="superseded"),
        edges=[("supersedes", "ADR-001")],
    )
    retrieval.knowledge.put(
        items.adr(id="ADR-003", title="Run Postgres", decision="Rows, not paper.", tags=["new"]),
        edges=[("supersedes", "ADR-002")],
    )
    await retrieval.settled()


async def test_a_superseded_match_brings_what_holds_in_its_place(retrieval: Retrieval) -> None:
    await supersession(retrieval)
    bundle, _ = await retrieval.query("invoices mongo")
    assert [(item["id"], item["replaces"]) for item in bundle["key_decisions"]] == [("ADR-003", ["ADR-001"])]
    assert [(o["id"], o["reason"]) for o in bundle["omitted"]] == [("ADR-001", "superseded")]
    assert await retrieval.search("invoices mongo") == ["ADR-003"]


async def test_of_what_was_turned_down_a_bundle_says_so_and_nothing_else(retrieval: Retrieval) -> None:
    await retrieval.put(
        items.adr(id="ADR-001", title="Move to Cockroach", decision="Orders move to Cockroach.", status="retracted"),
        items.adr(id="ADR-002", title="Graph gateway", decision="Merchants keep rest endpoints.", status="rejected"),
        items.adr(id="ADR-003", title="Ferries", decision="Ferries leave hourly."),
        items.adr(id="ADR-004", title="Rest endpoints", decision="Merchants call rest endpoints."),
    )
    for question, hits, omitted in (
        ("orders cockroach", [], [("ADR-001", "retracted", "Move to Cockroach")]),
        ("ADR-001", [], [("ADR-001", "retracted", "Move to Cockroach")]),
        ("merchants rest endpoints", ["ADR-004"], [("ADR-002", "rejected", "Graph gateway")]),
        ("ferries", ["ADR-003"], []),
        ("violins", [], []),
    ):
        bundle, _ = await retrieval.query(question)
        assert ids(bundle) == hits, question
        assert [(one["id"], one["reason"], one["title"]) for one in bundle["omitted"]] == omitted, question
    assert await retrieval.search("orders cockroach") == []
    bundle, _ = await retrieval.query("orders cockroach", include_history=True)
    assert ids(bundle) == ["ADR-001"]


async def test_whoever_names_an_id_and_nothing_else_gets_that_and_what_stands_beside_it(retrieval: Retrieval) -> None:
    made = [items.adr(id=f"ADR-{n:03d}", title=f"Adr {n} of failures", decision="What we decide.") for n in range(2, 9)]
    await retrieval.put(items.adr(id="ADR-001", title="Ferries", decision="Ferries leave hourly."), *made)
    await retrieval.put(
        items.failure(id="FAIL-001", title="A ferry was late", root_cause="Fog."), edges=[("related_to", "ADR-001")]
    )
    for question in ("adr 1", "what does ADR-001 say?", "ADR-001"):
        bundle, _ = await retrieval.query(question)
        assert ids(bundle) == ["ADR-001", "FAIL-001"], question
    bundle, _ = await retrieval.query("FAIL-999")
    assert ids(bundle) == []


async def test_an_excerpt_is_what_bears_on_the_question_not_on_its_small_words(retrieval: Retrieval) -> None:
    said = "What the ferries did was what we did about the harbour before. Tides move the moorings."
    await retrieval.put(items.adr(id="ADR-001", title="Harbour", decision=said))
    found = await retrieval.hits("what did we decide about the moorings")
    assert found.results[0].snippet.startswith("Tides move the moorings.")


async def test_history_shows_the_superseded_itself(retrieval: Retrieval) -> None:
    await supersession(retrieval)
    bundle, _ = await retrieval.query("invoices mongo", include_history=True)
    assert bundle["key_decisions"][0]["id"] == "ADR-001"
    assert not any("replaces" in item for item in bundle["key_decisions"])


async def test_an_id_finds_its_item_in_a_search_even_when_superseded(retrieval: Retrieval) -> None:
    await supersession(retrieval)
    assert await retrieval.search("ADR-001") == ["ADR-001", "ADR-003"]
    bundle, _ = await retrieval.query("ADR-001")
    assert ids(bundle) == ["ADR-003"]


async def test_a_long_chain_leads_to_what_holds(retrieval: Retrieval) -> None:
    last = 30
    for number in range(1, last + 1):
        text = "Invoices live in ledgers." if number == 1 else f"Way{number} is chosen."
        status = "active" if number == last else "superseded"
        item = items.adr(id=f"ADR-{number:03d}", title=f"Way{number}", decision=text, status=status)
        edges = [("supersedes", f"ADR-{number - 1:03d}")] if number > 1 else []
        retrieval.knowledge.put(item, edges=edges, namespace="web")
    await retrieval.settled()
    bundle, _ = await retrieval.query("where do invoices live: ledgers?")
    assert [(item["id"], item["replaces"]) for item in bundle["key_decisions"]] == [(f"ADR-{last:03d}", ["ADR-001"])]


@pytest.mark.parametrize("kind", ["list", "bundle"])
async def test_what_was_superseded_takes_no_place_from_what_holds(retrieval: Retrieval, kind: str) -> None:
    was = [
        items.adr(id=f"ADR-{number:03d}", title="Harbour ferries", decision="Harbour ferries.", status="superseded")
        for number in range(1, 61)
    ]
    holds = [items.adr(id=f"ADR-1{number:02d}", title="Ferries", decision=f"Ferries {number}.") for number in range(9)]
    await retrieval.put(*was, *holds)
    if kind == "list":
        found = await retrieval.search("harbour ferries", top_k=5)
        assert len(found) == 5
        assert set(found) <= {item.id for item in holds}
    else:
        bundle, _ = await retrieval.query("harbour ferries", max_tokens=4000)
        assert set(ids(bundle)) == {item.id for item in holds}


async def test_what_holds_is_named_where_a_filter_keeps_it_out(retrieval: Retrieval) -> None:
    queue = items.adr(id="ADR-001", title="Rabbit", decision="Jobs queue.", tags=["queue"], status="superseded")
    await retrieval.put(queue)
    nats = items.adr(id="ADR-002", title="Nats", decision="Subjects.", tags=["messaging"])
    await retrieval.put(nats, edges=[("supersedes", "ADR-001")])
    bundle, _ = await retrieval.query("jobs queue", tags=["queue"])
    assert ids(bundle) == []
    (left,) = bundle["omitted"]
    assert (left["id"], left["reason"], left["superseded_by"]) == ("ADR-001", "superseded", "ADR-002")
    assert await retrieval.search("jobs queue", tags=["queue"]) == []


async def test_what_came_over_an_edge_is_not_left_out_as_well(
    retrieval: Retrieval, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "bar", lambda ranked, *_: Bar(ranked[0].score, ranked[0].score))
    monkeypatch.setattr(search, "_arrived", lambda *_: True)
    await retrieval.put(items.adr(id="ADR-001", title="Invoices", decision="Invoices are archive files."))
    await retrieval.put(
        items.adr(id="ADR-002", title="Invoices too", decision="Invoices are archive files, and more than that."),
        edges=[("references", "ADR-001")],
    )
    bundle, _ = await retrieval.query("invoices archive files")
    assert set(ids(bundle)) == {"ADR-001", "ADR-002"}
    assert bundle["omitted"] == []


async def test_what_has_no_words_finds_nothing(retrieval: Retrieval) -> None:
    await retrieval.put(items.adr(id="ADR-001", title="🍕🍕", decision="🍕"))
    found = await retrieval.hits("🍕 …")
    assert (list(found.results), found.degraded) == ([], False)


async def test_items_that_supersede_each_other_end(retrieval: Retrieval) -> None:
    for one, other in (("ADR-001", "ADR-002"), ("ADR-002", "ADR-001")):
        item = items.adr(id=one, decision=f"Invoices {one}", status="superseded")
        retrieval.knowledge.put(item, edges=[("supersedes", other)])
    await retrieval.settled()
    bundle, _ = await retrieval.query("invoices")
    assert ids(bundle) == []
    assert {omitted["reason"] for omitted in bundle["omitted"]} == {"superseded"}


async def test_a_successor_must_pass_the_filter(retrieval: Retrieval) -> None:
    await supersession(retrieval)
    assert await retrieval.search("invoices mongo", tags=["new"]) == []


async def test_neighbours_come_along_below_what_led_to_them(retrieval: Retrieval) -> None:
    cause = items.failure(id="FAIL-001", title="Disk full", root_cause="Logs were kept for ever.")
    gone = items.failure(id="FAIL-002", title="Other", root_cause="Something else.", status="archived")
    retrieval.knowledge.put(cause)
    retrieval.knowledge.put(gone)
    edges = [("caused_by", "FAIL-001"), ("references", "FAIL-002"), ("references", "FAIL-404")]
    retrieval.knowledge.put(
        items.adr(id="ADR-001", title="Rotate invoices", decision="Rotate invoices daily."), edges=edges
    )
    await retrieval.settled()
    bundle, _ = await retrieval.query("rotate invoices daily", explain=True)
    assert ids(bundle) == ["ADR-001", "FAIL-001"]
    neighbour = bundle["known_issues"][0]
    assert neighbour["why"]["via"] == "ADR-001"
    assert neighbour["score"] <= bundle["key_decisions"][0]["score"]
    assert bundle["key_decisions"][0]["why"]["via"] == ""
    # From the other end as well, and only where the filter lets them.
    reverse, _ = await retrieval.query("disk full logs kept for ever")
    assert ids(reverse) == ["ADR-001", "FAIL-001"]
    only, _ = await retrieval.query("rotate invoices daily", types=[types_pb2.ITEM_TYPE_ADR])
    assert ids(only) == ["ADR-001"]


async def test_without_embeddings_words_answer_and_say_so(retrieval: Retrieval) -> None:
    await retrieval.put(items.adr(id="ADR-001", decision="Keep invoices."))
    retrieval.embedding.failure = Unavailable("away")
    bundle, response = await retrieval.query("invoices")
    assert (ids(bundle), bundle["degraded"], response.degraded) == (["ADR-001"], True, True)
    hits = await retrieval.hits("invoices", mode=pb.SEARCH_MODE_SEMANTIC)
    assert ([hit.id for hit in hits.results], hits.degraded) == (["ADR-001"], True)
    hits = await retrieval.hits("invoices", mode=pb.SEARCH_MODE_KEYWORD)
    assert ([hit.id for hit in hits.results], hits.degraded) == (["ADR-001"], False)


async def test_an_embedding_service_that_hangs_holds_nobody_up(
    retrieval: Retrieval, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "EMBED_WAIT", 0.05)
    await retrieval.put(items.adr(id="ADR-001", decision="Keep invoices."))
    retrieval.embedding.hanging = True
    bundle, _ = await retrieval.query("invoices")
    assert (ids(bundle), bundle["degraded"]) == (["ADR-001"], True)


async def test_an_embedding_service_that_fails_costs_no_answer(
    retrieval: Retrieval, monkeypatch: pytest.MonkeyPatch
) -> None:
    await retrieval.put(items.adr(id="ADR-001", decision="Keep invoices."))
    monkeypatch.setattr(retrieval.embedding, "embedding", lambda text: 1 / 0)
    await retrieval.put(items.adr(id="ADR-002", decision="Send invoices."))
    bundle, _ = await retrieval.query("invoices")
    assert (set(ids(bundle)), bundle["degraded"]) == ({"ADR-001", "ADR-002"}, True)


async def test_newest_items_in_force_are_listed_without_a_question(retrieval: Retrieval) -> None:
    await retrieval.put(
        items.adr(id="ADR-001", title="Old", created_date="2024-01-01", tags=["a"]),
        items.failure(id="FAIL-001", title="New", incident_date="2026-05-01", tags=["b"]),
        items.snapshot(id="SNAP-001", date="2025-03-03", tags=["a", "b"]),
        items.adr(id="ADR-002", title="Gone", created_date="2026-06-01", status="superseded"),
        items.meeting(id="MEET-001", date="2026-01-15", status="completed"),
    )

    async def listed(**wanted: Any) -> list[str]:
        limit = wanted.pop("limit", 0)
        response = await retrieval.ask("Browse", pb.BrowseRequest(filter=pb.Filter(**wanted), limit=limit))
        return [item.id for item in response.items]

    assert await listed() == ["FAIL-001", "MEET-001", "SNAP-001", "ADR-001"]
    assert await listed(limit=2) == ["FAIL-001", "MEET-001"]
    assert await listed(tags=["a"]) == ["SNAP-001", "ADR-001"]
    assert await listed(types=[types_pb2.ITEM_TYPE_ADR]) == ["ADR-001"]
    assert await listed(from_date="2025-03-03", to_date="2026-01-15") == ["MEET-001", "SNAP-001"]
    assert await listed(include_history=True, limit=1) == ["ADR-002"]


async def test_a_hit_says_what_it_is_and_why(retrieval: Retrieval) -> None:
    await retrieval.put(
        items.failure(
            id="FAIL-001",
            title="Pool ran dry",
            root_cause="A. B. Checkout held its connections.",
            tags=["db"],
            incident_date="2026-02-03",
            status="resolved",
        )
    )
    response = await retrieval.hits("checkout connections", explain=True)
    hit = response.results[0]
    assert (hit.id, hit.type, hit.title) == ("FAIL-001", types_pb2.ITEM_TYPE_FAILURE, "Pool ran dry")
    assert (hit.date, list(hit.tags), hit.status, hit.namespace) == ("2026-02-03", ["db"], "resolved", "web")
    assert hit.snippet == "Checkout held its connections."
    assert 0 < hit.why.semantic <= 1
    assert 0 < hit.why.keyword <= 1
    assert 0 < hit.score <= 1
    assert response.cost.sql.nanos > 0
    assert response.cost.embedding.nanos > 0


async def test_min_score_raises_or_lowers_the_bar(retrieval: Retrieval) -> None:
    await retrieval.put(
        items.adr(id="ADR-001", title="Invoices", decision="Keep invoices for ten years, says the law.")
    )
    bundle, _ = await retrieval.query("invoices")
    score = bundle["key_decisions"][0]["score"]
    assert ids((await retrieval.query("invoices", min_score=score + 0.01))[0]) == []
    assert ids((await retrieval.query("invoices", min_score=score - 0.01))[0]) == ["ADR-001"]


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"text": " \n"}, "query"),
        ({"text": "x" * 10_001}, "query"),
        ({"text": "a\0b"}, "query"),
        ({"max_tokens": 199}, "max_tokens"),
        ({"max_tokens": 32_001}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"min_score": 1.5}, "min_score"),
        ({"min_score": float("nan")}, "min_score"),
        ({"from_date": "2026-02-30"}, "from"),
        ({"to_date": "yesterday"}, "to"),
        ({"from_date": "2026-02-02", "to_date": "2026-02-01"}, "from"),
        ({"namespaces": ["Not One"]}, "namespaces"),
        ({"namespaces": ["*"]}, "namespaces"),
        ({"namespaces": [f"n{number}" for number in range(51)]}, "namespaces"),
        ({"tags": ["a\0"]}, "tags"),
        ({"types": [99]}, "types"),
    ],
)
async def test_what_cannot_be_asked_is_named(retrieval: Retrieval, wanted: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        await retrieval.query(wanted.pop("text", "a question"), **wanted)
    assert list(caught.value.fields) == [field]


async def test_top_k_has_its_bounds(retrieval: Retrieval) -> None:
    await fill(retrieval, 40)
    assert len(await retrieval.search("word1 word2 word3 word4", top_k=3)) == 3
    for bad in (-1, 101):
        with pytest.raises(Invalid):
            await retrieval.search("word1", top_k=bad)


@pytest.mark.parametrize(
    "filters", [{}, {"tags": ["half"]}, {"types": [types_pb2.ITEM_TYPE_ADR], "from_date": "2021-01-01"}]
)
async def test_pages_of_what_is_new_come_to_the_whole_list(retrieval: Retrieval, filters: dict[str, Any]) -> None:
    await fill(retrieval, 60)
    theirs = retrieval.as_("ops")
    await theirs.put(*(items.adr(id=f"ADR-{number:03d}", created_date="2024-01-01") for number in range(1, 6)))
    reader = retrieval.as_("web", "ops")
    wanted = pb.Filter(namespaces=["web", "ops"], **filters)
    whole = await reader.ask("Browse", pb.BrowseRequest(filter=wanted, limit=200))
    assert not whole.next_page_token
    found, cursor = [], ""
    while True:
        page = await reader.ask("Browse", pb.BrowseRequest(filter=wanted, limit=7, page_token=cursor))
        found += page.items
        cursor = page.next_page_token
        if not cursor:
            break
    assert len(found) > 14
    assert [(item.namespace, item.id) for item in found] == [(item.namespace, item.id) for item in whole.items]


@pytest.mark.parametrize("position", [["2024-01-01", "no time", "ADR-001", "web"], ["x", "x", "x", "x"], []])
async def test_a_cursor_that_is_none_is_refused(retrieval: Retrieval, position: list[str]) -> None:
    await retrieval.put(*(items.adr(id=f"ADR-{number:03d}") for number in range(1, 4)))
    page = await retrieval.ask("Browse", pb.BrowseRequest(limit=1))
    mark = json.loads(base64.urlsafe_b64decode(page.next_page_token + "=="))[-1]
    for token in (pages.encode(position, mark), "nonsense"):
        with pytest.raises(Invalid):
            await retrieval.ask("Browse", pb.BrowseRequest(limit=1, page_token=token))
    with pytest.raises(Invalid):  # of another list
        await retrieval.ask("Browse", pb.BrowseRequest(filter=pb.Filter(tags=["a"]), page_token=page.next_page_token))
