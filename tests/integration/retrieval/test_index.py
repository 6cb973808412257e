"""The index follows the feed: once for every change, whatever order, failure or replica comes in between."""

import asyncio
import random
import secrets
import shutil
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from context.v1 import knowledge_pb2, knowledge_pb2_grpc, types_pb2
from context.v1 import retrieval_pb2 as pb
from context_common import postgres
from context_common.errors import AppError, Invalid, Overloaded, TooLate, Unavailable
from context_retrieval import access, bundle, embedder, filler, indexer, metrics, prepare, service, tokens
from context_retrieval.model import Document, Entry, Key, Tally, Words
from context_retrieval.passages import Text
from context_retrieval.store import SESSION, Index, configure
from tests.support import items
from tests.support.retrieval import FakeEmbedding, FakeKnowledge, Retrieval, ids, running

MIGRATIONS = Path(__file__).parents[3] / "services/retrieval/context_retrieval/migrations"
FORGOTTEN = "0011_forgotten.sql"


def sentence(number: int) -> str:
    return f"Sentence {number} is about subject{number} and nothing else."


LONG = " ".join(map(sentence, range(60)))


@pytest.fixture
async def retrieval(database_url: str) -> AsyncIterator[Retrieval]:
    async with running(database_url) as service:
        yield service


async def texts(retrieval: Retrieval, item_id: str) -> list[str]:
    rows = await retrieval.rows("SELECT text FROM chunks WHERE item_id = %(id)s ORDER BY ordinal", {"id": item_id})
    return [row["text"] for row in rows]


async def test_an_item_is_found_by_meaning_and_by_words(retrieval: Retrieval) -> None:
    await retrieval.put(items.adr(id="ADR-001", title="Use Postgres", decision="We keep invoices there."))
    assert await retrieval.search("invoices") == ["ADR-001"]
    assert await retrieval.search("invoices", mode=pb.SEARCH_MODE_SEMANTIC) == ["ADR-001"]
    assert await retrieval.search("invoices", mode=pb.SEARCH_MODE_KEYWORD) == ["ADR-001"]


async def test_the_feed_is_asked_in_the_name_of_the_service(retrieval: Retrieval) -> None:
    await retrieval.put(items.adr(id="ADR-001"))
    assert retrieval.knowledge.callers == {"service:retrieval"}


async def test_every_part_of_a_long_item_is_found(retrieval: Retrieval) -> None:
    await retrieval.put(items.adr(id="ADR-001", decision=LONG))
    assert len(await texts(retrieval, "ADR-001")) > 5
    for number in (0, 31, 59):
        assert await retrieval.search(sentence(number), mode=pb.SEARCH_MODE_SEMANTIC) == ["ADR-001"]


async def test_no_passage_is_longer_than_the_window(retrieval: Retrieval) -> None:
    await retrieval.put(items.adr(id="ADR-001", decision=LONG, context=LONG))
    embedded = [retrieval.embedding.embedding(text) for text in retrieval.embedding.embedded]
    assert embedded
    assert not any(one.truncated for one in embedded)


EVERY_FIELD = {
    "adr": items.adr(
        id="ADR-001", title="alphaone", decision="alphatwo", context="alphathree", consequences="alphafour",
        options_considered={"alphafive": "alphasix"}, outcome="alphaseven", stakeholders=["alphaeight"],
        tags=["alphanine"], author="alphaten", source_uri="git://alphaeleven/x",
    ),
    "failure": items.failure(
        id="FAIL-001", title="betaone", root_cause="betatwo", symptoms="betathree", impact="betafour",
        resolution="betafive", prevention=["betasix"], lessons_learned="betaseven", pattern="betaeight",
        app_name="betanine", environment="betaten",
    ),
    "meeting": items.meeting(
        id="MEET-001", title="gammaone", attendees=["gammatwo"],
    ),
    "snapshot": items.snapshot(
        id="SNAP-001", commit_message="deltaone", changed_files=["src/deltatwo.py"], commit_type="deltathree",
        author="deltafour", commit_hash="0123456789abcdef0123456789abcdef01234567",
    ),
}  # fmt: skip


async def test_an_item_is_found_by_every_field_that_it_has(retrieval: Retrieval) -> None:
    action = types_pb2.ActionItem(task="gammathree", owner="gammafour")
    meeting = types_pb2.Item()
    meeting.CopyFrom(EVERY_FIELD["meeting"])
    meeting.meeting.ClearField("decisions")
    decision = types_pb2.MeetingDecision(decision="gammafive", rationale="gammasix", action_items=[action])
    meeting.meeting.decisions.append(decision)
    await retrieval.put(EVERY_FIELD["adr"], EVERY_FIELD["failure"], meeting, EVERY_FIELD["snapshot"])
    numbers = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"]
    for letter, item_id, count in (("alpha", "ADR-001", 11), ("beta", "FAIL-001", 10), ("gamma", "MEET-001", 6)):
        for number in numbers[:count]:
            found = await retrieval.search(f"{letter}{number}", mode=pb.SEARCH_MODE_KEYWORD)
            assert found == [item_id], f"{letter}{number}"
    for words in ("deltaone", "deltatwo", "deltathree", "deltafour", "0123456789ab", "src/deltatwo.py"):
        assert await retrieval.search(words, mode=pb.SEARCH_MODE_KEYWORD) == ["SNAP-001"], words


async def test_the_same_change_twice_changes_nothing(retrieval: Retrieval) -> None:
    item = items.adr(id="ADR-001", decision=LONG)
    await retrieval.put(item)
    before = await retrieval.rows("SELECT * FROM terms ORDER BY lexeme")
    change = retrieval.knowledge.items[("web", "ADR-001")]
    retrieval.knowledge.feed[("web", "ADR-001")] = change
    retrieval.knowledge._changed.set()
    await retrieval.settled()
    assert await retrieval.rows("SELECT * FROM terms ORDER BY lexeme") == before
    assert (await retrieval.status()).items == 1


