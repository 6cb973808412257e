"""What the database's owner erases is in no version and no kept answer, and nobody else can do it."""

import asyncio
import hashlib
import json
import secrets
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from context.v1 import knowledge_pb2 as pb
from context.v1 import retrieval_pb2
from context.v1 import types_pb2 as types
from context_client.errors import CommandFailed
from context_common import postgres
from context_common.errors import Conflict, NotFound
from context_knowledge.__main__ import itself
from context_knowledge.chains import Chains
from context_knowledge.store.items import FIND_DELETED
from context_ops.store import Connection, connect
from context_ops.store.erasure import Erased, Erasure
from tests.support.backups import contextctl
from tests.support.items import adr, failure
from tests.support.knowledge import Knowledge

SECRET = "the-name-of-somebody"
BLANK = "UPDATE item_versions SET content = '{}'"
ERASING = "SELECT set_config('context.erasing', 'on', true), set_config('context.namespaces', '{web}', true)"
MIGRATIONS = Path(__file__).parents[3] / "services/knowledge/context_knowledge/migrations"
RETRIEVAL = Path(__file__).parents[3] / "services/retrieval/context_retrieval/migrations"
ROLES = ("context_knowledge", "context_feed", "context_views", "context_backup", "context_retrieval", "context_indexer")


def erase(
    connection: Connection, item_id: str, namespace: str = "web", quoting: Sequence[str] = (), *, dry_run: bool = False
) -> Erased:
    erasure = Erasure(connection, namespace, item_id, dry_run=dry_run)
    done = erasure.text(quoting)
    return replace(done, questions=erasure.questions(quoting), feedback=len(erasure.feedback))


async def erased(knowledge: Knowledge, item_id: str, namespace: str = "web", **how: Any) -> Erased:
    def work() -> Erased:
        with connect(knowledge.url) as connection:
            return erase(connection, item_id, namespace, **how)

    return await asyncio.to_thread(work)


async def everything(knowledge: Knowledge) -> str:
    """All that the tables say, in bytes as well."""
    tables = await knowledge.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'knowledge'")
    said = []
    for row in tables:
        table = sql.Identifier(row["tablename"])
        said += await knowledge.rows(sql.SQL("SELECT {}::text AS said FROM {}").format(table, table))
    answers = await knowledge.rows("SELECT encode(answer, 'escape') AS said FROM idempotency")
    return "\n".join(row["said"] for row in (*said, *answers))


async def create(knowledge: Knowledge, item: types.Item, key: str) -> pb.Recorded:
    request = pb.CreateItemRequest(item=item, idempotency_key=key)
    response: pb.CreateItemResponse = await knowledge.ask("CreateItem", request)
    return response.recorded


async def test_what_stands_is_deleted_and_says_nothing_in_any_version(knowledge: Knowledge) -> None:
    await create(knowledge, failure(SECRET, source_uri=f"docs/{SECRET}.md", tags=[SECRET]), "k-1")
    await create(knowledge, failure("Another, like FAIL-001"), "k-2")
    await knowledge.update(
        types.Item(id="FAIL-001", failure=types.Failure(resolution=f"Told {SECRET}.")), ["failure.resolution"]
    )
    await knowledge.drain()
    assert SECRET in await everything(knowledge)
    assert await erased(knowledge, "FAIL-001") == Erased(deleted=True, versions=3, answers=1)
    assert SECRET not in await everything(knowledge)
    with pytest.raises(NotFound):
        await knowledge.get("FAIL-001")
    changes = {change.item_id: change.HasField("item") for change in await knowledge.lease()}
    assert changes == {"FAIL-001": False, "FAIL-002": True}, "the index is told of the item, and of who named it"
    assert (await knowledge.get("FAIL-002")).reference_count == 0
    lines = await knowledge.rows(
        "SELECT action, principal, detail FROM audit WHERE item_id = 'FAIL-001' ORDER BY entry"
    )
    assert [line["action"] for line in lines] == ["create", "update", "delete", "erase"]
    assert lines[-1] == {
        "action": "erase",
        "principal": "owner:postgres",
        "detail": "3 versions, 1 answers, 0 feedback",
    }


