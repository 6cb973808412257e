"""What is held for review is nowhere to be found; what nobody vouches for says so, and crowds nobody out."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from context.v1 import retrieval_pb2 as pb
from context.v1 import types_pb2
from context_retrieval import search
from context_retrieval.store.statement import Way
from tests.support import items
from tests.support.retrieval import Retrieval, ids, running

HELD, REJECTED, APPROVED = types_pb2.REVIEW_HELD, types_pb2.REVIEW_REJECTED, types_pb2.REVIEW_APPROVED
HUMAN, AGENT = types_pb2.PROVENANCE_HUMAN, types_pb2.PROVENANCE_AGENT
IMPORT, EVENT = types_pb2.PROVENANCE_IMPORT, types_pb2.PROVENANCE_EVENT
UNSEEN = "Keep\u200b them\u202e"


@pytest.fixture
async def retrieval(database_url: str) -> AsyncIterator[Retrieval]:
    async with running(database_url) as service:
        yield service


async def ways_to(retrieval: Retrieval, item_id: str, words: str) -> set[str]:
    """By which ways an item is found."""
    modes = {"hybrid": pb.SEARCH_MODE_HYBRID, "meaning": pb.SEARCH_MODE_SEMANTIC, "words": pb.SEARCH_MODE_KEYWORD}
    found = {name: await retrieval.search(words, mode=mode, include_history=True) for name, mode in modes.items()}
    found["id"] = await retrieval.search(item_id, include_history=True)
    found["bundle"] = ids((await retrieval.query(words, include_history=True))[0])
    found["neighbour"] = ids((await retrieval.query("lighthouse"))[0])
    found["successor"] = ids((await retrieval.query("windmill"))[0])
    browsed = await retrieval.ask("Browse", pb.BrowseRequest(filter=pb.Filter(include_history=True), limit=50))
    found["list"] = [item.id for item in browsed.items]
    return {way for way, listed in found.items() if item_id in listed}


@pytest.mark.parametrize("review", [HELD, REJECTED])
async def test_what_is_withheld_is_found_by_no_way_until_it_is_approved(retrieval: Retrieval, review: Any) -> None:
    def suspect(review: Any, version: int) -> types_pb2.Item:
        return items.adr(
            id="ADR-009", title="Heron", decision="A heron by the lighthouse.", provenance=AGENT, review=review,
            version=version,
        )  # fmt: skip

    edges = [("supersedes", "ADR-002"), ("resolved_by", "ADR-001")]
    await retrieval.put(
        items.adr(id="ADR-001", title="Lighthouse", decision="Keep the lighthouse."),
        items.adr(id="ADR-002", title="Windmill", decision="Run the windmill.", status="superseded"),
    )
    await retrieval.put(suspect(types_pb2.REVIEW_UNSPECIFIED, 1), edges=edges)
    everywhere = await ways_to(retrieval, "ADR-009", "heron")
    assert everywhere == {"hybrid", "meaning", "words", "id", "bundle", "neighbour", "successor", "list"}
    change = retrieval.knowledge.put(suspect(review, 2), edges=edges)
    await retrieval.settled()
    assert await ways_to(retrieval, "ADR-009", "heron") == set()
    assert await retrieval.rows("SELECT 1 FROM chunks WHERE item_id = 'ADR-009'") == []
    assert await retrieval.rows("SELECT 1 FROM edges WHERE from_id = 'ADR-009'") == []
    waited = await retrieval.ask(
        "WaitIndexed", pb.WaitIndexedRequest(points=[pb.IndexPoint(item_id="ADR-009", change_id=change)])
    )
    assert list(waited.indexed) == [True]
    await retrieval.put(suspect(APPROVED, 3), edges=edges)
    assert await ways_to(retrieval, "ADR-009", "heron") == everywhere


@pytest.mark.parametrize(
    ("provenance", "review", "trust"),
    [
        (HUMAN, 0, "vouched"),
        (IMPORT, 0, "vouched"),
        (AGENT, 0, "unvouched"),
        (EVENT, 0, "unvouched"),
        (AGENT, APPROVED, "vouched"),
        (EVENT, APPROVED, "vouched"),
    ],
)
async def test_each_answer_says_whether_somebody_vouches_for_a_text(
    retrieval: Retrieval, provenance: Any, review: Any, trust: str
) -> None:
    await retrieval.put(items.adr(id="ADR-001", title=UNSEEN, decision=UNSEEN, provenance=provenance, review=review))
    bundle, response = await retrieval.query("keep them")
    (shown,) = bundle["key_decisions"]
    name = types_pb2.Provenance.Name(provenance).removeprefix("PROVENANCE_").lower()
    assert (shown["trust"], shown["provenance"]) == (trust, name)
    assert ("note" in bundle, shown["title"].startswith("<<")) == (trust == "unvouched",) * 2
    wanted = pb.Trust.Value(f"TRUST_{trust.upper()}")
    listed = await retrieval.ask("Browse", pb.BrowseRequest())
    (hit,) = (await retrieval.hits("keep them")).results
    for found in (hit, listed.items[0]):
        assert (found.trust, found.provenance) == (wanted, provenance)
        assert found.title == found.snippet == (UNSEEN if trust == "vouched" else "Keep them")
    assert response.entries[0].trust == wanted


async def flood(retrieval: Retrieval, count: int = 150) -> None:
    """Items that say word for word what is asked for, and a few of people's that say it in passing."""
    await retrieval.put(
        items.adr(id="ADR-901", title="Ferries", decision="The harbour ferries run on the hour, weather permitting."),
        items.adr(id="ADR-902", title="Piers", decision="Harbour piers are kept by the town and not by the ferries."),
    )
    await retrieval.put(
        *(
            items.failure(
                id=f"FAIL-{number:03d}",
                title=f"harbour ferries {number}",
                root_cause=f"harbour ferries code{number} " * 2,
                provenance=EVENT if number % 2 else AGENT,
            )
            for number in range(count)
        ),
        edges=[("references", "ADR-901"), ("related_to", "ADR-902")],
    )


