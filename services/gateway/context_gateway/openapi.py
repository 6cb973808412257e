"""The OpenAPI document: FastAPI's, with the errors and headers that every call has."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from context_gateway import VERSION
from context_gateway.access import OPERATIONS
from context_gateway.credential import NAMESPACE_HEADER
from context_gateway.problems import MEDIA_TYPE

TITLE = "Context engine"
DESCRIPTION = (
    "The memory of an engineering organisation, for its coding agents: decisions, failures, meetings and commits, "
    "searched by meaning and handed over as a bundle that fits a token budget."
)
PROBLEM = {
    "type": "object",
    "description": "RFC 9457, and every bad field by name.",
    "required": ["type", "title", "status", "detail", "error", "code", "details", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "error": {"type": "string", "examples": ["Validation failed"]},
        "code": {"type": "string", "examples": ["validation_failed"]},
        "details": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
        "request_id": {"type": "string"},
        "retry_after": {"type": "integer", "description": "Seconds."},
    },
}
EVERYWHERE = {
    "400": "Malformed JSON, query or header",
    "429": "Too much to do just now; see Retry-After",
    "503": "A part that is needed is away; see Retry-After",
    "504": "Not answered in time",
}
WITH_CREDENTIAL = {
    "401": "There is no credential, or it is not good",
    "403": "The credential lacks the scope",
    "404": "The credential knows no such namespace",
}
WITH_BODY = {"413": "The body is too large", "415": "The body is not of the media type", "422": "A field is invalid"}
WITH_ID = {"404": "Nothing is stored under that id, or the credential knows no such namespace"}
WITH_VERSION = {"412": "If-Match names another version"}
HEADERS = (
    (
        NAMESPACE_HEADER,
        "The namespace to work in, among those of the credential; its only one, or `default`, without it.",
    ),
    ("X-Request-Id", "Echoed in the answer and in every log line; made if absent."),
)
CREDENTIAL = "credential"
BEARER = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key (`ctx_…`) or a JWT. The scope admin stands for every other one.",
}
GUARD = ("If-Match", "The ETag of the version that may be changed.")
REPEATED = ("Idempotency-Key", "Sent again within a day it is answered as the first time, and creates nothing again.")
PREFER = ("Prefer", "`respond-async`, or `wait=` seconds for the index.")
KEYS = "/api/admin/keys"
REPEATABLE = (
    "create_adr",
    "create_failure",
    "create_meeting",
    "create_snapshot",
    "create_key",
    "create_relationship",
    "bulk",
)
WRITES = ("post", "put", "patch", "delete")
UNWAITING = ("Context", "Admin", "Embeddings")  # tags whose POSTs write no items


def document(app: FastAPI) -> dict[str, Any]:
    """The document of `app`, made once."""
    if app.openapi_schema is None:
        schema = get_openapi(title=TITLE, version=VERSION, description=DESCRIPTION, routes=app.routes)
        if public_url := app.state.settings.public_url:
            schema["servers"] = [{"url": public_url}]
        schemas = schema.setdefault("components", {}).setdefault("schemas", {})
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        schemas["Problem"] = PROBLEM
        schema["components"]["securitySchemes"] = {CREDENTIAL: BEARER}
        for path, method, operation in operations(schema):
            _complete(path, method, operation)
        app.openapi_schema = schema
    return app.openapi_schema


def operations(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each operation of a document with its path and method."""
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    """Say what every call answers when it fails, and which headers it takes."""
    responses, headers = operation["responses"], list(HEADERS)
    responses.pop("422", None)
    problems = dict(EVERYWHERE)
    allowed = OPERATIONS[f"{method.upper()} {path}"]
    operation["security"] = [] if allowed.open else [{CREDENTIAL: [allowed.scope]}]
    if not allowed.open:
        problems |= WITH_CREDENTIAL
    if "requestBody" in operation:
        problems |= WITH_BODY
    if "{" in path or path == "/metrics":
        problems |= WITH_ID
    if method in WRITES and "{" in path and not path.startswith(KEYS):  # which have no versions
        problems |= WITH_VERSION
        headers.append(GUARD)
    if operation["operationId"] in REPEATABLE:
        problems["409"] = "Something already stands there, or the Idempotency-Key came with another body"
        headers.append(REPEATED)
    if method in WRITES and operation["tags"][0] not in UNWAITING:
        problems.setdefault("409", "Something already stands there")
        headers.append(PREFER)
    for status, description in sorted(problems.items()):
        content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        responses.setdefault(status, {"description": description, "content": content})
    for name, description in headers:
        parameter = {"name": name, "in": "header", "schema": {"type": "string"}, "description": description}
        operation.setdefault("parameters", []).append(parameter)