async def test_what_was_deleted_before_says_nothing_either_and_its_id_stays_used(knowledge: Knowledge) -> None:
    await knowledge.create(adr(SECRET))
    await knowledge.delete("ADR-001")
    await knowledge.create(adr("Kept"))
    await knowledge.as_("billing").create(adr("Kept there"))
    kept = await knowledge.rows("SELECT * FROM item_versions WHERE id = 'ADR-002' OR namespace = 'billing' ORDER BY 1")
    assert await erased(knowledge, "ADR-001") == Erased(deleted=False, versions=2, answers=0)
    assert SECRET not in await everything(knowledge)
    now = await knowledge.rows("SELECT * FROM item_versions WHERE id = 'ADR-002' OR namespace = 'billing' ORDER BY 1")
    assert now == kept
    with pytest.raises(Conflict, match="was deleted"):
        await knowledge.create(adr(id="ADR-001"))


async def test_a_request_that_comes_again_gets_neither_the_text_nor_a_second_item(knowledge: Knowledge) -> None:
    item, other = adr(SECRET), adr("Like ADR-001", id="ADR-0011")
    await create(knowledge, item, "k-1")
    answer = await create(knowledge, other, "k-2")
    await erased(knowledge, "ADR-001")
    with pytest.raises(Conflict, match="erased"):
        await create(knowledge, item, "k-1")
    assert await create(knowledge, other, "k-2") == answer
    assert await knowledge.count("items") == 1


async def test_an_answer_stays_the_first_after_a_deletion_that_is_no_erasure(knowledge: Knowledge) -> None:
    first = await create(knowledge, adr("One"), "k-1")
    await knowledge.delete("ADR-001")
    assert await create(knowledge, adr("One"), "k-1") == first
    assert await knowledge.count("items") == 0


async def test_where_deleted_items_came_from_is_looked_up_in_the_index_made_for_it(knowledge: Knowledge) -> None:
    values = {"namespace": "web", "origin": "a.md", "type": "adr"}
    async with await psycopg.AsyncConnection.connect(
        knowledge.url, options="-c search_path=knowledge,public -c role=context_knowledge -c enable_seqscan=off"
    ) as service:
        await service.execute("SELECT set_config('context.namespaces', '{web}', true)")
        plan = await (await service.execute(f"EXPLAIN {FIND_DELETED}".encode(), values)).fetchall()
    assert any("item_versions_deleted" in line for (line,) in plan)
    assert any("Index Cond" in line and "md5" in line for (line,) in plan), plan


async def test_what_was_never_there_is_refused_and_nothing_happens(knowledge: Knowledge) -> None:
    await knowledge.create(adr("New", supersedes=["ADR-009"]))
    before = await everything(knowledge)
    for item_id, namespace in (("ADR-009", "web"), ("ADR-001", "billing")):
        with pytest.raises(CommandFailed) as refused:
            await erased(knowledge, item_id, namespace)
        assert refused.value.code == 3
    assert await everything(knowledge) == before


async def chain(knowledge: Knowledge) -> None:
    """ADR-003 supersedes 1 and 2, is superseded by 4 and 5, of which 5 supersedes 1 as well; 6 is none of them."""
    for _ in range(2):
        await knowledge.create(adr("Old"))
    await knowledge.create(adr(SECRET, supersedes=["ADR-001", "ADR-002", "ADR-099"]))
    await knowledge.create(adr("New", supersedes=["ADR-003"]))
    await knowledge.create(adr("Newer", supersedes=["ADR-001", "ADR-003"]))
    await knowledge.create(adr("Names ADR-003"))
    await knowledge.drain()