async def test_an_older_change_that_comes_late_is_passed_over(retrieval: Retrieval) -> None:
    await retrieval.put(items.adr(id="ADR-001", decision="An early answer."))
    late = knowledge_pb2.Change()
    late.CopyFrom(retrieval.knowledge.items[("web", "ADR-001")])
    await retrieval.put(items.adr(id="ADR-001", decision="A final answer."))
    retrieval.knowledge.feed[("web", "ADR-001")] = late
    retrieval.knowledge._changed.set()
    await retrieval.settled()
    assert await retrieval.search("early answer", mode=pb.SEARCH_MODE_KEYWORD) == ["ADR-001"]
    assert [hit.snippet for hit in (await retrieval.hits("final answer")).results] == ["A final answer."]


async def test_what_was_deleted_is_gone_and_an_older_change_does_not_bring_it_back(retrieval: Retrieval) -> None:
    await retrieval.put(items.adr(id="ADR-001", decision="Gone tomorrow."))
    late = knowledge_pb2.Change()
    late.CopyFrom(retrieval.knowledge.items[("web", "ADR-001")])
    retrieval.knowledge.delete("ADR-001")
    await retrieval.settled()
    retrieval.knowledge.feed[("web", "ADR-001")] = late
    retrieval.knowledge._changed.set()
    await retrieval.settled()
    assert await retrieval.search("gone tomorrow") == []
    assert await retrieval.search("ADR-001") == []
    assert await retrieval.rows("SELECT 1 FROM chunks") == []
    assert await retrieval.rows("SELECT 1 FROM terms WHERE documents <> 0") == []
    assert (await retrieval.status()).items == 0


async def test_an_item_may_come_back_under_its_old_id(retrieval: Retrieval) -> None:
    await retrieval.put(items.adr(id="ADR-001", decision="First life."))
    retrieval.knowledge.delete("ADR-001")
    await retrieval.put(items.adr(id="ADR-001", decision="Second life."))
    assert await retrieval.search("second life") == ["ADR-001"]


async def test_unchanged_text_is_not_embedded_again(retrieval: Retrieval) -> None:
    await retrieval.put(items.adr(id="ADR-001", decision=LONG))
    retrieval.embedding.embedded.clear()
    await retrieval.put(items.adr(id="ADR-001", decision=LONG, tags=["other"], status="deprecated"))
    assert retrieval.embedding.embedded == []
    assert await retrieval.search("subject31", tags=["other"]) == ["ADR-001"]


async def test_of_a_text_that_changed_at_its_end_only_the_end_is_embedded(retrieval: Retrieval) -> None:
    await retrieval.put(items.adr(id="ADR-001", decision=LONG))
    whole = len(retrieval.embedding.embedded)
    retrieval.embedding.embedded.clear()
    await retrieval.put(items.adr(id="ADR-001", decision=f"{LONG} One more."))
    assert 0 < len(retrieval.embedding.embedded) < whole / 2
    assert (await retrieval.status()).unembedded_chunks == 0


@pytest.mark.parametrize("failure", [Unavailable("away"), Overloaded("full")])
async def test_without_embeddings_items_are_found_by_words_at_once_and_by_meaning_later(
    retrieval: Retrieval, failure: Any
) -> None:
    retrieval.embedding.failure = failure
    await retrieval.put(items.adr(id="ADR-001", decision=LONG))
    bundle, response = await retrieval.query("subject31")
    assert ids(bundle) == ["ADR-001"]
    assert bundle["degraded"] is response.degraded is True
    assert (await retrieval.status()).unembedded_chunks > 0
    retrieval.embedding.failure = None
    await retrieval.filled()
    assert await retrieval.search(sentence(31), mode=pb.SEARCH_MODE_SEMANTIC) == ["ADR-001"]
    assert not any(retrieval.embedding.embedding(text).truncated for text in retrieval.embedding.embedded)


async def test_what_lacks_vectors_is_filled_after_a_restart(database_url: str) -> None:
    async with running(database_url) as first:
        first.embedding.failure = Unavailable("away")
        await first.put(items.adr(id="ADR-001", decision=LONG))
    async with running(database_url) as second:
        await second.filled()
        assert await second.search(sentence(31), mode=pb.SEARCH_MODE_SEMANTIC) == ["ADR-001"]


async def test_a_new_model_takes_over_without_the_old_ones_vectors(retrieval: Retrieval) -> None:
    await retrieval.put(items.adr(id="ADR-001", decision="Keep invoices."), items.adr(id="ADR-002", decision=LONG))
    retrieval.embedding.model.id = "words-2"
    assert await retrieval.search("invoices", mode=pb.SEARCH_MODE_SEMANTIC) == []
    await retrieval.put(items.adr(id="ADR-003", decision="Something else."))
    retrieval.embedding.failure = Unavailable("a moment")
    await retrieval.put(items.adr(id="ADR-004", decision="Wakes the filler."))
    retrieval.embedding.failure = None
    await retrieval.filled()
    assert (await retrieval.search("invoices", mode=pb.SEARCH_MODE_SEMANTIC))[0] == "ADR-001"
    assert [row["model_id"] for row in await retrieval.rows("SELECT DISTINCT model_id FROM chunks")] == ["words-2"]


async def test_a_model_of_another_dimension_is_refused_and_words_go_on(retrieval: Retrieval) -> None:
    retrieval.embedding.model.dimension = 768
    await retrieval.put(items.adr(id="ADR-001", decision="Keep invoices."))
    bundle, _ = await retrieval.query("invoices")
    assert (ids(bundle), bundle["degraded"]) == (["ADR-001"], True)


