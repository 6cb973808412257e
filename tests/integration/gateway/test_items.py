"""Items over HTTP: created, read, listed, changed, deleted; each answer as API.md has it."""

from typing import Any

import pytest

from context.v1 import types_pb2 as types
from context_common.errors import Unavailable
from tests.support.gateway import Gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")

ADR = {"title": "Use Postgres", "decision": "One database for all, see FAIL-999.", "supersedes": ["ADR-042"]}
FAILURE = {"title": "It broke", "root_cause": "No limit", "severity": "high", "prevention": ["limits"]}
MEETING = {
    "meeting_title": "Weekly",
    "date": "2026-01-31",
    "decisions": [{"decision": "Ship", "action_items": [{"task": "tag it", "due": "2026-02-01"}]}],
}
SNAPSHOT = {
    "commit_hash": "abc123",
    "commit_message": "feat: bulk",
    "author": "ada",
    "changed_files": "a.py, b.py",
    "references": "ADR-001,FAIL-002",
}


async def test_a_create_answers_the_item_and_where_it_stands(gateway: Gateway) -> None:
    answer = await gateway.http.post("/api/adr", json=ADR)
    body = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == "/api/adr/ADR-001"
    assert answer.headers["etag"] == '"1"'
    assert body["id"] == "ADR-001"
    assert body["type"] == "adr"
    assert body["indexed"] is True
    assert body["relationships_created"] == ["ADR-001->ADR-042"]
    assert body["pending_references"] == ["FAIL-999"]
    assert body["author"] is None
    assert body["created_at"] == "2026-01-31T12:00:00Z"
    assert gateway.knowledge.requests[0].item.provenance == types.PROVENANCE_HUMAN


@pytest.mark.parametrize(("kind", "sent"), [("adr", ADR), ("failure", FAILURE), ("meeting", MEETING)])
async def test_every_field_sent_is_read_back(gateway: Gateway, kind: str, sent: dict[str, Any]) -> None:
    created = (await gateway.http.post(f"/api/{kind}", json=sent)).json()
    read = (await gateway.http.get(f"/api/{kind}/{created['id']}")).json()
    for name, value in sent.items():
        if name != "decisions":
            assert read[name] == value
    assert read["related_items"] == [
        {
            "id": "FAIL-042",
            "type": "failure",
            "title": "It broke",
            "status": "resolved",
            "relationship": "caused_by",
            "direction": "incoming",
        }
    ]


async def test_a_meetings_title_is_answered_under_both_names(gateway: Gateway) -> None:
    body = (await gateway.http.post("/api/meeting", json=MEETING)).json()
    assert (body["title"], body["meeting_title"]) == ("Weekly", "Weekly")
    assert body["decisions"][0]["action_items"][0] == {
        "task": "tag it",
        "owner": None,
        "due": "2026-02-01",
        "status": None,
    }


async def test_null_on_create_is_as_good_as_nothing(gateway: Gateway) -> None:
    answer = await gateway.http.post("/api/adr", json={"title": "t", "decision": "d", "context": None, "tags": None})
    assert answer.status_code == 201


async def test_a_snapshot_is_created_once_per_commit(gateway: Gateway) -> None:
    first = await gateway.http.post("/api/context/snapshot", json=SNAPSHOT)
    again = await gateway.http.post("/api/context/snapshot", json=SNAPSHOT)
    assert (first.status_code, first.json()["status"]) == (201, "created")
    assert (again.status_code, again.json()["status"], again.json()["indexed"]) == (200, "unchanged", True)
    assert first.headers["location"] == "/api/snapshot/SNAP-001"
    read = (await gateway.http.get("/api/snapshot/SNAP-001")).json()
    assert read["changed_files"] == ["a.py", "b.py"]
    assert read["references"] == ["ADR-001", "FAIL-002"]


async def test_a_list_passes_every_filter_on(gateway: Gateway) -> None:
    await gateway.http.post("/api/failure", json=FAILURE)
    answer = await gateway.http.get(
        "/api/failure?status=resolved,recurring&tags=a&tags=b&author=ada&from=2026-01-01&to=2026-12-31"
        "&q=slow%20disk&severity=high&pattern=oom&app_name=web&limit=7&cursor=here"
    )
    assert answer.status_code == 200
    assert [item["id"] for item in answer.json()["items"]] == ["FAIL-001"]
    assert answer.json()["next_cursor"] == "next"
    sent = gateway.knowledge.requests[-1]
    assert (list(sent.statuses), list(sent.tags)) == (["resolved", "recurring"], ["a", "b"])
    assert (sent.author, sent.from_date, sent.to_date, sent.text) == ("ada", "2026-01-01", "2026-12-31", "slow disk")
    assert (sent.severity, sent.pattern, sent.app_name) == ("high", "oom", "web")
    assert (sent.page_size, sent.page_token) == (7, "here")