async def standing(knowledge: Knowledge) -> list[tuple[Any, ...]]:
    found = (await knowledge.page(type=types.ITEM_TYPE_ADR)).items
    return [(i.id, i.status, i.version, list(i.adr.supersedes), i.adr.superseded_by) for i in found]


async def versions(knowledge: Knowledge) -> list[dict[str, Any]]:
    return await knowledge.rows(
        "SELECT id, version, change, changed_fields, content - 'erased' AS content FROM item_versions"
        " WHERE namespace = %s AND id <> 'ADR-003' ORDER BY id, version",
        knowledge.namespace,
    )


@pytest.mark.parametrize("erased_id", ["ADR-003", "ADR-005", "ADR-001"])
async def test_what_a_chain_comes_to_is_the_same_as_after_a_deletion(knowledge: Knowledge, erased_id: str) -> None:
    other = knowledge.as_("billing")
    await chain(knowledge)
    await chain(other)
    await other.delete(erased_id)
    chained = {"ADR-003": 4, "ADR-005": 2, "ADR-001": 2}[erased_id]
    done = await erased(knowledge, erased_id)
    assert (done.deleted, done.chained) == (True, chained)
    store = knowledge.feed._store
    assert len(await knowledge.rows("SELECT 1 FROM cut_chains")) == chained
    for _ in range(2):  # as several replicas do
        await Chains(store).mend(itself())
    assert await knowledge.count("cut_chains") == 0
    assert await standing(knowledge) == await standing(other)
    if erased_id == "ADR-003":
        assert await versions(knowledge) == await versions(other)
    changes = {(change.namespace, change.item_id): change.HasField("item") for change in await knowledge.lease()}
    ids = {item_id for namespace, item_id in changes if namespace == "web"}
    assert ids == {item_id for namespace, item_id in changes if namespace == "billing"}
    said = await knowledge.rows(
        "SELECT DISTINCT principal FROM audit WHERE namespace = 'web' AND action IN ('update', 'restore')"
    )
    assert {"principal": "owner:postgres"} in said


async def test_a_dry_run_says_what_would_be_gone_and_changes_nothing(knowledge: Knowledge) -> None:
    await chain(knowledge)
    before = await everything(knowledge)
    would = await erased(knowledge, "ADR-003", dry_run=True)
    assert await everything(knowledge) == before
    assert await erased(knowledge, "ADR-003") == would
    assert SECRET not in await everything(knowledge)


async def test_versions_only_grow_for_a_service_whatever_it_sets_or_is_granted(knowledge: Knowledge) -> None:
    await knowledge.create(adr())
    async with await psycopg.AsyncConnection.connect(
        knowledge.url, options="-c search_path=knowledge,public -c role=context_knowledge"
    ) as service:
        for granted in (False, True):
            if granted:
                await knowledge.execute("GRANT UPDATE, DELETE ON item_versions, audit TO context_knowledge")
            for statement in (BLANK, "DELETE FROM item_versions", "UPDATE audit SET detail = ''"):
                await service.execute(ERASING)
                with pytest.raises(psycopg.Error, match="only grows" if granted else "permission denied"):
                    await service.execute(statement.encode())
                await service.rollback()


async def test_an_owner_has_to_say_that_it_erases_and_the_trail_is_not_for_it_either(knowledge: Knowledge) -> None:
    await knowledge.create(adr())
    async with await psycopg.AsyncConnection.connect(knowledge.url, options="-c search_path=knowledge,public") as owner:
        for said, statement in (("", BLANK), (ERASING, "DELETE FROM item_versions"), (ERASING, "DELETE FROM audit")):
            if said:
                await owner.execute(said.encode())
            with pytest.raises(psycopg.errors.RaiseException, match="only grows"):
                await owner.execute(statement.encode())
            await owner.rollback()