async def test_an_item_that_cannot_be_indexed_stops_no_other(retrieval: Retrieval) -> None:
    good = [items.adr(id=f"ADR-{number:03d}", decision=f"Good number{number}.") for number in range(2, 9)]
    poison = types_pb2.Item(id="ADR-001", title="poison")  # no body: there is no type to index it as
    await retrieval.put(good[0], poison, *good[1:])
    assert len(await retrieval.search("good", top_k=50)) == len(good)
    assert list(retrieval.knowledge.aside) == [("web", "ADR-001")]
    assert (await retrieval.status()).set_aside == 1
    assert (await retrieval.status()).items == len(good)
    await retrieval.put(items.adr(id="ADR-001", decision="Mended."))
    assert await retrieval.search("mended") == ["ADR-001"]


class Dozing(FakeEmbedding):
    """Takes long over its vectors."""

    async def EmbedMany(self, request_iterator: Any, context: Any) -> AsyncIterator[Any]:
        async for answer in super().EmbedMany(request_iterator, context):
            await asyncio.sleep(3)
            yield answer


@pytest.mark.parametrize("renewed", [True, False])
async def test_a_batch_that_takes_longer_than_its_lease_is_done_once(
    database_url: str, monkeypatch: pytest.MonkeyPatch, renewed: bool
) -> None:
    monkeypatch.setattr(indexer, "LEASE", 1)
    monkeypatch.setattr(indexer, "RENEW", 0.2)
    if not renewed:  # as where knowledge is of the release before
        monkeypatch.setattr(FakeKnowledge, "RenewChanges", knowledge_pb2_grpc.KnowledgeServiceServicer.RenewChanges)
    async with running(database_url, embedding=Dozing()) as retrieval:
        await retrieval.put(items.adr(id="ADR-001", decision="Slow."))
        change = retrieval.knowledge.items[("web", "ADR-001")]
        assert (change.attempts == 1) is renewed
        assert await retrieval.search("slow") == ["ADR-001"]


async def test_work_that_never_ends_is_left_to_another(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("LEASE", 1), ("RENEW", 0.1), ("LONGEST_WORK", 0.3)):
        monkeypatch.setattr(indexer, name, seconds)
    async with running(database_url, embedding=Dozing()) as retrieval:
        await retrieval.put(items.adr(id="ADR-001", decision="Slow."))
        assert retrieval.knowledge.items[("web", "ADR-001")].attempts > 1


async def spoil(retrieval: Retrieval, title: str, code: str, when: str = "true") -> None:
    """Have the database fail with `code` on what has a title like `title`."""
    async with await psycopg.AsyncConnection.connect(retrieval.url, autocommit=True) as connection:
        await connection.execute(
            f"""CREATE FUNCTION retrieval.spoil() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'a title that spoils it' USING ERRCODE = '{code}'; END $$;
            CREATE TRIGGER spoil BEFORE UPDATE ON retrieval.documents FOR EACH ROW
            WHEN (NEW.title LIKE '{title}' AND {when}) EXECUTE FUNCTION retrieval.spoil()""".encode()
        )


@pytest.mark.parametrize("code", ["57014", "53200"], ids=["took too long", "out of memory"])
@pytest.mark.parametrize("others", [0, 8], ids=["alone", "among others"])
async def test_an_item_that_the_database_does_not_answer_to_stops_no_other(
    retrieval: Retrieval, code: str, others: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexer, "RETRY", 0.01)
    await spoil(retrieval, "Spoilt", code)
    good = [items.adr(id=f"ADR-{number:03d}", decision=f"Good number{number}.") for number in range(2, 2 + others)]
    await retrieval.put(items.adr(id="ADR-001", title="Spoilt"), *good)
    assert (await retrieval.status()).items == others
    assert list(retrieval.knowledge.aside) == [("web", "ADR-001")]
    assert "a title that spoils it" in retrieval.knowledge.aside[("web", "ADR-001")]
    await retrieval.put(items.adr(id="ADR-001", title="Mended"))
    assert await retrieval.search("mended") == ["ADR-001"]


async def test_a_database_that_answers_to_no_item_is_nobodys_fault(
    retrieval: Retrieval, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexer, "RETRY", 0.01)
    monkeypatch.setattr(indexer, "LONGEST_PAUSE", 0.01)
    monkeypatch.setattr(indexer, "PAUSE", 0.01)
    await spoil(retrieval, "%", "57014")
    for number in range(1, 4):
        retrieval.knowledge.put(items.adr(id=f"ADR-{number:03d}", decision="Good."))
    for _ in range(6):
        await asyncio.sleep(0.1)
        retrieval.knowledge.expire()
    assert retrieval.knowledge.aside == {}
    assert len(retrieval.knowledge.feed) == 3


async def test_what_cannot_be_cut_is_told_with_its_reason_and_no_secret(database_url: str) -> None:
    secret = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"

    class Refusing(FakeEmbedding):
        async def Tokenize(self, request: Any, context: Any) -> Any:
            if any("unreadable" in text for text in request.texts):
                raise Invalid({"texts": [f"cannot read {secret}"]})
            return await super().Tokenize(request, context)

    async with running(database_url, embedding=Refusing()) as retrieval:
        bad = items.adr(id="ADR-001", decision="This is unreadable.")
        await retrieval.put(
            items.adr(id="ADR-002", decision="Fine."), bad, items.adr(id="ADR-003", decision="Fine too.")
        )
        assert sorted(await retrieval.search("fine")) == ["ADR-002", "ADR-003"]
        reason = retrieval.knowledge.aside[("web", "ADR-001")]
        assert "cannot read" in reason
        assert secret not in reason