@pytest.mark.parametrize("by_index", [False, True], ids=["every vector", "by the index"])
async def test_a_flood_does_not_take_the_places_of_what_people_wrote(
    retrieval: Retrieval, by_index: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "way", lambda *_, **__: Way.INDEX if by_index else Way.PART)
    monkeypatch.setattr(search, "SIZE_KEPT", 0.0)
    await flood(retrieval)
    bundle, response = await retrieval.query("harbour ferries", max_tokens=2000)
    assert {"ADR-901", "ADR-902"} <= set(ids(bundle))
    assert any(entry.trust == pb.TRUST_UNVOUCHED for entry in response.entries)
    for mode in (pb.SEARCH_MODE_HYBRID, pb.SEARCH_MODE_SEMANTIC, pb.SEARCH_MODE_KEYWORD):
        assert {"ADR-901", "ADR-902"} <= set(await retrieval.search("harbour ferries", mode=mode, top_k=10)), mode


async def test_neighbours_that_people_wrote_go_before_others(retrieval: Retrieval) -> None:
    await retrieval.put(
        items.adr(id="ADR-001", title="Lighthouse", decision="Keep the lighthouse."),
        items.failure(id="FAIL-900", title="Fog", root_cause="Nobody saw the coast."),
    )
    await retrieval.put(
        items.failure(id="FAIL-900", title="Fog", root_cause="Nobody saw the coast."),
        edges=[("resolved_by", "ADR-001")],
        strength=0.9,
    )
    await retrieval.put(
        *(
            items.failure(id=f"FAIL-{number:03d}", title=f"Odd {number}", root_cause="No relation.", provenance=EVENT)
            for number in range(40)
        ),
        edges=[("resolved_by", "ADR-001")],
    )
    bundle, _ = await retrieval.query("lighthouse", max_tokens=4000)
    assert "FAIL-900" in ids(bundle)