async def test_the_command_asks_first_and_is_not_for_a_services_login(knowledge: Knowledge) -> None:
    await knowledge.create(adr(SECRET))
    with connect(knowledge.url) as connection:
        give(connection, feedback(helpful=["ADR-001"]), feedback(metadata={"said": f"{SECRET}!"}))
    login = f"login_{secrets.token_hex(4)}"
    theirs = knowledge.url.replace("//postgres@", f"//{login}@")
    await postgres.make_login(knowledge.url, theirs, "context_knowledge")
    words = ("db", "erase", "ADR-001", "--namespace", "web", "--quoting", f"{SECRET}!", "--json")

    def run(url: str, *more: str) -> tuple[int, str]:
        ran = contextctl({"MIGRATION_DATABASE_URL": url}, *words, *more)
        return ran.returncode, ran.stdout

    try:
        assert (await asyncio.to_thread(run, theirs, "--yes"))[0] == 4
        assert (await asyncio.to_thread(run, knowledge.url))[0] == 1, "nobody answered"
        code, said = await asyncio.to_thread(run, knowledge.url, "--dry-run")
        would = json.loads(said)
        assert (code, would["dry_run"], would["versions"], would["feedback"]) == (0, True, 2, 2)
        assert SECRET in await everything(knowledge)
        code, said = await asyncio.to_thread(run, knowledge.url, "--yes")
    finally:
        await knowledge.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(login)))
    assert (code, json.loads(said)) == (0, {**would, "dry_run": False})
    assert SECRET not in await everything(knowledge)


@pytest.fixture
def owned(make_database: Callable[[], str], postgres_template: str) -> Iterator[str]:
    """A database whose owner is no superuser, so that the policies hold it too."""
    url, owner = make_database(), sql.Identifier(f"owner_{secrets.token_hex(4)}")
    with psycopg.connect(url, autocommit=True) as superuser:
        superuser.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEROLE").format(owner))
        for role in ROLES:
            grant = sql.SQL("GRANT {} TO {} WITH ADMIN TRUE, INHERIT FALSE, SET TRUE")
            superuser.execute(grant.format(sql.Identifier(role), owner))
        name = sql.Identifier(urlsplit(url).path.lstrip("/"))
        superuser.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(name, owner))
        superuser.execute("CREATE EXTENSION vector")
        yield url.replace("//postgres@", f"//{owner.as_string().strip(chr(34))}@")
        superuser.execute(sql.SQL("REASSIGN OWNED BY {} TO CURRENT_USER").format(owner))
        superuser.execute(sql.SQL("DROP OWNED BY {}").format(owner))
        superuser.execute(sql.SQL("DROP ROLE {}").format(owner))


async def test_an_owner_whom_the_policies_hold_erases_as_well(owned: str) -> None:
    await postgres.migrate(owned, schema="knowledge", directory=MIGRATIONS)
    write = """
        INSERT INTO knowledge.item_versions (namespace, id, version, changed_at, changed_by, change, changed_fields,
            content, valid_from)
        VALUES ('web', 'ADR-001', 1, now(), 'key:1', 'deleted', '{}', '{"title": "T", "source_uri": "a.md"}', now())"""
    with connect(owned) as connection:
        with connection.transaction():
            connection.execute("SET LOCAL row_security = on")
            connection.execute(ERASING)
            connection.execute(write)
        assert erase(connection, "ADR-001") == Erased(deleted=False, versions=1, answers=0)
        with connection.transaction():
            connection.execute("SET LOCAL row_security = on")
            connection.execute(ERASING)
            (row,) = connection.execute("SELECT content FROM knowledge.item_versions").fetchall()
    assert row["content"] == {"erased": True, "origin_digest": hashlib.md5(b"a.md", usedforsecurity=False).hexdigest()}


def receipt(query: str, *, answered: str = "", omitted: str = "", namespace: str = "web") -> bytes:
    kept = retrieval_pb2.GetReceiptResponse(tokens_used=7)
    kept.asked.query = query
    kept.asked.filter.tags[:] = ["tag"]
    if answered:
        kept.entries.add(id=answered, namespace=namespace)
    if omitted:
        kept.omitted.add(id=omitted, reason="budget")
    return kept.SerializeToString()