async def test_fields_choose_how_much_is_answered(gateway: Gateway) -> None:
    await gateway.http.post("/api/adr", json=ADR | {"created_date": "2026-01-31"})
    assert (await gateway.http.get("/api/adr?fields=ids")).json()["items"] == [{"id": "ADR-001"}]
    assert (await gateway.http.get("/api/adr?fields=summary")).json()["items"] == [
        {
            "id": "ADR-001",
            "type": "adr",
            "title": "Use Postgres",
            "status": "active",
            "date": "2026-01-31",
            "tags": [],
            "version": 1,
        }
    ]
    assert (await gateway.http.get("/api/adr/ADR-001?fields=ids")).json() == {"id": "ADR-001"}
    assert "decision" in (await gateway.http.get("/api/adr?fields=full")).json()["items"][0]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_a_change_touches_only_what_is_given_and_null_clears(gateway: Gateway, method: str) -> None:
    await gateway.http.post("/api/adr", json=ADR | {"context": "before", "consequences": "many"})
    answer = await gateway.http.request(method, "/api/adr/ADR-001", json={"title": "Now", "context": None})
    body = answer.json()
    assert answer.status_code == 200
    assert (body["title"], body["context"], body["consequences"]) == ("Now", None, "many")
    assert sorted(body["updated_fields"]) == ["context", "title"]
    assert answer.headers["etag"] == '"2"'


async def test_a_meetings_title_is_changed_under_its_own_name(gateway: Gateway) -> None:
    await gateway.http.post("/api/meeting", json=MEETING)
    body = (await gateway.http.patch("/api/meeting/MEET-001", json={"meeting_title": "Monthly"})).json()
    assert (body["meeting_title"], body["updated_fields"]) == ("Monthly", ["meeting_title"])


@pytest.mark.parametrize(
    ("given", "status"),
    [('"1"', 200), ('W/"1"', 200), ("1", 200), ("*", 200), ('"2"', 412), ('"abc"', 412), ('"1,2"', 412), ("-", 412)],
)
async def test_if_match_guards_a_change(gateway: Gateway, given: str, status: int) -> None:
    await gateway.http.post("/api/adr", json=ADR)
    answer = await gateway.http.patch("/api/adr/ADR-001", json={"title": "Now"}, headers={"If-Match": given})
    assert answer.status_code == status
    if status == 412:
        assert answer.json()["code"] == "version_mismatch"
        assert gateway.knowledge.items["ADR-001"].title == "Use Postgres"


KINDS = {
    "adr": ("ADR", ADR),
    "failure": ("FAIL", FAILURE | {"occurrence_count": 1}),
    "meeting": ("MEET", MEETING),
    "snapshot": ("SNAP", SNAPSHOT),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_what_a_read_answers_is_taken_as_a_change(gateway: Gateway, kind: str, method: str) -> None:
    prefix, sent = KINDS[kind]
    await gateway.http.post("/api/context/snapshot" if kind == "snapshot" else f"/api/{kind}", json=sent)
    path = f"/api/{kind}/{prefix}-001"
    read = (await gateway.http.get(path)).json()
    named = {"title": "Now"} | ({"meeting_title": "Now"} if kind == "meeting" else {})
    answer = await gateway.http.request(method, path, json=read | named)
    assert answer.status_code == 200, answer.text
    assert answer.json()["title"] == "Now"
    update = gateway.knowledge.requests[-1]
    assert update.expected_version == read["version"]
    kept = ("id", "type", "version", "created_at", "snapshot.commit_hash", "provenance")
    assert not set(kept) & set(update.update_mask.paths)
    assert (await gateway.http.get(path)).json()["created_at"] == read["created_at"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", "ADR-002"),
        ("type", "failure"),
        ("provenance", "import"),
        ("review", "approved"),
        ("created_at", "2026-01-31T12:00:01Z"),
        ("created_at", None),
        ("updated_at", "2026-01-31T12:00:00Z"),
        ("related_items", []),
    ],
)
async def test_what_only_the_engine_writes_is_named_where_it_would_change(
    gateway: Gateway, name: str, value: object
) -> None:
    await gateway.http.post("/api/adr", json=ADR)
    read = (await gateway.http.get("/api/adr/ADR-001")).json()
    answer = await gateway.http.put("/api/adr/ADR-001", json=read | {"title": "Now", name: value})
    assert answer.status_code == 422
    assert answer.json()["details"] == {name: ["cannot be changed, and is not as it stands"]}
    assert gateway.knowledge.items["ADR-001"].title == "Use Postgres"


async def test_the_commit_of_a_snapshot_cannot_be_changed(gateway: Gateway) -> None:
    await gateway.http.post("/api/context/snapshot", json=SNAPSHOT)
    answer = await gateway.http.patch("/api/snapshot/SNAP-001", json={"commit_hash": "def456"})
    assert answer.json()["details"] == {"commit_hash": ["cannot be changed, and is not as it stands"]}
    assert (await gateway.http.post("/api/adr", json=ADR | {"commit_hash": "def456"})).status_code == 422


async def test_counts_change_by_themselves_and_are_not_compared(gateway: Gateway) -> None:
    await gateway.http.post("/api/adr", json=ADR)
    counts = {"access_count_30d": 7, "reference_count": 9, "feedback": -0.5}
    body = {**counts, "created_at": "2026-01-31T13:00:00+01:00", "id": "adr-1"}
    assert (await gateway.http.patch("/api/adr/ADR-001", json=body)).status_code == 200
    assert list(gateway.knowledge.requests[-1].update_mask.paths) == []


