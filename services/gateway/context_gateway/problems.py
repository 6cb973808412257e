"""Table two of the errors: kind → HTTP. Here, and nowhere else, an error becomes a problem document (RFC 9457)."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from context_common import errors
from context_gateway.answers import encode
from context_gateway.lanes import Busy

MEDIA_TYPE = "application/problem+json"
Details = Mapping[str, Sequence[str]]

log = structlog.get_logger()

# Kind, HTTP status, code, title.
KINDS: tuple[tuple[type[errors.AppError], int, str, str], ...] = (
    (errors.Invalid, 422, "validation_failed", "Validation failed"),
    (errors.NotFound, 404, "not_found", "Not found"),
    (errors.Stale, 412, "version_mismatch", "Version mismatch"),
    (errors.Conflict, 409, "conflict", "Conflict"),
    (errors.Unauthenticated, 401, "unauthenticated", "Unauthorized"),
    (errors.Denied, 403, "denied", "Not allowed"),
    (errors.Overloaded, 429, "overloaded", "Too many requests"),
    (errors.Unavailable, 503, "unavailable", "Service unavailable"),
    (errors.TooLate, 504, "deadline_exceeded", "Deadline exceeded"),
)
# What only HTTP can get wrong.
REFUSALS = {
    400: ("bad_request", "Malformed request"),
    403: ("denied", "Not allowed"),
    404: ("not_found", "Not found"),
    405: ("method_not_allowed", "Method not allowed"),
    413: ("too_large", "Too large"),
    415: ("unsupported_media_type", "Unsupported media type"),
    421: ("misdirected", "Misdirected request"),
}
INTERNAL = ("internal", "Internal error")
# How pydantic's complaints read here; `{…}` is filled from their context.
PHRASES = {
    "missing": "is required",
    "extra_forbidden": "is unknown",
    "string_type": "must be a string",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "literal_error": "must be one of {expected}",
    "string_too_long": "is longer than {max_length:,} characters",
    "too_long": "has more than {max_length:,} entries",
    "too_short": "must not be empty",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
}
# What fields of the services are called here.
PUBLIC = {
    "page_token": "cursor",
    "page_size": "limit",
    "from_date": "from",
    "to_date": "to",
    "from_id": "from",
    "to_id": "to",
    "since": "from",
    "until": "to",
    "overlap": "overlap_seconds",
}
MOST_NAMED = 100  # faults of one request
BODIES = ("item.", "adr.", "failure.", "meeting.", "snapshot.", "relationship.", "filter.", "feedback.")


class Refused(HTTPException):
    """The request is wrong in a way that only HTTP knows; `status` is one of REFUSALS."""

    def __init__(self, status: int, details: Details | None = None, detail: str = "") -> None:
        super().__init__(status, detail or phrase(details or {}))
        self.details = details or {}


class BadCredential(errors.Unauthenticated):
    """The credential that was shown is not good."""


class MissingScope(errors.Denied):
    """The credential is good, and not enough."""

    def __init__(self, scope: str, message: str = "") -> None:
        super().__init__(message or f"the credential lacks the scope {scope}")
        self.scope = scope


class OtherNamespace(errors.NotFound):
    """There is no such namespace."""


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as callers see it."""

    status: int
    code: str
    title: str
    detail: str
    details: Details = field(default_factory=dict)
    retry_after: int | None = None  # seconds
    headers: Mapping[str, str] = field(default_factory=dict)

    def summary(self) -> dict[str, Any]:
        """The part that also stands in a line of a bulk answer."""
        body: dict[str, Any] = {"error": self.title, "code": self.code, "detail": self.detail, "details": self.details}
        return body if self.retry_after is None else body | {"retry_after": self.retry_after}

    def document(self, request_id: str) -> dict[str, Any]:
        """The whole problem document."""
        about = {"type": f"urn:context:problem:{self.code}", "title": self.title, "status": self.status}
        return about | self.summary() | {"request_id": request_id}


