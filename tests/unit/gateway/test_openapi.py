"""The OpenAPI document by itself: it is valid, and what a client makes of its bodies is taken."""

from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.support.openapi import document


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


def test_a_body_says_what_it_takes_in_two_ways(schema: dict[str, Any]) -> None:
    schemas = schema["components"]["schemas"]
    assert schemas["MeetingCreate"]["oneOf"] == [{"required": ["meeting_title"]}, {"required": ["title"]}]
    assert {"meeting_title", "title"} <= schemas["MeetingChange"]["properties"].keys()
    reach = ("namespaces", "namespace", "read_namespaces")
    assert schemas["KeyCreate"]["anyOf"] == [{"required": [name]} for name in reach]
    for field in ("tags", "changed_files", "references"):
        kinds = [option["type"] for option in schemas["SnapshotCreate"]["properties"][field]["anyOf"]]
        assert kinds == ["array", "string", "null"], field


def test_a_list_says_which_values_its_filters_take(schema: dict[str, Any]) -> None:
    taken = {part["name"]: part["schema"] for part in schema["paths"]["/api/failure"]["get"]["parameters"]}
    assert taken["severity"]["enum"] == ["low", "medium", "high", "critical"]
    assert taken["status"]["items"]["enum"] == ["investigating", "resolved", "recurring", "archived"]
    assert taken["cursor"]["maxLength"] == 1_000
