"""The SDK: what goes over the wire, what comes back, and what is tried again."""

import json

import httpx2
import pytest

from context_client import ApiError, Away, ContextError, Denied, NotFound, Refused, ServerError, Settings, Unreachable
from tests.unit.client.far_end import Engine, answering, losing, problem, refusing


def test_settings_come_from_the_environment_and_arguments_win() -> None:
    environ = {"CONTEXT_URL": "http://one:1", "CONTEXT_TOKEN": "secret\n", "CONTEXT_NAMESPACE": "web"}
    assert Settings.from_env(environ) == Settings("http://one:1", "secret", "web")
    assert Settings.from_env(environ, url="http://two:2", namespace="ops") == Settings("http://two:2", "secret", "ops")
    assert Settings.from_env({}) == Settings("http://127.0.0.1:4000", "", "")


@pytest.mark.parametrize("url", ["ftp://host", "localhost:4000", "http://", "nonsense"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must be http"):
        Settings(url)


def test_credential_and_namespace_go_with_every_call() -> None:
    engine = Engine()
    client = engine.client(Settings(token="t0ken", namespace="web"))
    client.create("adr", {"title": "A", "decision": "B"})
    list(client.bulk([{"type": "adr", "title": "A", "decision": "B"}]))
    for request in engine.requests:
        assert request.headers["authorization"] == "Bearer t0ken"
        assert request.headers["x-context-namespace"] == "web"


def test_without_them_no_header_is_sent() -> None:
    engine = Engine()
    engine.client().list_items("adr")
    assert not {"authorization", "x-context-namespace"} & set(engine.requests[0].headers)


def test_filters_that_are_empty_are_left_out_and_lists_are_joined() -> None:
    engine = Engine()
    engine.client().list_items("adr", {"status": ["active", "proposed"], "tags": None, "q": "", "limit": 5})
    assert dict(engine.requests[0].url.params) == {"status": "active,proposed", "limit": "5"}


def test_an_id_is_looked_up_under_its_type_and_nothing_else_is_asked() -> None:
    engine = Engine()
    engine.client().create("failure", {"title": "A", "root_cause": "B"})
    assert engine.client().get("fail-001".upper())["title"] == "A"
    with pytest.raises(NotFound):
        engine.client().get("../admin/keys")
    assert [r.url.path for r in engine.requests] == ["/api/failure", "/api/failure/FAIL-001"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Refused), (401, Denied), (403, Denied), (404, NotFound), (409, Refused), (412, Refused), (413, Refused),
        (422, Refused), (500, ServerError), (504, Away),
    ],
)  # fmt: skip
def test_each_refusal_has_its_error_with_the_problem_document(status: int, kind: type[ApiError]) -> None:
    engine = Engine()
    engine.before = [answering(problem(status, "Title", "what happened", code="c", request_id="r1"))]
    with pytest.raises(kind, match="Title: what happened") as caught:
        engine.client().create("adr", {})
    assert (caught.value.status, caught.value.problem["request_id"]) == (status, "r1")
    assert len(engine.requests) == 1


def test_a_validation_error_names_the_fields() -> None:
    engine = Engine()
    engine.before = [answering(problem(422, "Validation failed", details={"title": ["is required"]}))]
    with pytest.raises(Refused, match="Validation failed: title is required") as caught:
        engine.client().create("adr", {})
    assert caught.value.details == {"title": ["is required"]}


def test_reading_is_tried_again_and_waits_as_long_as_the_server_asked() -> None:
    engine = Engine()
    engine.before = [answering(problem(503, "Away", retry_after=3)), losing, refusing]
    assert engine.client().list_items("adr")["items"] == []
    assert len(engine.requests) == 4
    assert 3 < engine.waited[0] < 4
    assert all(0 < pause < 3 for pause in engine.waited[1:])


def test_it_gives_up_in_the_end() -> None:
    engine = Engine()
    engine.before = [answering(problem(503, "Away"))] * 9
    with pytest.raises(Away):
        engine.client().list_items("adr")
    assert len(engine.requests) == 4


PASSING = [refusing, losing, answering(problem(503, "Away")), answering(problem(429, "Too many", retry_after=1))]


@pytest.mark.parametrize("failure", PASSING)
def test_a_create_is_sent_again_under_the_same_key_so_that_it_is_done_once(failure: object) -> None:
    engine = Engine()
    engine.before = [failure]  # type: ignore[list-item]
    client = engine.client()
    assert client.create("adr", {"title": "A", "decision": "B"})["id"] == "ADR-001"
    client.create("adr", {"title": "A", "decision": "B"})
    first, again, other = (request.headers["idempotency-key"] for request in engine.requests)
    assert first == again != other