async def test_the_questions_that_may_quote_it_are_blank_in_their_receipts_and_no_others(owned: str) -> None:
    await postgres.migrate(owned, schema="knowledge", directory=MIGRATIONS)
    await postgres.migrate(owned, schema="retrieval", directory=RETRIEVAL)
    about = {
        ("web", receipt("answered by it", answered="ADR-001")): True,
        ("web", receipt("left out", omitted="ADR-001")): True,
        ("billing", receipt("asked beside", answered="ADR-001")): True,
        ("billing", receipt("theirs", answered="ADR-001", namespace="billing")): False,
        ("billing", receipt("theirs left out", omitted="ADR-001")): False,
        ("web", receipt("of ADR-001 by name, another", answered="ADR-0011")): False,
        ("web", receipt(f"who is {SECRET}", answered="ADR-002")): True,
        ("web", receipt("something else", answered="ADR-002")): False,
    }
    insert = """
        INSERT INTO retrieval.receipts (query_id, namespace, namespaces, asked_at, principal, request_id, receipt)
        VALUES (gen_random_uuid(), %s, ARRAY[%s], now(), 'ada', '', %s)"""
    with connect(owned) as connection:
        with connection.transaction():
            connection.execute("SET LOCAL row_security = on")
            connection.execute("SELECT set_config('context.namespaces', '{web,billing}', true)")
            for namespace, body in about:
                connection.execute(insert, (namespace, namespace, body))
            connection.execute(
                "INSERT INTO knowledge.item_versions (namespace, id, version, changed_at, changed_by, change,"
                " changed_fields, content, valid_from)"
                " VALUES ('web', 'ADR-001', 1, now(), 'a', 'deleted', '{}', '{}', now())"
            )
        for dry_run, blank in ((True, 4), (False, 4), (False, 0)):
            assert erase(connection, "ADR-001", quoting=[SECRET], dry_run=dry_run).questions == blank
        with connection.transaction():
            connection.execute("SET LOCAL row_security = on")
            connection.execute("SELECT set_config('context.namespaces', '{web,billing}', true)")
            rows = connection.execute("SELECT namespace, receipt FROM retrieval.receipts").fetchall()
            lines = connection.execute(
                "SELECT detail FROM knowledge.audit WHERE action = 'erase' ORDER BY entry"
            ).fetchall()
    kept = {(row["namespace"], row["receipt"]) for row in rows}
    assert kept >= {place for place, concerned in about.items() if not concerned}
    changed = [retrieval_pb2.GetReceiptResponse.FromString(body) for _, body in kept - about.keys()]
    assert {(one.asked.query, len(one.asked.filter.tags), one.tokens_used) for one in changed} == {("[erased]", 0, 7)}
    assert {entry.id for one in changed for entry in one.entries} == {"ADR-001", "ADR-002"}
    assert [line["detail"] for line in lines] == [
        "1 versions, 0 answers, 0 feedback",
        "4 questions, 0 feedback",
        "1 versions, 0 answers, 0 feedback",
    ]


SAYS = ("query_text", "missing_context", "metadata")
NOTHING: tuple[Any, ...] = ("[erased]", "", {})
GIVE = """
INSERT INTO knowledge.feedback (namespace, id, principal, query_id, query_text, overall_rating, items_helpful,
    items_not_helpful, items_used, missing_context, agent_id, session_id, metadata)
VALUES (%(namespace)s, %(id)s, 'ada', %(query_id)s, %(query_text)s, 4, %(helpful)s, %(not_helpful)s, %(used)s,
    %(missing_context)s, 'codex', 's-1', %(metadata)s)"""
VOTE = """
INSERT INTO knowledge.feedback_votes (namespace, item_id, feedback_id, principal, day, helpful)
VALUES (%(namespace)s, %(item_id)s, %(id)s, 'ada', current_date, true)"""


