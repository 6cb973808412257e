"""The OpenAPI document by itself: it is valid, and what a client makes of its bodies is taken."""

import json
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.support.openapi import Contract, document, operations_of

LINE = {"line": 1, "id": "ADR-001", "status": "created", "indexed": True}
JSON = {"content-type": "application/json", "x-request-id": "r1"}
LINES = {"content-type": "application/x-ndjson"}


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return document()


def test_the_document_is_valid(schema: dict[str, Any]) -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(schema).iter_errors()] == []


def test_a_change_has_no_defaults_for_a_client_to_send(schema: dict[str, Any]) -> None:
    changes = {name: body for name, body in schema["components"]["schemas"].items() if name.endswith("Change")}
    assert len(changes) == 4
    for name, body in changes.items():
        assert not [field for field, said in body["properties"].items() if "default" in said], name


def test_a_body_says_what_it_takes(schema: dict[str, Any]) -> None:
    schemas = schema["components"]["schemas"]
    assert schemas["MeetingCreate"]["oneOf"] == [{"required": ["meeting_title"]}, {"required": ["title"]}]
    assert {"meeting_title", "title"} <= schemas["MeetingChange"]["properties"].keys()
    reach = ("namespaces", "namespace", "read_namespaces")
    assert schemas["KeyCreate"]["anyOf"] == [{"required": [name]} for name in reach]
    assert schemas["AdrCreate"]["properties"]["title"]["pattern"] == r"\S"
    for field in ("tags", "changed_files", "references"):
        kinds = [option["type"] for option in schemas["SnapshotCreate"]["properties"][field]["anyOf"]]
        assert kinds == ["array", "string", "null"], field


def test_a_list_says_which_values_its_filters_take(schema: dict[str, Any]) -> None:
    taken = {part["name"]: part["schema"] for part in schema["paths"]["/api/failure"]["get"]["parameters"]}
    assert taken["severity"]["enum"] == ["low", "medium", "high", "critical"]
    assert taken["status"]["items"]["enum"] == ["investigating", "resolved", "recurring", "archived"]
    assert taken["cursor"]["maxLength"] == 1_000


def test_every_answer_has_a_schema_and_a_request_id(schema: dict[str, Any]) -> None:
    for operation in operations_of(schema):
        done = [answer for status, answer in operation["responses"].items() if status.startswith("2")]
        assert done, operation["operationId"]
        for answer in done:
            assert "X-Request-Id" in answer["headers"]
            assert all(content["schema"] for content in answer["content"].values()), operation["operationId"]
        for status in ("429", "503"):
            assert "Retry-After" in operation["responses"][status]["headers"]


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/metrics", "text/plain"),
        ("/api/skills/{name}", "text/markdown"),
        ("/api/bulk", "application/x-ndjson"),
        ("/api/adr", "application/json"),
    ],
)
def test_an_answer_has_one_media_type(schema: dict[str, Any], path: str, media_type: str) -> None:
    [operation] = [found for method, found in schema["paths"][path].items() if path != "/api/adr" or method == "get"]
    assert list(operation["responses"]["200"]["content"]) == [media_type]


def test_a_line_of_a_bulk_call_is_what_creates_an_item_and_its_type(schema: dict[str, Any]) -> None:
    asked = schema["paths"]["/api/bulk"]["post"]["requestBody"]["content"]["application/x-ndjson"]["schema"]
    assert len(asked["contentSchema"]["anyOf"]) == 4
    assert set(schema["components"]["schemas"]["BulkAdr"]["required"]) == {"type", "title", "decision"}


@pytest.mark.parametrize(
    ("call", "status", "headers", "body", "fault"),
    [
        ("GET /livez", 200, JSON, {"status": "alive"}, ""),
        ("GET /livez", 200, JSON, {"status": "dead"}, "$.status"),
        ("GET /livez", 200, JSON, {}, "'status' is a required property"),
        ("GET /livez", 200, JSON, {"status": "alive", "more": 1}, "'more' was unexpected"),
        ("GET /livez", 200, {**JSON, "etag": '"1"'}, {"status": "alive"}, "the header ETag"),
        ("GET /livez", 201, JSON, {"status": "alive"}, "the status 201"),
        ("GET /livez", 200, {"content-type": "text/html"}, {"status": "alive"}, "200 as text/html"),
        ("GET /livez", 500, {"content-type": "application/problem+json"}, {}, "is a required property"),
        ("POST /api/bulk", 200, LINES, LINE, ""),
        ("POST /api/bulk", 200, LINES, {**LINE, "status": "lost"}, "$"),
        ("GET /api/context/domain/ci/cd", 200, JSON, {"items": [{"id": "ADR-001"}], "next_cursor": None}, ""),
        ("GET /api/context/domain/ci/cd", 200, JSON, {"items": [{"id": 1}], "next_cursor": None}, "$.items[0]"),
    ],
)
def test_what_the_document_does_not_say_is_found(
    schema: dict[str, Any], call: str, status: int, headers: dict[str, str], body: Any, fault: str
) -> None:
    method, _, path = call.partition(" ")
    faults = Contract(schema).faults(method, path, status, headers, json.dumps(body).encode())
    assert len(faults) == bool(fault)
    assert fault in "".join(faults)
