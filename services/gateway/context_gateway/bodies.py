"""Reads JSON as the contract has it: UTF-8, one value per name, no NaN; what it is not becomes a 400 or 415."""

import json
from collections.abc import Callable, Coroutine
from email.message import Message
from typing import Any

from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from context_common.nesting import DEEPEST, too_deep
from context_gateway.access import confirm
from context_gateway.problems import Refused

MEMBERS = 10_000  # names of all objects in a body: each may be wrong, and would be named


class JsonRequest(Request):
    """A request whose body is JSON or nothing."""

    async def body(self) -> bytes:
        """The bytes of the body, declared as JSON."""
        raw = await super().body()
        if raw:
            require_media_type(self.headers, "application/json")
        return raw

    async def json(self) -> Any:
        """The body's value."""
        return parse(await self.body())


class JsonRoute(APIRoute):
    """A route whose handler gets a JsonRequest, and whose query has only what it declares."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, given our request."""
        handler = super().get_route_handler()
        takes_query = bool(self.dependant.query_params)  # whose own model refuses unknown names

        async def handle(request: Request) -> Response:
            confirm(request.scope)
            if request.scope["query_string"] and not takes_query:
                _refuse_query(request)
            return await handler(JsonRequest(request.scope, request.receive))

        return handle


def _refuse_query(request: Request) -> None:
    """Refuse every parameter, by name; but what anybody may ask, such as a probe, takes what stands there for caches.

    Raises:
        Refused: 400.
    """
    if not request.scope["state"]["identity"].operation.open:
        raise Refused(400, {name: ["is unknown"] for name in request.query_params})


def require_media_type(headers: Headers, wanted: str) -> None:
    """Raise Refused (415) unless the body is said to be `wanted`, or JSON by suffix, in UTF-8 and as it is."""
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise Refused(415, {"Content-Encoding": ["must be identity: send the body uncompressed"]})
    message = Message()
    message["content-type"] = headers.get("content-type") or "none/none"
    media_type = message.get_content_type()
    suits = media_type == wanted or (wanted == "application/json" and media_type.endswith("+json"))
    charset = message.get_content_charset("utf-8")
    if not suits or charset not in ("utf-8", "utf8", "us-ascii"):
        raise Refused(415, detail=f"send the body as Content-Type: {wanted}, in UTF-8")


def parse(raw: bytes) -> Any:
    """The JSON value in `raw`.

    Raises:
        Refused: 400, it is not UTF-8 or not JSON, names something twice, nests too deep or has too many names.
    """
    try:
        value = DECODER.decode(raw.decode())
    except UnicodeDecodeError as error:
        raise Refused(400, {"body": ["is not UTF-8"]}) from error
    except RecursionError as error:
        raise Refused(400, {"body": ["nests too deep"]}) from error
    except json.JSONDecodeError as error:
        raise Refused(400, {"body": [f"is not JSON: {error}"]}) from error
    except ValueError as error:
        raise Refused(400, {"body": [str(error)]}) from error
    if raw.count(b":") > MEMBERS and _members(value) > MEMBERS:
        raise Refused(400, {"body": [f"has more than {MEMBERS:,} fields"]})
    if raw.count(b"[") + raw.count(b"{") > DEEPEST and too_deep(value):
        raise Refused(400, {"body": ["nests too deep"]})
    return value


def _members(value: Any) -> int:
    """How many names its objects have, all together."""
    count, left = 0, [value]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            count += len(one)
            left.extend(one.values())
        elif isinstance(one, list):
            left.extend(one)
    return count


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("names a field twice")
    if not all(map(_is_unicode, members)):
        raise ValueError("names a field that is not valid Unicode")
    return members


def _is_unicode(name: str) -> bool:
    """Whether no half of a surrogate pair stands in `name`; in values pydantic's own fields see to that."""
    return name.isascii() or not any("\ud800" <= character <= "\udfff" for character in name)


def _no_constant(name: str) -> Any:
    raise ValueError(f"is not JSON: {name} is no number")


def _integer(digits: str) -> int:
    if len(digits) > 400:
        raise ValueError("holds a number that is too long")
    return int(digits)


DECODER = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_constant, parse_int=_integer)
