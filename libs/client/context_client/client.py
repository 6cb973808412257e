"""The REST API, a method per call."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, cast
from uuid import uuid4

import httpx2

from context_client.errors import ContextError, NotFound, Refused, Unreachable, api_error
from context_client.http import open_http
from context_client.keys import Keys
from context_client.retry import Budget, delay, worth_retrying
from context_client.review import Review
from context_client.settings import Settings
from context_client.types import (
    AuditPage,
    Bundle,
    Feedback,
    FeedbackStats,
    Found,
    Index,
    Item,
    ItemType,
    Line,
    Page,
    Receipt,
    Related,
    Relationship,
    item_type,
)
from context_client.wire import encode, if_match, segment

ATTEMPTS = 4
PATIENCE = 60.0  # seconds of waiting between the attempts of one call
LONGEST_WAIT = 120  # seconds that a bulk answer may wait for the index
PATHS: dict[ItemType, str] = {"snapshot": "/api/context/snapshot"}  # where creating is not POST /api/<type>


class Client:
    """Calls one context engine. Close it, or use it in a `with` block.

    Every method raises ApiError with the server's problem document where it says no, and Unreachable where nobody
    answers. What cannot be done twice by mistake is tried again after 429, 503 and lost connections.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        transport: httpx2.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        settings = settings or Settings()
        self.url = settings.url.rstrip("/")
        self._http = open_http(settings, transport)
        self.sleep = sleep
        self._budget = Budget()
        self.keys, self.review = Keys(self._call), Review(self._call)

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def create(self, kind: ItemType, fields: Mapping[str, Any]) -> Item:
        """Create an item, once however often it must be sent; a snapshot whose commit is known is answered as it is."""
        path = PATHS.get(kind, f"/api/{kind}")
        headers = {"Idempotency-Key": uuid4().hex}
        return cast("Item", self._call("POST", path, body=fields, idempotent=True, headers=headers))

    def get(self, item_id: str) -> Item:
        """An item with its `related_items`."""
        return cast("Item", self._call("GET", f"/api/{_kind_of(item_id)}/{segment(item_id)}"))

    def update(self, item_id: str, fields: Mapping[str, Any], version: int = 0) -> Item:
        """Change the fields given, None clears one; where the item is still at `version` (0: whatever it is).

        With a version, here or among the fields, it is not tried again where the answer was lost: it would not be at
        that version any more.
        """
        path = f"/api/{_kind_of(item_id)}/{segment(item_id)}"
        again = not (version or fields.get("version"))
        answer = self._call("PATCH", path, body=fields, idempotent=again, headers=if_match(version))
        return cast("Item", answer)

    def delete(self, item_id: str, version: int = 0) -> None:
        """Take an item out of memory, where it is still at `version` (0: whatever it is); the audit trail keeps it.

        Scope admin.
        """
        path = f"/api/{_kind_of(item_id)}/{segment(item_id)}"
        self._call("DELETE", path, erases=True, headers=if_match(version))

    def list_items(self, kind: ItemType, filters: Mapping[str, Any] | None = None) -> Page:
        """One page of the items of a type, newest first; filters are those of the API, lists comma-separated."""
        return cast("Page", self._call("GET", f"/api/{kind}", params=_query(filters or {})))

    def all_items(self, kind: ItemType, filters: Mapping[str, Any] | None = None) -> Iterator[Item]:
        """The same, of all pages."""
        return _of_all_pages(lambda cursor: self.list_items(kind, {"limit": 200, **(filters or {}), "cursor": cursor}))

    def query(self, question: str, options: Mapping[str, Any] | None = None) -> Bundle:
        """The bundle that bears on a question, within its token budget."""
        body = {"query": question, **(options or {})}
        return cast("Bundle", self._call("POST", "/api/context/query", body=body, idempotent=True))

    def receipt(self, query_id: str) -> Receipt:
        """What a query was asked and answered; kept for 30 days."""
        return cast("Receipt", self._call("GET", f"/api/context/receipts/{segment(query_id)}"))

    def feedback(self, fields: Mapping[str, Any]) -> Feedback:
        """Say what an answer was worth, once however often it must be sent; the last word on a query counts.

        Fields are those of the API: `query_id`, `overall_rating` (1 to 5), `items_helpful`, `items_not_helpful`,
        `items_used`, `missing_context` and others, of which something has to be said.
        """
        headers = {"Idempotency-Key": uuid4().hex}
        answer = self._call("POST", "/api/feedback", body=fields, idempotent=True, headers=headers)
        return cast("Feedback", answer)

    def list_feedback(self, filters: Mapping[str, Any] | None = None) -> Page:
        """One page of what was said of answers, newest first; of a `query_id` or an `item_id`."""
        return cast("Page", self._call("GET", "/api/feedback", params=_query(filters or {})))

    def all_feedback(self, filters: Mapping[str, Any] | None = None) -> Iterator[Item]:
        """The same, of all pages."""
        return _of_all_pages(lambda cursor: self.list_feedback({"limit": 200, **(filters or {}), "cursor": cursor}))

    def feedback_stats(self, days_back: int = 30) -> FeedbackStats:
        """How answers of the last days were rated, which items helped and what was missing."""
        params = {"days_back": str(days_back)}
        return cast("FeedbackStats", self._call("GET", "/api/feedback/stats", params=params))

    def search(self, text: str, options: Mapping[str, Any] | None = None) -> Found:
        """The items that match best; the option `fields` (ids, summary or full) says how much of each."""
        body = {"query": text, **(options or {})}
        params = _query({"fields": body.pop("fields", "")})
        return cast("Found", self._call("POST", "/api/search", params=params, body=body, idempotent=True))

    def recent(self, options: Mapping[str, Any] | None = None) -> Page:
        """One page of the newest items in force."""
        return cast("Page", self._call("GET", "/api/context/recent", params=_query(options or {})))

    def timeline(self, options: Mapping[str, Any] | None = None) -> Page:
        """One page of the items of a time, newest first; `from` and `to` are its days."""
        return cast("Page", self._call("GET", "/api/context/timeline", params=_query(options or {})))

    def domain(self, tag: str, options: Mapping[str, Any] | None = None) -> Page:
        """One page of the items that carry a tag, newest first."""
        return cast("Page", self._call("GET", f"/api/context/domain/{segment(tag)}", params=_query(options or {})))

    def related(self, item_id: str, options: Mapping[str, Any] | None = None) -> Related:
        """What stands around an item, nearest first."""
        path = f"/api/graph/related/{segment(item_id)}"
        return cast("Related", self._call("GET", path, params=_query(options or {})))

    def relate(self, from_id: str, to_id: str, kind: str) -> Relationship:
        """Draw a relationship; one that stands already is left as it is."""
        body = {"from": from_id, "to": to_id, "type": kind}
        return cast("Relationship", self._call("POST", "/api/graph/relationships", body=body, idempotent=True))

    def unrelate(self, from_id: str, to_id: str, kind: str) -> bool:
        """Erase a relationship; False where there was none."""
        body = {"from": from_id, "to": to_id, "type": kind}
        try:
            self._call("DELETE", "/api/graph/relationships", body=body, erases=True)
        except NotFound:
            return False
        return True

    def bulk(self, items: Iterable[Mapping[str, Any]], wait: int = LONGEST_WAIT) -> Iterator[Line]:
        """Record items of any type; answers as they come, each when searchable or after `wait` seconds.

        An item that cannot be sent is answered last, as an error of its own. Nothing is tried again here: the caller
        knows which lines were answered.
        """
        headers = {"Content-Type": "application/x-ndjson", "Prefer": f"wait={wait}"}
        unsent: list[Line] = []
        timeout = httpx2.Timeout(wait + 60.0, connect=5.0)
        with (
            self._translate("POST", "/api/bulk"),
            self._http.stream(
                "POST", "/api/bulk", content=_lines(items, unsent), headers=headers, timeout=timeout
            ) as response,
        ):
            if response.is_error:
                response.read()
                _raise_for(response)
            for line in response.iter_lines():
                if line.strip():
                    yield _line(line)
        yield from unsent

    def index(self) -> Index:
        """How far the index is, and which model made it."""
        return cast("Index", self._call("GET", "/api/admin/index"))

    def set_aside(self, cursor: str = "", limit: int = 50) -> Page:
        """Changes that the index could not take."""
        return cast(
            "Page", self._call("GET", "/api/admin/index/set-aside", params=_query({"cursor": cursor, "limit": limit}))
        )

    def all_set_aside(self) -> Iterator[Item]:
        """The same, of all pages."""
        return _of_all_pages(lambda cursor: self.set_aside(cursor, 200))

    def retry_set_aside(self, ids: Sequence[str] = ()) -> int:
        """Try changes again that were set aside, those of `ids` or all; answers how many."""
        body = {"ids": list(ids)} if ids else None
        answer = self._call("POST", "/api/admin/index/set-aside/retry", body=body, idempotent=True)
        return int(answer["retried"])

    def audit(self, filters: Mapping[str, Any] | None = None) -> AuditPage:
        """One page of the audit trail, newest first; filters are those of the API."""
        return cast("AuditPage", self._call("GET", "/api/admin/audit", params=_query(filters or {})))

    def health(self) -> tuple[dict[str, Any], bool]:
        """How the engine and its parts are, and whether all is well."""
        with self._translate("GET", "/health"):
            response = self._http.get("/health")
        body = _json(response)
        if not isinstance(body, dict) or "checks" not in body:
            _raise_for(response)
            raise _no_gateway(response)
        return body, response.is_success

    def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        idempotent: bool | None = None,
        erases: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        encode(params or {})  # an address can no more hold what a body cannot
        content = None if body is None else encode(body)
        headers = {**(headers or {}), **({} if body is None else {"Content-Type": "application/json"})}
        again = method in ("GET", "DELETE") if idempotent is None else idempotent
        waited, lost = 0.0, False
        for attempt in range(ATTEMPTS):
            try:
                answer = self._send(method, path, params, content, headers)
            except ContextError as error:
                if erases and lost and isinstance(error, NotFound):
                    return {}  # an attempt whose answer was lost has done it
                lost = lost or (isinstance(error, Unreachable) and error.sent)
                pause = delay(attempt, error)
                waited += pause
                last = attempt == ATTEMPTS - 1 or waited > PATIENCE
                if last or not worth_retrying(error, idempotent=again) or not self._budget.spend():
                    raise
                self.sleep(pause)
            else:
                self._budget.earn()
                return answer
        raise AssertionError("the last attempt returns or raises")

    def _send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        body: bytes | None,
        headers: Mapping[str, str],
    ) -> Any:
        with self._translate(method, path):
            response = self._http.request(method, path, params=params, content=body, headers=headers)
        if response.is_success:
            content = _json(response)
            if isinstance(content, dict):
                return content
            raise _no_gateway(response)
        _raise_for(response)
        raise _no_gateway(response)

    @contextmanager
    def _translate(self, method: str, path: str) -> Iterator[None]:
        """Turn the library's errors into ours."""
        try:
            yield
        except httpx2.InvalidURL as error:
            raise Refused(400, {"title": "Malformed request", "detail": str(error)}) from error
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            raise Unreachable(f"nobody answers at {self.url}", sent=False) from error
        except httpx2.TimeoutException as error:
            raise Unreachable(f"{self.url} did not answer {method} {path} in time", sent=True) from error
        except httpx2.TransportError as error:
            raise Unreachable(f"the connection to {self.url} was lost: {error}", sent=True) from error


