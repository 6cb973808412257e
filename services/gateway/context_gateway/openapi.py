"""The OpenAPI document: FastAPI's, with the errors and headers that every call has."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from threading import Lock
from typing import Any, TypeAlias

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from context_common.caller import NAMESPACE, REQUEST_ID
from context_gateway import VERSION
from context_gateway.access import OPERATIONS
from context_gateway.admission import UNCOUNTED
from context_gateway.api import IDEMPOTENCY_KEY, KEY
from context_gateway.credential import NAMESPACE_HEADER
from context_gateway.problems import MEDIA_TYPE
from context_gateway.schemas.items import KINDS

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
NDJSON = "application/x-ndjson"
Responses: TypeAlias = dict[int | str, dict[str, Any]]
EVERYWHERE = {
    "400": "Malformed JSON, query or header; as text where it is not HTTP",
    "421": "Addressed to a host that is not in ALLOWED_HOSTS",
    "429": "Too much to do just now; see Retry-After",
    "503": "A part that is needed is away; see Retry-After",
    "504": "Not answered in time",
    "default": "Whatever else goes wrong, such as 405 or 500",
}
# Before there is a request that could have a problem; the connection is closed.
UNREAD = {
    "400": "",
    "408": "The request did not come in time",
    "414": "The address is longer than 8 KiB",
    "431": "The headers are larger than 64 KiB, or more than 100",
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
        NAMESPACE.pattern,
    ),
    ("X-Request-Id", "Echoed in the answer and in every log line; made if absent or malformed.", REQUEST_ID.pattern),
)
CREDENTIAL = "credential"
BEARER = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key (`ctx_…`) or a JWT. The scope admin stands for every other one.",
}
GUARD = ("If-Match", "The ETag of the version that may be changed.", "")
REPEATED = (
    IDEMPOTENCY_KEY,
    "Sent again within a day it is answered as the first time, and creates nothing again.",
    KEY.pattern,
)
PREFER = ("Prefer", "`respond-async`, or `wait=` seconds for the index.", "")
KEYS = "/api/admin/keys"
FINDING = ("/metrics", "/api/graph/relationships")  # name what may not be there elsewhere than in their path
MAKING = Lock()
REPEATABLE = (
    "create_adr",
    "create_failure",
    "create_meeting",
    "create_snapshot",
    "create_key",
    "rotate_key",
    "create_relationship",
    "record_feedback",
    "bulk",
)
WRITES = ("post", "put", "patch", "delete")
UNWAITING = ("Context", "Feedback", "Admin", "Embeddings")  # tags whose POSTs write no items; of them waits only
REVIEW = "review_item"
COUNTED = {
    "X-RateLimit-Limit": ("integer", "Requests that the window has."),
    "X-RateLimit-Remaining": ("integer", "Requests that are left of it."),
    "X-RateLimit-Reset": ("integer", "Seconds until the count starts anew."),
    "RateLimit-Policy": ("string", "The rate, as the IETF's draft has it."),
    "RateLimit": ("string", "What is left of it, as the IETF's draft has it."),
}
ANSWERED = COUNTED | {  # headers of answers: their types, and what they say
    "Allow": ("string", "The methods that the address takes."),
    "ETag": ("string", "The version, for If-Match."),
    "Location": ("string", "Where it is read."),
    "Preference-Applied": ("string", "What of Prefer was heeded."),
    "Retry-After": ("integer", "Seconds after which to come again."),
    "Server-Timing": ("string", "Milliseconds of each stage."),
    "WWW-Authenticate": ("string", "Which credential is asked for."),
    "X-Request-Id": ("string", "The request's id, in every log line about it."),
}
TELLING = {
    "401": "WWW-Authenticate",
    "403": "WWW-Authenticate",
    "429": "Retry-After",
    "503": "Retry-After",
    "default": "Allow",
}


def answered(shape: Any, *headers: str, status: int = 200, description: str = "As asked") -> Responses:
    """What a route says of one of its answers: its shape, and which headers it has of its own."""
    return {status: {"model": shape, "description": description, "headers": _headers(headers)}}


def document(app: FastAPI) -> dict[str, Any]:
    """The document of `app`, made once. It takes half a second of processor time: not on the event loop."""
    with MAKING:
        if app.openapi_schema is None:
            app.openapi_schema = _made(app)
        return app.openapi_schema


def _made(app: FastAPI) -> dict[str, Any]:
    schema = get_openapi(title=TITLE, version=VERSION, description=DESCRIPTION, routes=app.routes)
    if public_url := app.state.settings.public_url:
        schema["servers"] = [{"url": public_url}]
    schemas = schema.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = PROBLEM
    bulk = [_bulk_line(kind.name, schemas[kind.create.__name__]) for kind in KINDS.values()]
    schemas |= {line["title"]: line for line in bulk}
    asked = schema["paths"]["/api/bulk"]["post"]["requestBody"]["content"][NDJSON]
    asked["schema"] = _text_of({"anyOf": [{"$ref": f"#/components/schemas/{line['title']}"} for line in bulk]})
    schema["components"]["securitySchemes"] = {CREDENTIAL: BEARER}
    schema["components"]["headers"] = {
        name: {"description": said, "schema": {"type": kind}} for name, (kind, said) in ANSWERED.items()
    }
    for path, method, operation in operations(schema):
        _complete(path, method, operation)
    return schema


def operations(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each operation of a document with its path and method."""
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    """Say what every call answers when it fails, and which headers it takes."""
    headers = list(HEADERS)
    problems = dict(EVERYWHERE)
    allowed = OPERATIONS[f"{method.upper()} {path}"]
    operation["security"] = [] if allowed.open else [{CREDENTIAL: [allowed.scope]}]
    if not allowed.open:
        problems |= WITH_CREDENTIAL
    if "requestBody" in operation:
        problems |= WITH_BODY
    if "{" in path or path in FINDING:
        problems |= WITH_ID
    if method in WRITES and "{" in path and not path.startswith(KEYS):  # which have no versions
        problems |= WITH_VERSION
        headers.append(GUARD)
    if operation["operationId"] in REPEATABLE:
        problems["409"] = "Something already stands there, or the Idempotency-Key came with another body"
        headers.append(REPEATED)
    if operation["operationId"] == "rotate_key":
        problems["409"] = "The key has ended, was rotated already, or the Idempotency-Key came with another body"
    if method in WRITES and operation["tags"][0] not in UNWAITING:
        problems.setdefault("409", "Something already stands there")
        headers.append(PREFER)
    elif operation["operationId"] == REVIEW:
        headers.append(PREFER)
    counted = () if f"{method.upper()} {path}" in UNCOUNTED else COUNTED
    operation["responses"] = _responses(operation["responses"], problems, ["X-Request-Id", *counted])
    for name, description, pattern in headers:
        schema = {"type": "string"} | ({"pattern": f"^{pattern}$"} if pattern else {})
        parameter = {"name": name, "in": "header", "schema": schema, "description": description}
        operation.setdefault("parameters", []).append(parameter)


