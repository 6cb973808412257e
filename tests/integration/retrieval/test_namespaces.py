"""Nothing crosses a namespace, whichever way it is asked for; several are read by those who may read each of them."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from context.v1 import retrieval_pb2 as pb
from context_common.errors import NotFound
from tests.support import items
from tests.support.retrieval import Retrieval, running


@pytest.fixture
async def retrieval(database_url: str) -> AsyncIterator[Retrieval]:
    """The same ids in two namespaces, and edges that lead to ids which only the other one has."""
    async with running(database_url) as service:
        ours, theirs = service, service.as_("billing")
        await ours.put(
            items.adr(id="ADR-001", title="Ours", decision="Invoices are ours."),
            edges=[("references", "ADR-002"), ("related_to", "FAIL-001")],
        )
        await ours.put(items.adr(id="ADR-004", title="Was ours", decision="Ledgers are ours.", status="superseded"))
        await theirs.put(
            items.adr(id="ADR-001", title="Theirs", decision="Invoices are theirs."),
            items.adr(id="ADR-002", title="Next", decision="Secret invoices of theirs."),
        )
        await theirs.put(items.adr(id="ADR-005", title="Heir", decision="New."), edges=[("supersedes", "ADR-004")])
        yield service


async def test_neither_search_nor_ids_nor_the_graph_nor_successors_cross(retrieval: Retrieval) -> None:
    bundle, _ = await retrieval.query("invoices", explain=True)
    assert [(item["id"], item["title"]) for item in bundle["key_decisions"]] == [("ADR-001", "Ours")]
    assert await retrieval.search("secret theirs") == []
    assert await retrieval.search("ADR-002", include_history=True) == []
    assert await retrieval.search("ADR-005") == []
    browsed = await retrieval.ask("Browse", pb.BrowseRequest(filter=pb.Filter(include_history=True)))
    assert {item.title for item in browsed.items} == {"Ours", "Was ours"}
    succeeded, _ = await retrieval.query("ledgers")
    assert [(left["id"], left["reason"]) for left in succeeded["omitted"]] == [("ADR-004", "superseded")]
    assert succeeded["key_decisions"] == []


async def test_those_who_may_read_several_ask_several(retrieval: Retrieval) -> None:
    wanted = {("web", "ADR-001"), ("billing", "ADR-001"), ("billing", "ADR-002")}
    for readable in (["billing"], ["*"]):
        both, _ = await retrieval.as_("web", *readable).query("invoices", namespaces=["web", "billing"])
        assert {(item["namespace"], item["id"]) for item in both["key_decisions"]} == wanted
    theirs, _ = await retrieval.as_("web", "billing").query("invoices", namespaces=["billing"])
    assert {item["title"] for item in theirs["key_decisions"]} == {"Theirs", "Next"}


@pytest.mark.parametrize("named", [["billing"], ["web", "billing"], ["no-such-namespace"]])
@pytest.mark.parametrize("method", ["QueryContext", "Search", "Browse"])
async def test_a_namespace_that_may_not_be_read_is_none(retrieval: Retrieval, method: str, named: list[str]) -> None:
    kind: Any = getattr(pb, f"{method}Request")
    words = {} if method == "Browse" else {"query": "invoices"}
    with pytest.raises(NotFound):
        await retrieval.as_("web", "docs").ask(method, kind(filter=pb.Filter(namespaces=named), **words))


async def test_a_change_is_waited_for_in_the_callers_namespace_only(retrieval: Retrieval) -> None:
    point = pb.IndexPoint(item_id="ADR-002", change_id=1)
    for who, reached in ((retrieval.as_("billing"), True), (retrieval.as_("web", "billing"), False)):
        answer = await who.ask("WaitIndexed", pb.WaitIndexedRequest(points=[point]))
        assert list(answer.indexed) == [reached]


async def test_accesses_are_counted_where_the_item_was_read(database_url: str) -> None:
    async with running(database_url) as retrieval:
        await retrieval.as_("billing").put(items.adr(id="ADR-001", decision="Secret invoices of theirs."))
        await retrieval.as_("web", "billing").query("secret invoices", namespaces=["billing"])
    # Leaving reports what is left.
    assert retrieval.knowledge.accesses == {("billing", "ADR-001"): 1}