@pytest.mark.parametrize("late", [True, False])
async def test_a_passage_that_is_refused_leaves_an_item_to_its_words_and_stops_no_other(
    retrieval: Retrieval, late: bool
) -> None:
    if late:
        retrieval.embedding.failure = Unavailable("away")
    else:
        retrieval.embedding.refused["unreadable"] = "cannot read that"
    await retrieval.put(
        items.adr(id="ADR-001", decision="This is unreadable."),
        *(items.adr(id=f"ADR-{number:03d}", decision=f"Fine number{number}.") for number in range(2, 20)),
    )
    retrieval.embedding.refused["unreadable"] = "cannot read that"
    retrieval.embedding.failure = None
    async with asyncio.timeout(30):
        while (await retrieval.status()).unembedded_chunks > 1:
            await asyncio.sleep(0.05)
    assert await retrieval.search("number7", mode=pb.SEARCH_MODE_SEMANTIC) == ["ADR-007"]
    assert await retrieval.search("unreadable", mode=pb.SEARCH_MODE_KEYWORD) == ["ADR-001"]


class Slow(FakeEmbedding):
    """Gives the vectors of one message of each stream, and none for the rest."""

    end: AppError = Overloaded("full")

    async def EmbedMany(self, request_iterator: Any, context: Any) -> AsyncIterator[Any]:
        async for answer in super().EmbedMany(request_iterator, context):
            yield answer
            raise self.end


@pytest.mark.parametrize("end", [Overloaded("full"), TooLate("late"), Unavailable("away")])
async def test_what_gains_some_vectors_comes_again_until_it_has_them_all(
    database_url: str, monkeypatch: pytest.MonkeyPatch, end: AppError
) -> None:
    monkeypatch.setattr(filler, "RETRY", 0.01)
    monkeypatch.setattr(embedder, "REST", 0.01)
    embedding = Slow()
    embedding.end = end
    async with running(database_url, embedding=embedding) as retrieval:
        await retrieval.put(items.adr(id="ADR-001", decision=" ".join(map(sentence, range(200)))))
        assert len(await texts(retrieval, "ADR-001")) > 3 * 16  # of which each try gains one message's
        await retrieval.filled()
        assert await retrieval.search(sentence(199), mode=pb.SEARCH_MODE_SEMANTIC) == ["ADR-001"]


async def test_a_large_item_does_not_keep_others_from_their_vectors(database_url: str) -> None:
    async with running(database_url) as retrieval:
        retrieval.embedding.failure = Unavailable("away")
        large = items.adr(id="ADR-001", title="Large", decision=" ".join(map(sentence, range(400))))
        small = [items.adr(id=f"ADR-{number:03d}", title="Small", decision="Short.") for number in range(2, 7)]
        await retrieval.put(large, *small)
        retrieval.embedding.failure = None
        await retrieval.filled()
        first = retrieval.embedding.embedded[:16]
        assert sum("Small" in text for text in first) == len(small)


async def test_what_takes_long_for_large_items_is_not_done_on_the_event_loop(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done_on: dict[str, set[int]] = {}

    def watched(name: str, work: Any) -> Any:
        def watch(*arguments: Any) -> Any:
            done_on.setdefault(name, set()).add(threading.get_ident())
            return work(*arguments)

        return watch

    for place, name in ((prepare, "words"), (prepare, "counted_passage"), (Text, "passages")):
        monkeypatch.setattr(place, name, watched(name, getattr(place, name)))
    async with running(database_url, embedding=Slow()) as retrieval:
        await retrieval.put(items.adr(id="ADR-001", decision=LONG))
        await retrieval.filled()
    assert set(done_on) == {"words", "counted_passage", "passages"}
    assert not any(threading.get_ident() in threads for threads in done_on.values())


class Failing(FakeEmbedding):
    """Fails on a passage that names what `fails_on` says; everything else goes well."""

    fails_on = "unreadable"

    async def EmbedMany(self, request_iterator: Any, context: Any) -> AsyncIterator[Any]:
        async def checked() -> AsyncIterator[Any]:
            async for request in request_iterator:
                if self.fails_on and any(self.fails_on in text for text in request.texts):
                    raise RuntimeError("broken")
                yield request

        async for answer in super().EmbedMany(checked(), context):
            yield answer


@pytest.mark.parametrize(("refuses", "parts"), [(True, 60), (False, 8)])
async def test_a_passage_that_cannot_be_embedded_keeps_no_other_of_its_item_from_a_vector(
    database_url: str, monkeypatch: pytest.MonkeyPatch, refuses: bool, parts: int
) -> None:
    monkeypatch.setattr(filler, "LOOK", 0.05)
    monkeypatch.setattr(filler, "TURN", 16)  # fewer than are refused, which are the first
    embedding, before = Failing(), metrics.PUT_OFF._value.get()
    embedding.fails_on = "" if refuses else "unreadable"
    if refuses:
        embedding.refused["unreadable"] = "cannot read that"
    async with running(database_url, embedding=embedding) as retrieval:
        bad = "".join(f"This part {number} is unreadable, as a whole and in its parts.\n\n" for number in range(parts))
        good = " ".join(map(sentence, range(400)))
        await retrieval.put(items.adr(id="ADR-001", decision=f"{bad}{good}"), items.adr(id="ADR-002", decision="Fine."))
        everything = await texts(retrieval, "ADR-001")
        unreadable = [text for text in everything if "unreadable" in text]
        assert (len(unreadable) > 16) is refuses
        assert len(everything) > len(unreadable) + 32
        async with asyncio.timeout(60):
            while metrics.PUT_OFF._value.get() == before:
                await asyncio.sleep(0.05)
        lacking = await retrieval.rows("SELECT text FROM chunks WHERE embedding IS NULL ORDER BY ordinal")
        assert [row["text"] for row in lacking] == unreadable
        assert (await retrieval.status()).unembedded_chunks == len(unreadable)
        assert (await retrieval.search(sentence(399), mode=pb.SEARCH_MODE_SEMANTIC))[0] == "ADR-001"
        assert retrieval.knowledge.aside == {}
        embedding.fails_on = ""
        embedding.refused.clear()
        await retrieval.rows("UPDATE documents SET fill_after = now() WHERE fill_after > now() RETURNING item_id")
        await retrieval.filled()


async def test_what_the_embedding_service_fails_on_is_put_off_counted_and_tried_again(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "UNEMBEDDED_EVERY", 0.05)
    monkeypatch.setattr(filler, "LOOK", 0.05)
    embedding, before = Failing(), metrics.PUT_OFF._value.get()
    async with running(database_url, embedding=embedding) as retrieval:
        others = [items.adr(id=f"ADR-{number:03d}", decision=f"Fine number{number}.") for number in range(2, 12)]
        await retrieval.put(items.adr(id="ADR-001", decision="This is unreadable."), *others)
        async with asyncio.timeout(30):
            while metrics.PUT_OFF._value.get() == before or metrics.UNEMBEDDED._value.get() != 1:
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)
        assert metrics.PUT_OFF._value.get() == before + 1  # it is left alone for a while
        assert await retrieval.search("number7", mode=pb.SEARCH_MODE_SEMANTIC) == ["ADR-007"]
        embedding.fails_on = ""
        await retrieval.rows("UPDATE documents SET fill_after = now() WHERE fill_after > now() RETURNING item_id")
        await retrieval.filled()
        async with asyncio.timeout(10):
            while metrics.UNEMBEDDED._value.get():
                await asyncio.sleep(0.05)