@pytest.mark.parametrize("of_body", [True, False])
async def test_a_read_that_is_old_overwrites_nothing(gateway: Gateway, of_body: bool) -> None:
    await gateway.http.post("/api/adr", json=ADR)
    read = (await gateway.http.get("/api/adr/ADR-001")).json()
    await gateway.http.patch("/api/adr/ADR-001", json={"title": "Theirs"})
    old = {"If-Match": f'"{read.pop("version")}"'} if not of_body else {}
    answer = await gateway.http.put("/api/adr/ADR-001", json=read | {"title": "Ours"}, headers=old)
    assert (answer.status_code, answer.json()["code"]) == (412, "version_mismatch")
    assert gateway.knowledge.items["ADR-001"].title == "Theirs"


async def test_a_body_is_of_the_version_that_if_match_asks_for(gateway: Gateway) -> None:
    await gateway.http.post("/api/adr", json=ADR)
    for version, status in ((1, 200), (3, 412)):
        body, headers = {"tags": ["x"], "version": version}, {"If-Match": '"1"'}
        assert (await gateway.http.patch("/api/adr/ADR-001", json=body, headers=headers)).status_code == status


async def test_a_change_that_says_nothing_of_what_is_kept_reads_nothing(gateway: Gateway) -> None:
    await gateway.http.post("/api/adr", json=ADR)
    gateway.knowledge.requests.clear()
    await gateway.http.patch("/api/adr/ADR-001", json={"id": "ADR-001", "type": "adr", "version": 1, "title": "Now"})
    assert [type(request).__name__ for request in gateway.knowledge.requests] == ["UpdateItemRequest"]


async def test_two_titles_of_a_meeting_are_one(gateway: Gateway) -> None:
    await gateway.http.post("/api/meeting", json=MEETING)
    answer = await gateway.http.patch("/api/meeting/MEET-001", json={"title": "Daily", "meeting_title": "Weekly"})
    assert answer.status_code == 422
    assert answer.json()["details"] == {"body": ["names two titles: title and meeting_title are one"]}


async def test_a_list_of_versions_is_no_conflict(gateway: Gateway) -> None:
    await gateway.http.post("/api/adr", json=ADR)
    for given in ([("If-Match", '"1", "2"')], [("If-Match", '"1"'), ("If-Match", 'W/"2"')]):
        answer = await gateway.http.patch("/api/adr/ADR-001", json={"title": "Now"}, headers=given)
        assert answer.status_code == 400
        assert "one ETag" in answer.json()["detail"]
    assert gateway.knowledge.items["ADR-001"].title == "Use Postgres"


async def test_a_delete_says_when_the_item_is_gone(gateway: Gateway) -> None:
    await gateway.http.post("/api/adr", json=ADR)
    stale = await gateway.http.delete("/api/adr/ADR-001", headers={"If-Match": '"9"'})
    assert stale.status_code == 412
    answer = await gateway.http.delete("/api/adr/ADR-001")
    assert answer.json() == {"id": "ADR-001", "deleted": True, "indexed": True}
    assert (await gateway.http.get("/api/adr/ADR-001")).status_code == 404


async def test_an_index_that_is_away_or_late_fails_no_write(gateway: Gateway) -> None:
    gateway.retrieval.error = Unavailable()
    away = await gateway.http.post("/api/adr", json=ADR)
    gateway.retrieval.error = None
    gateway.retrieval.indexed = lambda _: False
    late = await gateway.http.post("/api/adr", json=ADR)
    assert (away.status_code, away.json()["indexed"]) == (201, False)
    assert (late.status_code, late.json()["indexed"]) == (201, False)


async def test_respond_async_does_not_wait(gateway: Gateway) -> None:
    answer = await gateway.http.post("/api/adr", json=ADR, headers={"Prefer": "respond-async"})
    assert answer.headers["preference-applied"] == "respond-async"
    assert answer.json()["indexed"] is False
    assert gateway.retrieval.requests == []


async def test_the_namespace_and_the_request_id_reach_every_service(gateway: Gateway) -> None:
    headers = {"X-Context-Namespace": "web", "X-Request-Id": "r-1"}
    answer = await gateway.http.post("/api/adr", json=ADR, headers=headers)
    assert answer.headers["x-request-id"] == "r-1"
    for callers in (gateway.knowledge.callers, gateway.retrieval.callers):
        assert [(who.namespace, who.principal, who.request_id) for who in callers] == [("web", "dev", "r-1")]


async def test_an_id_may_be_written_as_people_do(gateway: Gateway) -> None:
    await gateway.http.post("/api/adr", json=ADR)
    assert (await gateway.http.get("/api/adr/adr-1")).json()["id"] == "ADR-001"
    assert (await gateway.http.delete("/api/adr/adr-1")).json() == {"id": "ADR-001", "deleted": True, "indexed": True}
    assert gateway.retrieval.requests[-1].points[0].item_id == "ADR-001"