def describe(error: BaseException, *, reading: bool = False) -> Problem:
    """The problem that `error` is; `reading`: of a request without a body, where what is invalid is its query."""
    match error:
        case RequestValidationError() | ValidationError():
            return _validation(error.errors())
        case HTTPException():
            return _refusal(error)
        case errors.Invalid():
            details = {public_name(name): reasons for name, reasons in error.fields.items()}
            detail = phrase(details) or error.message
            return _refused(400, detail, details) if reading else _kind(error, detail, details)
        case errors.AppError():
            return _kind(error, error.message, {})
    return Problem(500, *INTERNAL, "Something went wrong here; the log says more under this request id.")


def respond(error: BaseException, request_id: str, *, reading: bool = False) -> Response:
    """The HTTP answer for `error`; what is not ours is logged."""
    problem = describe(error, reading=reading)
    if problem.status == 500:
        log.error("request_failed", exc_info=error)
    elif problem.status > 500 and not isinstance(error, Busy):  # of which there are many, and counted
        log.warning("request_refused", code=problem.code, reason=str(error.__cause__ or error))
    headers = dict(problem.headers)
    if problem.retry_after is not None:
        headers["Retry-After"] = str(problem.retry_after)
    return Response(encode(problem.document(request_id)), problem.status, headers, MEDIA_TYPE)


def phrase(details: Details) -> str:
    """`details` as one line for people."""
    return "; ".join(f"{name} {', '.join(reasons)}" for name, reasons in details.items())


def public_name(name: str) -> str:
    """What callers call the field that a service names."""
    for prefix in BODIES:
        name = name.removeprefix(prefix)
    return PUBLIC.get(name, name)


def field_name(loc: Iterable[int | str]) -> str:
    """`("decisions", 0, "decision")` as `decisions[0].decision`."""
    name = ""
    for part in loc:
        if isinstance(part, int):
            name += f"[{part}]"
        elif part != "[key]":
            name += f".{part}" if name else part
    return name.encode("utf-8", "replace").decode()


def _kind(error: errors.AppError, detail: str, details: Details) -> Problem:
    _, status, code, title = next(row for row in KINDS if isinstance(error, row[0]))
    retry_after = None if error.retry_after is None else max(1, math.ceil(error.retry_after))
    challenge = _challenge(error)
    headers = {"WWW-Authenticate": challenge} if challenge else {}
    return Problem(status, code, title, detail, details, retry_after, headers)


def _challenge(error: errors.AppError) -> str:
    """What a client is told of credentials (RFC 6750)."""
    match error:
        case BadCredential():
            return 'Bearer error="invalid_token"'
        case errors.Unauthenticated():
            return "Bearer"
        case MissingScope():
            return f'Bearer error="insufficient_scope", scope="{error.scope}"'
    return ""


def _refusal(error: HTTPException) -> Problem:
    details = error.details if isinstance(error, Refused) else {}
    return _refused(error.status_code, error.detail, details, error.headers)


def _refused(status: int, detail: str, details: Details, headers: Mapping[str, str] | None = None) -> Problem:
    code, title = REFUSALS.get(status, REFUSALS[400])
    return Problem(status, code, title, detail, details, headers=headers or {})


def _validation(complaints: Sequence[Any]) -> Problem:
    """Bad path: there is no such thing. Bad query: malformed. Bad body: invalid, with every field named."""
    places = {complaint["loc"][0] for complaint in complaints if complaint["loc"]}
    if "path" in places:
        return _refused(404, "Nothing is stored under that id.", {})
    details: dict[str, list[str]] = {}
    for complaint in complaints[:MOST_NAMED]:
        loc = complaint["loc"]
        if len(loc) > 1 and loc[0] in ("body", "query"):
            loc = loc[1:]
        details.setdefault(field_name(loc) or "body", []).append(_reason(complaint))
    if len(complaints) > MOST_NAMED:
        details["body"] = [f"has {len(complaints):,} faults, of which these are the first {MOST_NAMED}"]
    if "query" in places:
        return _refused(400, phrase(details), details)
    return _kind(errors.Invalid(), phrase(details), details)


def _reason(complaint: Any) -> str:
    kind = complaint["type"]
    if complaint.get("input", ...) is None and kind.endswith(("_type", "literal_error")):
        return "must not be null"
    template = PHRASES.get(kind)
    return template.format(**complaint.get("ctx", {})) if template else str(complaint["msg"])