def _kind_of(item_id: str) -> ItemType:
    kind = item_type(item_id)
    if kind is None:
        raise NotFound(404, {"title": "Not found", "detail": f"{item_id!r} is no id such as ADR-001"})
    return kind


def _of_all_pages(fetch: Callable[[str], Page]) -> Iterator[Item]:
    """The items of one page after the other; `fetch` gets the one at a cursor."""
    cursor: str | None = ""
    while cursor is not None:
        page = fetch(cursor)
        yield from page["items"]
        cursor = page["next_cursor"]


def _query(filters: Mapping[str, Any]) -> dict[str, str]:
    """Filters as a query string has them; what is empty is left out."""
    given = {name: value for name, value in filters.items() if value not in (None, "", [], ())}
    return {
        name: ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        for name, value in given.items()
    }


def _lines(items: Iterable[Mapping[str, Any]], unsent: list[Line]) -> Iterator[bytes]:
    """A line for each item, empty for what cannot be sent: the server counts such lines and answers none."""
    for number, item in enumerate(items, 1):
        try:
            yield encode(item) + b"\n"
        except Refused as error:
            said = {"error": error.problem["title"], "code": error.problem["code"], "details": error.details}
            unsent.append(cast("Line", {"line": number, "status": "error", **said}))
            yield b"\n"


def _line(text: str) -> Line:
    try:
        return cast("Line", json.loads(text))
    except json.JSONDecodeError as error:
        raise Unreachable("the answer broke off in the middle of a line", sent=True) from error


def _json(response: httpx2.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _raise_for(response: httpx2.Response) -> None:
    if response.is_error:
        body = _json(response)
        problem = body if isinstance(body, dict) else {"title": f"{response.status_code} {response.reason_phrase}"}
        raise api_error(response.status_code, problem, _retry_after(response, problem))


def _retry_after(response: httpx2.Response, problem: Mapping[str, Any]) -> float | None:
    given = response.headers.get("retry-after") or problem.get("retry_after")
    try:
        return max(0.0, float(given)) if given is not None else None
    except (TypeError, ValueError):
        return None  # an HTTP date: back off as usual


def _no_gateway(response: httpx2.Response) -> ContextError:
    return ContextError(f"what answers at {response.request.url} is not the context engine ({response.status_code})")