async def test_what_the_database_does_not_answer_to_keeps_no_other_item_from_its_vectors(database_url: str) -> None:
    before = metrics.PUT_OFF._value.get()
    async with running(database_url) as retrieval:
        retrieval.embedding.failure = Unavailable("away")
        others = [items.adr(id=f"ADR-{number:03d}", decision=f"Fine number{number}.") for number in range(2, 12)]
        await retrieval.put(items.adr(id="ADR-001", title="Spoilt"), *others)
        await spoil(retrieval, "Spoilt", "57014", "NEW.model_id <> OLD.model_id")
        retrieval.embedding.failure = None
        async with asyncio.timeout(30):
            while (await retrieval.status()).unembedded_chunks > 1 or metrics.PUT_OFF._value.get() == before:
                await asyncio.sleep(0.05)
        assert metrics.PUT_OFF._value.get() == before + 1


async def test_an_index_that_is_rebuilt_tries_what_was_put_off(database_url: str) -> None:
    embedding, before = Failing(), metrics.PUT_OFF._value.get()
    async with running(database_url, embedding=embedding) as retrieval:
        await retrieval.put(items.adr(id="ADR-001", decision="This is unreadable."))
        async with asyncio.timeout(30):
            while metrics.PUT_OFF._value.get() == before:
                await asyncio.sleep(0.05)
        embedding.fails_on = ""
        await retrieval.ask("RebuildIndex", pb.RebuildIndexRequest())
        await retrieval.filled()


async def test_an_embedding_service_that_fails_on_everything_puts_nothing_off(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filler, "RETRY", 0.01)
    embedding, before = Failing(), metrics.PUT_OFF._value.get()
    embedding.fails_on = " "
    async with running(database_url, embedding=embedding) as retrieval:
        await retrieval.put(items.adr(id="ADR-001", decision="One."), items.adr(id="ADR-002", decision="Two."))
        await asyncio.sleep(0.5)
        assert metrics.PUT_OFF._value.get() == before
        embedding.fails_on = ""
        await retrieval.filled()


async def test_an_embedding_service_that_is_away_is_nobodys_fault(retrieval: Retrieval) -> None:
    retrieval.embedding.failure = Unavailable("away")
    await retrieval.put(items.adr(id="ADR-001", decision="Found by words."))
    assert retrieval.knowledge.aside == {}
    assert await retrieval.search("words") == ["ADR-001"]


def some_item(random_: random.Random, item_id: str) -> types_pb2.Item:
    words = [f"word{random_.randrange(40)}" for _ in range(random_.randrange(1, 60))]
    return items.adr(
        id=item_id, title=" ".join(words[:3]), decision=" ".join(words), tags=random_.sample(["a", "b", "c"], 2)
    )


async def recount(retrieval: Retrieval) -> tuple[Any, Any]:
    terms = await retrieval.rows(
        "SELECT namespace, lexeme, count(*) AS documents FROM documents,"
        " unnest(tsvector_to_array(lexemes)) AS lexeme GROUP BY 1, 2 ORDER BY 1, 2"
    )
    stats = await retrieval.rows(
        "SELECT d.namespace, count(*) FILTER (WHERE NOT deleted) AS documents, sum(length)::bigint AS total_length,"
        " (SELECT count(*) FROM chunks c WHERE c.namespace = d.namespace) AS chunks"
        " FROM documents d GROUP BY 1 ORDER BY 1"
    )
    return terms, stats


async def test_the_statistics_equal_a_recount_after_anything(retrieval: Retrieval) -> None:
    random_ = random.Random(7)
    for _ in range(6):
        for _ in range(25):
            namespace, item_id = random_.choice(["web", "billing"]), f"ADR-{random_.randrange(20):03d}"
            if random_.random() < 0.3:
                retrieval.knowledge.delete(item_id, namespace)
            else:
                retrieval.knowledge.put(some_item(random_, item_id), namespace)
        await retrieval.settled()
        kept = (
            await retrieval.rows("SELECT namespace, lexeme, documents FROM terms ORDER BY 1, 2"),
            await retrieval.rows("SELECT namespace, documents, total_length, chunks FROM namespace_stats ORDER BY 1"),
        )
        terms, stats = await recount(retrieval)
        assert kept[0] == terms
        assert kept[1] == stats