def _responses(own: dict[str, Any], problems: Mapping[str, str], headers: Sequence[str]) -> dict[str, Any]:
    """The responses of a route, `own`, and what else it may be answered; all have `headers` but what is not HTTP."""
    responses = {status: response for status, response in own.items() if status != "422"}  # FastAPI's, not ours
    for response in responses.values():
        if lines := response.get("content", {}).get(NDJSON):
            lines["schema"] = _text_of({"anyOf": lines["schema"]["anyOf"]})
    for status, description in problems.items():
        response = responses.setdefault(status, {"description": description})
        response.setdefault("content", {})[MEDIA_TYPE] = {"schema": {"$ref": "#/components/schemas/Problem"}}
        if status in TELLING:
            response.setdefault("headers", {}).update(_headers([TELLING[status]]))
    for response in responses.values():
        response.setdefault("headers", {}).update(_headers(headers))
    for status, description in UNREAD.items():
        response = responses.setdefault(status, {"description": description})
        response.setdefault("content", {})["text/plain"] = {"schema": {"type": "string"}}
    return dict(sorted(responses.items()))


def _text_of(line: dict[str, Any]) -> dict[str, Any]:
    """NDJSON: a schema is of the whole, which is text; that of a line is what the text holds."""
    return {"type": "string", "contentMediaType": NDJSON, "contentSchema": line}


def _bulk_line(kind: str, body: dict[str, Any]) -> dict[str, Any]:
    """What creates an item of a type, as a line of a bulk call has it."""
    fields = {"type": {"type": "string", "const": kind}, **body["properties"]}
    return {**body, "title": f"Bulk{kind.capitalize()}", "properties": fields, "required": ["type", *body["required"]]}


def _headers(names: Iterable[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
