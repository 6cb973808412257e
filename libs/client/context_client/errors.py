"""What can go wrong with a call.

ContextError
├── CommandFailed    a command of contextctl that asks no engine could not do its work
├── Unreachable      nobody answered, or the answer broke off
└── ApiError         an answer that is a problem document
    ├── NotFound     404
    ├── Denied       401, 403
    ├── Refused      any other 4xx: the request is wrong
    ├── Away         429, 502, 503, 504: try again after `retry_after`
    └── ServerError  any other 5xx
"""

from collections.abc import Mapping
from typing import Any


class ContextError(Exception):
    """A call failed."""


class CommandFailed(ContextError):
    """A command could not do its work; `code` is its exit code."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


class Unreachable(ContextError):
    """Nobody answered. `sent`: the request may have arrived all the same."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class ApiError(ContextError):
    """The server said no; `problem` is its problem document (RFC 9457)."""

    def __init__(self, status: int, problem: Mapping[str, Any], retry_after: float | None = None) -> None:
        self.status, self.problem, self.retry_after = status, dict(problem), retry_after
        super().__init__(describe(problem) or f"the server answered {status}")

    @property
    def details(self) -> dict[str, list[str]]:
        """What is wrong, by field."""
        found = self.problem.get("details")
        return found if isinstance(found, dict) else {}


class NotFound(ApiError):
    """Nothing is stored under that id."""


class Denied(ApiError):
    """The credential is missing, bad, or not enough."""


class Refused(ApiError):
    """The request is wrong; `details` names the fields."""


class Away(ApiError):
    """A part that is needed is away or full just now."""


class ServerError(ApiError):
    """The server failed."""


def api_error(status: int, problem: Mapping[str, Any], retry_after: float | None) -> ApiError:
    """The error that an answer with `status` is."""
    kinds = {404: NotFound, 401: Denied, 403: Denied, 429: Away, 502: Away, 503: Away, 504: Away}
    kind = kinds.get(status, Refused if status < 500 else ServerError)
    return kind(status, problem, retry_after)


def describe(problem: Mapping[str, Any]) -> str:
    """A problem document, or the error of a bulk line, as one sentence."""
    details = problem.get("details")
    fields = ""
    if isinstance(details, dict):
        fields = "; ".join(f"{name} {', '.join(map(str, reasons))}" for name, reasons in details.items())
    title = str(problem.get("title") or problem.get("error") or "")
    said = fields or str(problem.get("detail") or "")
    return f"{title}: {said}" if title and said and said != title else said or title
