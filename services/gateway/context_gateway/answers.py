"""JSON answers, and the parts of a request that shape them: `fields=`, `Prefer`, `If-Match`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response

from context_common.errors import Stale

Fields = Literal["ids", "summary", "full"]
IDS = ("id",)
SUMMARY = ("id", "type", "title", "status", "date", "tags", "version", "score", "trust")

MOST_WAIT = 120  # seconds that a bulk caller may wait for the index
WRITE_WAIT = 2.0  # seconds that a write waits for the index
LARGEST_VERSION = 2**63 - 1
ETAG = re.compile(r'(?:W/)?"([^"]*)"|([0-9]+)')

encode = msgspec.json.Encoder().encode


def answer(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`content` as a JSON response."""
    return Response(encode(content), status, headers, "application/json")


def select(item: Mapping[str, Any], fields: Fields) -> Mapping[str, Any]:
    """The part of `item` that the caller wants to pay for."""
    if fields == "full":
        return item
    return {name: item[name] for name in (IDS if fields == "ids" else SUMMARY) if name in item}


def page(items: Sequence[Any], cursor: str = "") -> Response:
    """A list; an empty `cursor` is its end."""
    return answer({"items": items, "next_cursor": cursor or None})


def etag(version: int) -> str:
    """The entity tag of a version."""
    return f'"{version}"'


def expected_version(headers: Headers) -> int:
    """The version that `If-Match` asks for; 0 where any will do.

    Weak tags count as strong ones: a proxy that compresses weakens ours, and a version is exact all the same.

    Raises:
        Stale: The header names no version that can ever match.
        HTTPException: 400, it names several: which of them was read is not said, and so not what may be overwritten.
    """
    given = ", ".join(headers.getlist("if-match")).strip()
    if given in ("", "*"):
        return 0
    match = ETAG.fullmatch(given)
    if match is None and "," in given:
        raise HTTPException(400, "If-Match takes one ETag as this service gave it, and no list of them")
    version = (match[1] or match[2] or "") if match else ""
    if not version.isdecimal() or len(version) > 19 or not 0 < int(version) <= LARGEST_VERSION:
        raise Stale(f"no version is {given[:100]!r}: If-Match takes one ETag as this service gave it")
    return int(version)


@dataclass(frozen=True, slots=True)
class Preference:
    """What the caller would like about waiting for the index (RFC 7240)."""

    seconds: float  # to wait; 0: not at all
    applied: str = ""  # empty: nothing was asked for

    @property
    def headers(self) -> dict[str, str]:
        """What the answer says about it."""
        return {"Preference-Applied": self.applied} if self.applied else {}


def preference(headers: Headers, most: float = WRITE_WAIT) -> Preference:
    """The caller's preference, with `most` seconds as the limit; what is not understood is ignored."""
    wanted = [part.strip().lower() for line in headers.getlist("prefer") for part in line.split(",")]
    if "respond-async" in wanted:
        return Preference(0.0, "respond-async")
    for part in wanted:
        if match := re.fullmatch(r"wait\s*=\s*([0-9]{1,9})", part):
            seconds = min(int(match[1]), int(most))
            return Preference(float(seconds), f"wait={seconds}")
    return Preference(WRITE_WAIT)
