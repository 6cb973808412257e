"""The audit trail: who did what to what, in which version, from where; and what was refused."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from context.v1 import admin_pb2 as pb
from context.v1 import knowledge_pb2
from context.v1 import types_pb2 as types
from context_common.errors import AppError, Denied, Invalid
from tests.support.administration import Administration, administrator, ahead, stamp
from tests.support.items import adr, failure
from tests.support.knowledge import Knowledge

EDGE = types.Relationship(from_id="FAIL-001", to_id="ADR-001", type=types.RELATIONSHIP_TYPE_RELATED_TO)


def denial(namespace: str = "web", **parts: Any) -> pb.Denial:
    values: dict[str, Any] = {"principal": "key:x", "address": "192.0.2.1", "request_id": "r-1"}
    values |= {"operation": "GET /api/adr/{id}", "status": 403, "reason": "denied"}
    return pb.Denial(namespace=namespace, **(values | parts))


async def test_every_change_is_written_down(knowledge: Knowledge, administration: Administration) -> None:
    await knowledge.create(adr())
    await knowledge.create(adr("Next", supersedes=["ADR-001"]))
    await knowledge.create(failure())
    await knowledge.update(types.Item(id="FAIL-001", title="New", author="ada"), ["title", "author"])
    await knowledge.ask("CreateRelationship", knowledge_pb2.CreateRelationshipRequest(relationship=EDGE))
    request = knowledge_pb2.DeleteRelationshipRequest(from_id=EDGE.from_id, to_id=EDGE.to_id, type=EDGE.type)
    await knowledge.ask("DeleteRelationship", request)
    await knowledge.delete("ADR-002")
    await knowledge.as_(principal="service:retrieval").ask("ReplayChanges", knowledge_pb2.ReplayChangesRequest())
    said = [(e.principal, e.action, e.item_id, e.version, e.detail) for e in await administration.audit()]
    assert said[::-1] == [
        ("ada", "create", "ADR-001", 1, ""),
        ("ada", "create", "ADR-002", 1, ""),
        ("ada", "supersede", "ADR-001", 2, ""),
        ("ada", "create", "FAIL-001", 1, ""),
        ("ada", "update", "FAIL-001", 2, "title author"),
        ("ada", "relate", "FAIL-001", 0, "FAIL-001 related_to ADR-001 1"),
        ("ada", "unrelate", "FAIL-001", 0, "FAIL-001 related_to ADR-001"),
        ("ada", "delete", "ADR-002", 2, ""),
        ("ada", "restore", "ADR-001", 3, ""),
        ("service:retrieval", "replay", "", 0, "2 changes"),
    ]


async def test_what_else_changed_with_a_status_is_written_down(
    knowledge: Knowledge, administration: Administration
) -> None:
    await knowledge.create(adr())
    for status, title in (("superseded", "Rewritten"), ("active", "Again"), ("superseded", ""), ("retracted", "")):
        paths = ["status", "title"] if title else ["status"]
        await knowledge.update(types.Item(id="ADR-001", status=status, title=title), paths)
    assert [(e.action, e.detail) for e in await administration.audit(item_id="ADR-001")][::-1] == [
        ("create", ""),
        ("supersede", "title status"),
        ("restore", "title status"),
        ("supersede", ""),
        ("update", "status"),
    ]


async def test_a_line_says_from_where_and_for_which_request(
    knowledge: Knowledge, administration: Administration
) -> None:
    made = await administration.create_key()
    (entry,) = await administration.audit()
    assert (entry.address, entry.request_id) == ("192.0.2.7", "request-1")
    assert entry.item_id == made.key.id
    assert abs(entry.at.ToDatetime(UTC) - datetime.now(UTC)) < timedelta(minutes=5)
    rows = await knowledge.rows("SELECT address FROM audit")
    assert [row["address"] for row in rows] == ["192.0.2.7"]


async def test_what_fails_leaves_no_line(knowledge: Knowledge) -> None:
    await knowledge.create(adr(id="ADR-001"))
    for attempt in (knowledge.create(adr(id="ADR-001")), knowledge.create(adr("")), knowledge.delete("ADR-009")):
        with pytest.raises(AppError):
            await attempt
    assert await knowledge.count("audit") == 1


async def test_each_filter_narrows(knowledge: Knowledge, administration: Administration) -> None:
    await knowledge.create(adr())
    await knowledge.as_(principal="bob").create(failure())
    await knowledge.delete("ADR-001")
    await administration.deny(denial(request_id="r-9", at=stamp(ahead(days=-2))))
    past, future = stamp(ahead(hours=-1)), stamp(ahead(hours=1))

    async def found(**wanted: Any) -> list[str]:
        return [f"{entry.action} {entry.item_id}".strip() for entry in await administration.audit(**wanted)]

    assert await found(principal="bob") == ["create FAIL-001"]
    assert await found(action="create") == ["create FAIL-001", "create ADR-001"]
    assert await found(item_id="ADR-001") == ["delete ADR-001", "create ADR-001"]
    assert await found(request_id="r-9") == await found(denied=True) == await found(until=past) == ["denied"]
    assert await found(since=past, until=future, action="delete") == ["delete ADR-001"]
    assert await found(since=future) == await found(principal="bob", action="delete") == []


async def test_pages_neither_repeat_nor_lose_a_line(administration: Administration) -> None:
    for start in range(0, 120, 60):
        await administration.deny(*(denial(request_id=f"r-{start + n}") for n in range(60)))
    seen: list[int] = []
    token = ""
    while True:
        request = pb.ListAuditRequest(page_size=50, page_token=token, denied=True)
        page: pb.ListAuditResponse = await administration.ask("ListAudit", request)
        seen += [entry.entry for entry in page.entries]
        await administration.deny(denial(request_id="later"))
        token = page.next_page_token
        if not token:
            break
    assert len(seen) == len(set(seen)) == 120
    assert seen == sorted(seen, reverse=True)


async def test_a_cursor_or_filter_that_cannot_be_is_refused_by_name(administration: Administration) -> None:
    await administration.deny(denial(), denial())
    page = await administration.ask("ListAudit", pb.ListAuditRequest(page_size=1))
    web = administration.as_(administrator("web"))
    attempts: list[tuple[Administration, dict[str, Any], str]] = [
        (administration, {"page_token": page.next_page_token, "principal": "x"}, "cursor"),
        (web, {"page_token": page.next_page_token}, "cursor"),
        (administration, {"page_token": "x"}, "cursor"),
        (administration, {"page_size": -1}, "limit"),
        (administration, {"principal": "a\0"}, "principal"),
        (administration, {"since": Timestamp(seconds=2**62)}, "since"),
        (administration, {"since": stamp(ahead()), "until": stamp(ahead(days=-1))}, "until"),
        (administration, {"denied": True, "action": "create"}, "denied"),
    ]
    for who, wanted, named in attempts:
        with pytest.raises(Invalid) as caught:
            await who.audit(**wanted)
        assert list(caught.value.fields) == [named]
        assert "since" not in str(caught.value.fields[named])  # callers say `from`


async def test_a_namespace_sees_its_own_lines_only(knowledge: Knowledge, administration: Administration) -> None:
    await knowledge.create(adr())
    await knowledge.as_("billing").create(failure())
    await administration.deny(denial("web"), denial("billing"), denial(""))
    await administration.create_key(namespaces=["web"])
    await administration.create_key(namespaces=["billing"])
    await administration.create_key(namespaces=["web", "billing"])
    web, billing = administration.as_(administrator("web")), administration.as_(administrator("billing"))
    assert [entry.action for entry in await web.audit()] == ["create_key", "denied", "create"]
    assert [entry.action for entry in await billing.audit()] == ["create_key", "denied", "create"]
    everything = [entry.action for entry in await administration.audit()]
    assert everything == ["create_key", "create_key", "denied", "denied", "create"]
    elsewhere = administration.as_(replace(administration.who, namespace="empty"))
    assert [entry.action for entry in await elsewhere.audit()] == ["create_key", "denied"]


async def test_who_only_reads_a_namespace_does_not_administer_it(administration: Administration) -> None:
    reader = replace(administrator("web"), namespace="ops", readable=frozenset({"web", "ops"}))
    for attempt in (
        administration.as_(reader).audit(),
        administration.as_(reader).set_aside(),
        administration.as_(reader).retry(),
    ):
        with pytest.raises(Denied):
            await attempt


async def test_a_denial_says_what_was_refused_and_how_often(administration: Administration) -> None:
    at = ahead(minutes=-3)
    await administration.deny(denial(count=12, at=stamp(at)), denial("", principal="", status=401, reason="expired"))
    nobody, web = await administration.audit(denied=True)
    assert (web.detail, web.principal, web.address) == ("GET /api/adr/{id} 403 denied ×12", "key:x", "192.0.2.1")
    assert abs(web.at.ToDatetime(UTC) - at) < timedelta(milliseconds=1)
    assert (nobody.detail, nobody.principal, nobody.item_id) == ("GET /api/adr/{id} 401 expired", "", "")


async def test_what_strangers_put_into_a_denial_is_cut_to_what_can_be_kept(administration: Administration) -> None:
    await administration.deny(
        denial("NOT A NAMESPACE", principal="a\0b\nc", address="x" * 10_000, request_id="\x1b[31m", operation="\r\n")
    )
    (entry,) = await administration.audit()
    assert (entry.principal, len(entry.address), entry.request_id) == ("a b c", 500, " [31m")
    assert all(text.isprintable() for text in (entry.principal, entry.detail, entry.request_id))
    with pytest.raises(Invalid):
        await administration.deny(denial(at=Timestamp(seconds=2**62)))


async def test_reports_are_bounded_and_for_the_gateway(administration: Administration) -> None:
    await administration.deny(*[denial()] * 500)
    with pytest.raises(Invalid) as caught:
        await administration.deny(*[denial()] * 501)
    assert list(caught.value.fields) == ["denials"]
    await administration.deny()
    with pytest.raises(Denied):
        await administration.ask("RecordDenials", pb.RecordDenialsRequest())


@pytest.mark.parametrize("statement", ["UPDATE audit SET detail = ''", "DELETE FROM audit", "TRUNCATE audit"])
async def test_the_services_role_cannot_change_a_line(knowledge: Knowledge, statement: str) -> None:
    await knowledge.create(adr())
    options = "-c search_path=knowledge,public -c role=context_knowledge -c context.namespaces={web}"
    async with await psycopg.AsyncConnection.connect(knowledge.url, options=options) as connection:
        assert await (await connection.execute("SELECT 1 FROM audit")).fetchone()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute(statement.encode())
    assert await knowledge.count("audit") == 1


async def test_lines_of_writers_at_once_are_all_there(knowledge: Knowledge, administration: Administration) -> None:
    await asyncio.gather(*(knowledge.create(failure(f"F{n}")) for n in range(20)))
    entries = await administration.audit(action="create")
    assert sorted(entry.item_id for entry in entries) == [f"FAIL-{n:03d}" for n in range(1, 21)]
    assert [entry.entry for entry in entries] == sorted((entry.entry for entry in entries), reverse=True)