async def test_many_writers_of_the_same_items_neither_deadlock_nor_miscount(
    retrieval: Retrieval, database_url: str
) -> None:
    def entry(number: int, change: int) -> Entry:
        # Words that many writers bring and take away at once: few have each, and a third of the changes are deletions.
        words = Words("", "", f"word{number} change{change % 7} other{change % 5}", "", 3)
        document = Document(Key("web", f"ADR-{number:03d}"), change, deleted=change % 3 == 0, type="adr", in_force=True)
        return Entry(document, words, b"", ())

    async with postgres.open_pool(database_url, SESSION, name="test", size=12, configure=configure) as pool:
        index, random_ = Index(pool), random.Random(3)
        batches = [
            [entry(number, random_.randrange(1, 100)) for number in random_.sample(range(30), 12)] for _ in range(40)
        ]
        turns = asyncio.Semaphore(12)

        async def write(batch: list[Entry]) -> None:
            async with turns:
                await index.apply(batch)

        await asyncio.gather(*map(write, batches))
    newest: dict[str, int] = {}
    for document in (entry.document for batch in batches for entry in batch):
        newest[document.key.item_id] = max(document.change_id, newest.get(document.key.item_id, 0))
    rows = await retrieval.rows("SELECT item_id, change_id FROM documents")
    assert {row["item_id"]: row["change_id"] for row in rows} == newest
    terms, stats = await recount(retrieval)
    assert await retrieval.rows("SELECT * FROM terms ORDER BY 1, 2") == terms
    assert stats[0]["documents"] == sum(change % 3 > 0 for change in newest.values())


async def test_words_that_no_document_has_any_more_are_forgotten(retrieval: Retrieval) -> None:
    lexemes = "SELECT lexeme FROM terms ORDER BY 1"
    await retrieval.put(items.adr(id="ADR-001", title="Kept", decision="both", tags=[]))
    before = await retrieval.rows(lexemes)
    await retrieval.put(items.adr(id="ADR-002", title="Whisper", decision="both", tags=[]))
    assert {"lexeme": "whisper"} in await retrieval.rows(lexemes)
    retrieval.knowledge.delete("ADR-002")
    await retrieval.settled()
    assert await retrieval.rows(lexemes) == before
    await retrieval.put(items.adr(id="ADR-003", title="Whisper", tags=[]))
    assert await retrieval.search("whisper", mode=pb.SEARCH_MODE_KEYWORD) == ["ADR-003"]


async def test_words_that_the_release_before_left_are_forgotten_by_an_owner_whom_the_policies_hold(
    make_database: Callable[[], str], tmp_path: Path
) -> None:
    url, owner = make_database(), f"owner_{secrets.token_hex(4)}"
    for file in MIGRATIONS.glob("*.sql"):
        if file.name < FORGOTTEN:
            shutil.copy(file, tmp_path)
    with psycopg.connect(url, autocommit=True) as superuser:
        superuser.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEROLE").format(sql.Identifier(owner)))
        try:
            for role in ("context_retrieval", "context_indexer", "context_views"):
                grant = sql.SQL("GRANT {} TO {} WITH ADMIN TRUE, INHERIT FALSE, SET TRUE")
                superuser.execute(grant.format(sql.Identifier(role), sql.Identifier(owner)))
            name = sql.Identifier(urlsplit(url).path.lstrip("/"))
            superuser.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(name, sql.Identifier(owner)))
            superuser.execute("CREATE EXTENSION vector")
            theirs = url.replace("//postgres@", f"//{owner}@")
            await postgres.migrate(theirs, schema="retrieval", directory=tmp_path)
            superuser.execute(
                "INSERT INTO retrieval.documents (namespace, item_id, change_id) VALUES ('web', 'ADR-1', 1)"
            )
            superuser.execute("INSERT INTO retrieval.terms VALUES ('web', 'gone', 0), ('web', 'there', 1)")
            assert FORGOTTEN in await postgres.migrate(theirs, schema="retrieval", directory=MIGRATIONS)
            assert superuser.execute("SELECT lexeme FROM retrieval.terms").fetchall() == [("there",)]
        finally:
            superuser.execute(sql.SQL("REASSIGN OWNED BY {} TO CURRENT_USER").format(sql.Identifier(owner)))
            superuser.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(owner)))
            superuser.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(owner)))


async def test_two_replicas_share_the_feed_and_wake_each_others_callers(database_url: str) -> None:
    knowledge = FakeKnowledge()
    async with (
        running(database_url, knowledge=knowledge) as one,
        running(database_url, knowledge=knowledge, indexers=0) as other,
    ):
        change = knowledge.put(items.adr(id="ADR-001", decision="Shared."))
        request = pb.WaitIndexedRequest(points=[pb.IndexPoint(item_id="ADR-001", change_id=change)])
        request.wait.FromSeconds(10)
        assert list((await other.ask("WaitIndexed", request)).indexed) == [True]
        for number in range(2, 60):
            knowledge.put(items.adr(id=f"ADR-{number:03d}", decision=f"Number {number}."))
        await one.settled()
        assert (await other.status()).items == 59


async def test_waiting_for_what_can_be_no_item_is_refused(retrieval: Retrieval) -> None:
    points = [pb.IndexPoint(item_id="ADR-001", change_id=1), pb.IndexPoint(item_id="ADR-\0", change_id=1)]
    with pytest.raises(Invalid) as caught:
        await retrieval.ask("WaitIndexed", pb.WaitIndexedRequest(points=points))
    assert set(caught.value.fields) == {"points"}