def feedback(namespace: str = "web", **said: Any) -> dict[str, Any]:
    """What GIVE takes."""
    empty: dict[str, Any] = {"query_id": None, "helpful": [], "not_helpful": [], "used": [], "missing_context": ""}
    given = {"namespace": namespace, "id": uuid.uuid4(), **empty, "query_text": "", "metadata": {}, **said}
    return {**given, "metadata": Jsonb(given["metadata"])}


def give(connection: Connection, *given: dict[str, Any]) -> None:
    """Write feedback, with its votes for what it calls helpful."""
    for one in given:
        connection.execute(GIVE, one)
        for item_id in one["helpful"]:
            connection.execute(VOTE, {**one, "item_id": item_id})


async def test_feedback_that_names_it_names_it_no_more_and_says_nothing(knowledge: Knowledge) -> None:
    for namespace in ("web", "billing"):
        for _ in range(2):
            await knowledge.as_(namespace).create(failure("T"))
    said: dict[str, Any] = {"query_text": f"who is {SECRET}", "missing_context": SECRET, "metadata": {SECRET: 1}}
    given = {
        "helpful": feedback(helpful=["FAIL-001", "FAIL-002"], used=["FAIL-002", "FAIL-001"], **said),
        "not": feedback(not_helpful=["FAIL-001"]),
        "another": feedback(helpful=["FAIL-002"], query_text="why", metadata={"a": 1}),
        "theirs": feedback("billing", helpful=["FAIL-001"], query_text="theirs"),
    }
    with connect(knowledge.url) as connection:
        give(connection, *given.values())
    for name in ("helpful", "another"):
        answer = pb.RecordFeedbackResponse(replaced=True)
        answer.feedback.id, answer.feedback.query_text = str(given[name]["id"]), given[name]["query_text"]
        await knowledge.execute(
            "INSERT INTO idempotency (namespace, principal, key, digest, answer) VALUES ('web', 'ada', %s, '', %s)",
            name,
            answer.SerializeToString(),
        )
    would = await erased(knowledge, "FAIL-001", dry_run=True)
    assert would == await erased(knowledge, "FAIL-001") == Erased(deleted=True, versions=2, answers=0, feedback=2)
    assert SECRET not in await everything(knowledge)
    found = {row["id"]: row for row in await knowledge.rows("SELECT * FROM feedback")}
    rows = {name: found[one["id"]] for name, one in given.items()}
    lists = {name: (r["items_helpful"], r["items_not_helpful"], r["items_used"]) for name, r in rows.items()}
    assert lists == {
        "helpful": (["FAIL-002"], [], ["FAIL-002"]),
        "not": ([], [], []),
        "another": (["FAIL-002"], [], []),
        "theirs": (["FAIL-001"], [], []),
    }
    assert {name: tuple(row[column] for column in SAYS) for name, row in rows.items()} == {
        "helpful": NOTHING,
        "not": ("", "", {}),
        "another": ("why", "", {"a": 1}),
        "theirs": ("theirs", "", {}),
    }
    assert {(row["overall_rating"], row["principal"], row["agent_id"]) for row in found.values()} == {
        (4, "ada", "codex")
    }
    votes = await knowledge.rows("SELECT namespace, item_id FROM feedback_votes ORDER BY 1, 2")
    assert [tuple(row.values()) for row in votes] == [("billing", "FAIL-001"), ("web", "FAIL-002"), ("web", "FAIL-002")]
    assert {row["key"]: bool(row["answer"]) for row in await knowledge.rows("SELECT key, answer FROM idempotency")} == {
        "helpful": False,
        "another": True,
    }
    assert (await erased(knowledge, "FAIL-001")).feedback == 0