def test_what_creates_nothing_has_no_key() -> None:
    engine = Engine()
    engine.client().list_items("adr")
    assert "idempotency-key" not in engine.requests[0].headers


def test_it_does_not_wait_longer_than_anybody_would() -> None:
    engine = Engine()
    engine.before = [answering(problem(429, "Too many", retry_after=3600))]
    with pytest.raises(Away) as caught:
        engine.client().list_items("adr")
    assert (caught.value.retry_after, engine.waited) == (3600, [])


def test_where_most_calls_fail_they_are_not_tried_again() -> None:
    engine = Engine()
    engine.before = [answering(problem(503, "Away"))] * 1000
    client = engine.client()
    for _ in range(100):
        with pytest.raises(Away):
            client.list_items("adr")
    assert len(engine.requests) == 110
    engine.before = [lambda _: None] * 15 + [losing]
    for _ in range(16):
        client.list_items("adr")


def test_a_snapshot_is_known_by_its_commit_and_may_be_sent_again() -> None:
    engine = Engine()
    engine.before = [losing]
    engine.client().create("snapshot", {"commit_hash": "a", "commit_message": "m", "author": "x"})
    assert len(engine.requests) == 2


def test_nobody_there_is_unreachable_and_says_where() -> None:
    engine = Engine()
    engine.before = [refusing] * 4
    with pytest.raises(Unreachable, match=r"nobody answers at http://127\.0\.0\.1:4000"):
        engine.client().list_items("adr")


@pytest.mark.parametrize("answer", [httpx2.Response(200, text="<html>"), httpx2.Response(204), httpx2.Response(302)])
def test_another_server_at_the_address_is_named_as_such(answer: httpx2.Response) -> None:
    engine = Engine()
    engine.before = [answering(answer)]
    with pytest.raises(ContextError, match="is not the context engine"):
        engine.client().list_items("adr")


def test_an_error_page_that_is_no_problem_document_still_is_an_error() -> None:
    engine = Engine()
    engine.before = [answering(httpx2.Response(404, text="nope"))]
    with pytest.raises(NotFound, match="404"):
        engine.client().list_items("adr")


def test_bulk_sends_a_line_an_item_and_answers_as_they_come() -> None:
    engine = Engine()
    items = [{"type": "adr", "title": "ä", "decision": "B"}, {"type": "adr", "title": "refuse", "decision": "B"}]
    answers = list(engine.client().bulk(items, wait=7))
    request = engine.requests[0]
    assert request.headers["prefer"] == "wait=7"
    assert [json.loads(line) for line in request.content.decode().splitlines()] == items
    assert [answer["status"] for answer in answers] == ["created", "error"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("\udcff nats", "holds characters that are not Unicode"),
        ({"in": ["\ud800"]}, "holds characters that are not Unicode"),
        (float("nan"), "cannot be written as JSON"),
        (b"bytes", "cannot be written as JSON"),
    ],
)
def test_what_no_body_can_hold_is_refused_by_the_name_of_its_field(value: object, reason: str) -> None:
    engine = Engine()
    with pytest.raises(Refused, match=f"Validation failed: decision {reason}") as caught:
        engine.client().create("adr", {"title": "A", "decision": value})
    assert list(caught.value.details) == ["decision"]
    items: list[dict[str, object]] = [{"title": "A", "decision": value}, {"type": "adr", "title": "B", "decision": "C"}]
    good, bad = engine.client().bulk(items)
    assert (good["line"], good["status"]) == (2, "created")
    assert (bad["line"], bad["status"], list(bad["details"])) == (1, "error", ["decision"])
    assert [request.url.path for request in engine.requests] == ["/api/bulk"]


def test_what_no_address_can_hold_is_refused_by_the_name_of_its_filter() -> None:
    engine = Engine()
    with pytest.raises(Refused, match="author holds"):
        engine.client().list_items("adr", {"author": "\udcff"})
    assert engine.requests == []


def test_an_address_that_is_too_long_is_refused() -> None:
    engine = Engine()
    with pytest.raises(Refused, match="URL too long"):
        engine.client().get("ADR-" + "1" * 70_000)
    assert engine.requests == []