async def test_waiting_ends_when_the_time_is_over(retrieval: Retrieval) -> None:
    await retrieval.put(items.adr(id="ADR-001"))
    points = [pb.IndexPoint(item_id="ADR-001", change_id=1), pb.IndexPoint(item_id="ADR-999", change_id=1)]
    request = pb.WaitIndexedRequest(points=points)
    request.wait.FromMilliseconds(50)
    assert list((await retrieval.ask("WaitIndexed", request)).indexed) == [True, False]
    assert list((await retrieval.as_("other").ask("WaitIndexed", request)).indexed) == [False, False]


async def test_a_long_wait_ends_with_the_last_of_many_and_says_which_is_missing(retrieval: Retrieval) -> None:
    """More than are looked for at once, in another order than they are indexed in."""
    made = [(f"ADR-{number:03d}", retrieval.knowledge.put(items.adr(id=f"ADR-{number:03d}"))) for number in range(130)]
    request = pb.WaitIndexedRequest(points=[pb.IndexPoint(item_id=name, change_id=at) for name, at in reversed(made)])
    request.wait.FromSeconds(30)
    assert list((await retrieval.ask("WaitIndexed", request)).indexed) == [True] * len(made)
    request.points[60].change_id += 10_000  # of which nobody knows
    request.points.insert(0, pb.IndexPoint(item_id="ADR-999", change_id=1))
    request.wait.FromMilliseconds(300)
    missing = {0, 61}
    assert list((await retrieval.ask("WaitIndexed", request)).indexed) == [
        place not in missing for place in range(len(request.points))
    ]


async def test_a_rebuilt_index_answers_the_same(retrieval: Retrieval) -> None:
    random_ = random.Random(11)
    for number in range(40):
        edges = [("references", f"ADR-{random_.randrange(40):03d}")]
        retrieval.knowledge.put(some_item(random_, f"ADR-{number:03d}"), edges=edges)
    retrieval.knowledge.delete("ADR-013")
    await retrieval.settled()
    questions = [f"word{number} word{number + 3}" for number in range(0, 40, 5)]

    async def answers() -> list[Any]:
        hits = [hit for question in questions for hit in (await retrieval.hits(question)).results]
        bundles = [(await retrieval.query(question))[0] for question in questions]
        found = [(hit.id, round(hit.score, 9), hit.snippet) for hit in hits]
        return [found, [{**bundle, "query_id": "", "tokens_used": 0} for bundle in bundles]]

    before, embedded = await answers(), len(retrieval.embedding.embedded)
    assert (await retrieval.ask("RebuildIndex", pb.RebuildIndexRequest())).replayed == 40
    await retrieval.settled()
    assert await answers() == before
    assert len(retrieval.embedding.embedded) == embedded
    # And from nothing at all.
    await truncate(retrieval)
    assert await retrieval.search("word1") == []
    await retrieval.ask("RebuildIndex", pb.RebuildIndexRequest())
    await retrieval.settled()
    assert await answers() == before


async def truncate(retrieval: Retrieval) -> None:
    async with await psycopg.AsyncConnection.connect(retrieval.url, autocommit=True) as connection:
        await connection.execute(
            "TRUNCATE retrieval.documents, retrieval.chunks, retrieval.edges, retrieval.terms,"
            " retrieval.namespace_stats"
        )


async def test_accesses_are_told_to_knowledge(database_url: str) -> None:
    knowledge = FakeKnowledge()
    async with running(database_url, knowledge=knowledge) as retrieval:
        await retrieval.put(items.adr(id="ADR-001", decision="Keep invoices."))
        await retrieval.query("invoices")
        await retrieval.query("invoices")
        assert Counter(knowledge.accesses) == Counter()
        await retrieval.as_("other").query("invoices")
        # Leaving reports what is left.
        await asyncio.sleep(0)
    assert knowledge.accesses == {("web", "ADR-001"): 2}


USE_OF_FIRST = "SELECT xmin::text, access_count FROM documents WHERE item_id = 'ADR-001'"


async def used(retrieval: Retrieval, count: int, *, changed: bool) -> None:
    """Have knowledge say what ADR-001 comes to, and wait until the index has that, or had time to."""
    before = await retrieval.rows(USE_OF_FIRST)
    retrieval.knowledge.used["web", "ADR-001"] = count
    if not changed:
        await asyncio.sleep(0.5)
        assert await retrieval.rows(USE_OF_FIRST) == before
        return
    async with asyncio.timeout(20):
        while (await retrieval.rows(USE_OF_FIRST))[0]["access_count"] != count:
            await asyncio.sleep(0.05)


async def test_use_reaches_the_rank_of_an_item_that_does_not_change(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "EVERY", 0.05)
    monkeypatch.setattr(access, "LOOK", 0.05)
    monkeypatch.setattr(access, "BATCH", 1)
    async with running(database_url) as retrieval:
        one, other = (items.adr(id=f"ADR-00{n}", decision="Keep invoices.") for n in (1, 2))
        await retrieval.put(one, other)
        changes = "SELECT change_id, version, lexemes::text, payload FROM documents ORDER BY item_id"
        before = await retrieval.rows(changes)
        (first, second) = (await retrieval.hits("invoices", explain=True)).results
        assert first.why.importance == second.why.importance
        retrieval.knowledge.used["web", "ADR-001"] = 8  # before the one report of it that there will be
        await retrieval.query("invoices")
        await used(retrieval, 8, changed=True)
        hits = {hit.id: hit for hit in (await retrieval.hits("invoices", explain=True)).results}
        assert hits["ADR-001"].why.importance > hits["ADR-002"].why.importance
        await used(retrieval, 9, changed=False)  # it says too little
        await used(retrieval, 10**9, changed=True)
        await used(retrieval, 2 * 10**9, changed=False)
        await used(retrieval, 0, changed=True)  # though nobody asks for it any more
        assert await retrieval.rows(changes) == before
        assert retrieval.knowledge.feed == {}