def arrange(connection: Connection, *given: dict[str, Any]) -> None:
    """Write feedback beside the versions of ADR-001, as an owner whom the policies hold."""
    with connection.transaction():
        connection.execute("SET LOCAL row_security = on")
        connection.execute("SELECT set_config('context.namespaces', '{web,billing}', true)")
        give(connection, *given)
        connection.execute(
            "INSERT INTO knowledge.item_versions (namespace, id, version, changed_at, changed_by, change,"
            " changed_fields, content, valid_from)"
            " VALUES ('web', 'ADR-001', 1, now(), 'a', 'deleted', '{}', '{}', now())"
        )


def blank(connection: Connection) -> set[uuid.UUID]:
    """The feedback that says nothing any more."""
    with connection.transaction():
        connection.execute("SET LOCAL row_security = on")
        connection.execute("SELECT set_config('context.namespaces', '{web,billing}', true)")
        rows = connection.execute("SELECT * FROM knowledge.feedback").fetchall()
    return {row["id"] for row in rows if tuple(row[column] for column in SAYS) == NOTHING}


async def test_feedback_on_a_question_that_may_quote_it_goes_with_the_question(owned: str) -> None:
    await postgres.migrate(owned, schema="knowledge", directory=MIGRATIONS)
    await postgres.migrate(owned, schema="retrieval", directory=RETRIEVAL)
    asked = {
        "answered": receipt("answered by it", answered="ADR-001"),
        "blank": receipt("[erased]", answered="ADR-001"),
        "left out": receipt("left out", omitted="ADR-001"),
        "quoting": receipt(f"who is {SECRET}"),
        "another": receipt("something else", answered="ADR-002"),
    }
    ids = {name: uuid.uuid4() for name in asked}
    on = {name: feedback("billing", query_id=ids[name], query_text=name) for name in asked}
    both = feedback(query_id=ids["answered"], helpful=["ADR-001"], missing_context="more of it")
    unsaid = feedback(query_id=ids["left out"])
    with connect(owned) as connection:
        arrange(connection, *on.values(), both, unsaid)
        with connection.transaction():
            connection.execute("SET LOCAL row_security = on")
            connection.execute("SELECT set_config('context.namespaces', '{web}', true)")
            for name, body in asked.items():
                kept = retrieval_pb2.GetReceiptResponse.FromString(body)
                if name == "blank":
                    kept.asked.filter.tags[:] = []
                connection.execute(
                    "INSERT INTO retrieval.receipts VALUES (%s, 'web', '{web}', now(), 'ada', '', %s)",
                    (ids[name], kept.SerializeToString()),
                )
        for dry_run, feedback_blanked, questions in ((True, 5, 3), (False, 5, 3), (False, 0, 0)):
            done = erase(connection, "ADR-001", quoting=[SECRET], dry_run=dry_run)
            assert (done.feedback, done.questions) == (feedback_blanked, questions)
        assert blank(connection) == {both["id"], *(one["id"] for name, one in on.items() if name != "another")}


async def test_feedback_goes_that_quotes_what_must_go_whoever_owns_the_receipts(owned: str) -> None:
    await postgres.migrate(owned, schema="knowledge", directory=MIGRATIONS)
    superuser = owned.replace(f"//{urlsplit(owned).username}@", "//postgres@")
    await postgres.migrate(superuser, schema="retrieval", directory=RETRIEVAL)
    quote = 'Ada "the\\first" Löwe'
    quoting = [
        feedback(query_text=f"who is {quote}?"),
        feedback("billing", missing_context=quote),
        feedback("billing", metadata={"deep": [{"name": f"{quote}, again"}]}),
        feedback("billing", metadata={quote: None}, query_text="why"),
    ]
    others = [feedback("billing", query_text="Ada"), feedback(metadata={"name": "Löwe"}), feedback()]
    with connect(owned) as connection:
        arrange(connection, *quoting, *others)
        for dry_run, count in ((True, 4), (False, 4), (False, 0)):
            assert Erasure(connection, "web", "ADR-001", dry_run=dry_run).text([quote]).feedback == count
        assert blank(connection) == {one["id"] for one in quoting}