@pytest.mark.parametrize("name", ["", ".", "..", "ADR-\udcff"])
def test_a_name_that_would_lead_to_another_address_is_not_found(name: str) -> None:
    engine = Engine()
    client = engine.client()
    asks = (client.get, client.delete, client.related, client.receipt, client.keys.get, client.keys.revoke)
    for ask in (*asks, lambda key: client.keys.rotate(key, 0), lambda item: client.review.decide(item, "approve")):
        with pytest.raises(NotFound):
            ask(name)
    assert engine.requests == []


def test_a_bulk_answer_that_breaks_off_is_a_lost_connection() -> None:
    engine = Engine()
    engine.before = [
        answering(httpx2.Response(200, content=b'{"line":1,"status":"created","id":"ADR-001"}\n{"line":2,'))
    ]
    answers = engine.client().bulk([{}, {}])
    assert next(answers)["id"] == "ADR-001"
    with pytest.raises(Unreachable):
        next(answers)


def test_erasing_what_is_not_there_is_no_error() -> None:
    engine = Engine()
    engine.edges = {("ADR-001", "ADR-002", "references")}
    assert engine.client().unrelate("ADR-001", "ADR-002", "references")
    assert not engine.client().unrelate("ADR-001", "ADR-002", "references")


def test_a_change_sends_the_fields_given_and_is_tried_again() -> None:
    engine = Engine()
    engine.create("failure", {"title": "A", "root_cause": "B"})
    engine.before = [losing]
    assert engine.client().update("FAIL-001", {"root_cause": "C", "impact": None})["root_cause"] == "C"
    lost, request = engine.requests
    assert (request.method, request.url.path) == (lost.method, lost.url.path) == ("PATCH", "/api/failure/FAIL-001")
    assert json.loads(request.content) == {"root_cause": "C", "impact": None}
    assert "if-match" not in request.headers


@pytest.mark.parametrize(("version", "more"), [(3, {}), (0, {"version": 3})])
def test_a_change_of_a_version_is_not_tried_again_where_it_may_be_done(version: int, more: dict[str, int]) -> None:
    engine = Engine()
    engine.before = [losing]
    with pytest.raises(Unreachable):
        engine.client().update("FAIL-001", {"root_cause": "C", **more}, version)
    (request,) = engine.requests
    assert request.headers.get("if-match") == (f'"{version}"' if version else None)


def test_what_is_new_what_a_time_brought_and_what_carries_a_tag() -> None:
    engine = Engine()
    page = {"items": [{"id": "ADR-001"}], "next_cursor": None}
    engine.before = [answering(httpx2.Response(200, json=page)) for _ in range(3)]
    client = engine.client()
    assert client.recent({"limit": 5, "types": ["adr", "failure"]}) == page
    assert client.timeline({"from": "2026-01-01", "cursor": ""}) == page
    assert client.domain("a/b") == page
    assert [request.url.raw_path.decode() for request in engine.requests] == [
        "/api/context/recent?limit=5&types=adr%2Cfailure",
        "/api/context/timeline?from=2026-01-01",
        "/api/context/domain/a%2Fb",
    ]


def test_a_search_says_how_much_of_each_item_in_its_address() -> None:
    engine = Engine()
    engine.before = [answering(httpx2.Response(200, json={"results": []}))]
    engine.client().search("pg", {"fields": "ids", "top_k": 3})
    (request,) = engine.requests
    assert dict(request.url.params) == {"fields": "ids"}
    assert json.loads(request.content) == {"query": "pg", "top_k": 3}


def test_what_was_erased_though_its_answer_was_lost_is_done() -> None:
    engine = Engine()
    engine.create("adr", {"title": "A"})
    engine.edges = {("ADR-001", "ADR-002", "references")}

    def done_and_lost(request: httpx2.Request) -> httpx2.Response:
        engine.handle(request)
        return losing(request)

    engine.before = [done_and_lost]
    engine.client().delete("ADR-001")
    assert engine.items == {}
    engine.before = [done_and_lost]
    assert engine.client().unrelate("ADR-001", "ADR-002", "references")
    assert engine.edges == set()


def test_what_never_was_there_is_not_found_though_nobody_answered_at_first() -> None:
    engine = Engine()
    engine.before = [refusing, answering(problem(503, "Away"))]
    with pytest.raises(NotFound):
        engine.client().delete("ADR-001")


def test_health_has_a_body_even_when_all_is_not_well() -> None:
    engine = Engine()
    engine.before = [answering(httpx2.Response(503, json={"status": "down", "checks": {"database": "down"}}))]
    state, well = engine.client().health()
    assert (state["status"], well) == ("down", False)