async def test_what_is_said_of_an_item_moves_it_without_a_new_vector(retrieval: Retrieval) -> None:
    said = [items.adr(id=f"ADR-00{n}", decision="Keep invoices.") for n in (1, 2, 3)]
    await retrieval.put(*said)
    retrieval.embedding.embedded.clear()

    async def shown() -> list[tuple[str, float]]:
        hits = (await retrieval.hits("invoices", explain=True)).results
        (bundle, _) = await retrieval.query("invoices", explain=True)
        (best,) = bundle["key_decisions"]  # of three that say the same
        assert (best["id"], best["why"]["feedback"]) == (hits[0].id, round(hits[0].why.feedback, 2))
        return [(hit.id, round(hit.why.feedback, 2)) for hit in hits]

    assert [feedback for _, feedback in await shown()] == [0, 0, 0]
    said[0].feedback, said[2].feedback = -0.4, 0.25
    await retrieval.put(said[0], said[2])
    assert await shown() == [("ADR-003", 0.25), ("ADR-002", 0.0), ("ADR-001", -0.4)]
    semantic = (await retrieval.hits("invoices", mode=pb.SEARCH_MODE_SEMANTIC)).results
    assert len({round(hit.score, 6) for hit in semantic}) == 1
    # Neither the worst makes an answer go, nor the best one of what has nothing to do with the question.
    said[0].feedback = said[1].feedback = said[2].feedback = -0.99
    await retrieval.put(*said)
    assert len(await shown()) == 3
    said[0].feedback = said[1].feedback = said[2].feedback = 0.99
    await retrieval.put(*said)
    assert await retrieval.search("volcano eruption") == []
    assert retrieval.embedding.embedded == []


def test_counts_of_accesses_do_not_grow_without_end() -> None:
    counter = access.AccessCounter(None, None)  # type: ignore[arg-type]
    counter.add([Key("web", f"ADR-{number}") for number in range(access.MOST + 500)])
    assert len(counter._counts) == access.MOST


async def test_documents_of_the_release_before_are_weighed_at_the_start(database_url: str) -> None:
    async with running(database_url) as before:
        await before.put(*(items.adr(id=f"ADR-{n:03d}", title="T", decision=f"About thing{n}.") for n in range(1, 6)))
        await before.rows("UPDATE retrieval.documents SET impacts = NULL RETURNING item_id")
    async with running(database_url, knowledge=before.knowledge) as retrieval:
        async with asyncio.timeout(30):
            while await retrieval.rows("SELECT item_id FROM documents WHERE impacts IS NULL"):
                await asyncio.sleep(0.05)
        assert await retrieval.search("thing3", mode=pb.SEARCH_MODE_KEYWORD) == ["ADR-003"]


@pytest.mark.parametrize("kind", EVERY_FIELD)
async def test_what_an_item_takes_in_a_bundle_is_counted_when_it_is_stored(
    retrieval: Retrieval, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[tuple[str, int | None]] = []

    def known(tally: Tally, text: str) -> int | None:
        counted.append((text, _known(tally, text)))
        return counted[-1][1]

    _known = bundle.known
    monkeypatch.setattr(bundle, "known", known)
    await retrieval.put(EVERY_FIELD[kind])
    (row,) = await retrieval.rows("SELECT title, payload FROM documents")
    for budget in (4000, 300):
        await retrieval.query(row["title"] or row["payload"]["commit_message"], max_tokens=budget)
    # As it comes back: the database keeps the keys of objects in an order of its own.
    assert {text.split('"')[0] for text, _ in counted} >= {"id", next(iter(bundle.own_fields(kind, row["payload"])))}
    assert all(held == tokens.Part.of(text).tokens for text, held in counted)


async def test_a_model_that_changes_while_vectors_are_filled_in_is_the_one_they_become(database_url: str) -> None:
    class Rolling(FakeEmbedding):
        rolling = False

        async def EmbedMany(self, request_iterator: Any, context: Any) -> AsyncIterator[Any]:
            if self.rolling and not self.failure:
                self.model.id = "words-2"  # another replica answers from here on
            async for answer in super().EmbedMany(request_iterator, context):
                yield answer

    embedding = Rolling()
    async with running(database_url, embedding=embedding) as retrieval:
        await retrieval.put(*(items.adr(id=f"ADR-{number:03d}", decision=f"Invoices {number}.") for number in range(5)))
        embedding.failure = Unavailable("a moment")
        await retrieval.put(items.adr(id="ADR-009", decision="Wakes the filler."))
        embedding.rolling, embedding.failure = True, None
        async with asyncio.timeout(20):
            while await retrieval.rows("SELECT 1 FROM chunks WHERE model_id <> 'words-2'"):
                await asyncio.sleep(0.1)
        assert len(await retrieval.search("invoices", mode=pb.SEARCH_MODE_SEMANTIC)) == 5


async def test_accesses_go_on_being_counted_after_an_answer_that_was_wrong(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "EVERY", 0.05)
    record, wrong = FakeKnowledge.RecordAccess, [True]

    async def fail_once(self: FakeKnowledge, request: Any, context: Any) -> Any:
        if wrong and request.accesses:
            wrong.pop()
            raise ValueError("not what it should be")
        return await record(self, request, context)

    monkeypatch.setattr(FakeKnowledge, "RecordAccess", fail_once)
    async with running(database_url) as retrieval:
        await retrieval.put(items.adr(id="ADR-001", decision="Invoices."))
        async with asyncio.timeout(10):
            while not retrieval.knowledge.accesses:
                await retrieval.query("invoices")
                await asyncio.sleep(0.05)
