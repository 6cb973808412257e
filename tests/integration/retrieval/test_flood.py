"""With the real model: hundreds of items that programs wrote around a question leave those of people where they are."""

import random
from collections.abc import AsyncIterator

import pytest

from context.v1 import retrieval_pb2 as pb
from context.v1 import types_pb2
from tests.support import items
from tests.support.retrieval import Retrieval, ids, running

QUESTION = "why did we stop running our own database servers?"
OURS = [
    items.adr(
        id="ADR-901",
        title="Use RDS instead of provisioned EC2 databases",
        decision="We will use managed relational databases and stop operating MySQL and Postgres on our own machines.",
        context="Keeping database servers patched, backed up and replicated takes a large share of the team's time.",
    ),
    items.failure(
        id="FAIL-901",
        title="Primary database lost its disk",
        root_cause="The server we ran ourselves had no replica, and its backup was eleven days old.",
        resolution="The data was restored by hand; managed databases took the place of our servers.",
    ),
    items.adr(
        id="ADR-902",
        title="Backups are tested every quarter",
        decision="Each database is restored from its backup into a scratch account four times a year.",
    ),
]
NOISE = "alpha river stone cloud amber valley copper meadow cedar falcon lantern granite willow ember"


def theirs(number: int, random_: random.Random) -> types_pb2.Item:
    """The question itself, with an answer of its own and some noise, so that no two are alike."""
    noise = " ".join(random_.sample(NOISE.split(), 6))
    text = f"{QUESTION} Because run {number} of {noise} said that we stop running our own database servers."
    if number % 2:
        provenance = types_pb2.PROVENANCE_EVENT
        return items.failure(id=f"FAIL-{number:03d}", title=QUESTION, root_cause=text, provenance=provenance)
    provenance = types_pb2.PROVENANCE_AGENT
    return items.adr(id=f"ADR-{number:03d}", title=QUESTION, decision=text, provenance=provenance)


@pytest.fixture
async def retrieval(database_url: str, embedding_addr: str) -> AsyncIterator[Retrieval]:
    async with running(database_url, embedding_addr=embedding_addr) as service:
        random_ = random.Random(11)
        await service.put(*OURS, *(theirs(number, random_) for number in range(500)))
        yield service


async def test_a_flood_around_a_question_leaves_the_answers_of_people_in_their_place(retrieval: Retrieval) -> None:
    for budget in (1000, 4000):
        bundle, response = await retrieval.query(QUESTION, max_tokens=budget)
        assert {"ADR-901", "FAIL-901"} <= set(ids(bundle)), budget
        shown = {item["id"]: item for item in (*bundle["key_decisions"], *bundle["known_issues"])}
        assert "truncated" not in shown["ADR-901"]
        assert shown["ADR-901"]["trust"] == "vouched"
        rest = [entry for entry in response.entries if entry.trust == pb.TRUST_UNVOUCHED]
        assert rest, "what the people's leave over is used"
        assert all(item["title"].startswith("<<") for item in shown.values() if item["trust"] == "unvouched")
    assert {"ADR-901", "FAIL-901"} <= set(await retrieval.search(QUESTION, top_k=10))
