"""Pages of lists: how many entries, and the cursor that goes on where a page ended."""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from context_common.errors import Invalid

Entry = TypeVar("Entry")

PAGE = 50
MOST = 200
LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Page(Generic[Entry]):
    """Entries, and the cursor of the next page; empty at the end."""

    items: list[Entry]
    cursor: str


def size(asked: int) -> int:
    """How many entries a page has: 50 where 0 is asked for, 200 where more is.

    Raises:
        Invalid: The number is negative.
    """
    if asked < 0:
        raise Invalid({"limit": ["must not be negative"]})
    return min(asked or PAGE, MOST)


def mark(*what: Any) -> str:
    """Tells the cursors of two lists apart; `what` is the list's name and all that narrows it."""
    return hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()[:16]


def cut(found: Sequence[Entry], most: int, list_mark: str, position: Callable[[Entry], Sequence[Any]]) -> Page[Entry]:
    """The page of the first `most` entries; `found` has one more where there are more."""
    entries = list(found[:most])
    more = len(found) > most
    return Page(entries, encode(position(entries[-1]), list_mark) if more else "")


def encode(position: Sequence[Any], list_mark: str) -> str:
    """The cursor of what stands after `position`."""
    return base64.urlsafe_b64encode(json.dumps([*position, list_mark]).encode()).decode().rstrip("=")


def decode(cursor: str, list_mark: str, *kinds: type) -> tuple[Any, ...]:
    """The position in `cursor`, each of its parts of the type named.

    Raises:
        Invalid: It is no cursor of this list.
    """
    try:
        *position, found = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if found == list_mark and [type(part) for part in position] == list(kinds) and all(map(_storable, position)):
            return tuple(position)
    except (ValueError, TypeError, binascii.Error, RecursionError):
        pass
    raise unknown()


def decode_moment(cursor: str, list_mark: str) -> tuple[datetime, str]:
    """The time and the id in `cursor`, in whose order a list stands.

    Raises:
        Invalid: It is no cursor of this list.
    """
    written, entry_id = decode(cursor, list_mark, str, str)
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        raise unknown() from None
    if moment.tzinfo is None:
        raise unknown()
    return moment, entry_id


def _storable(part: str | int) -> bool:
    """Whether the database can compare with it: anybody can make up a cursor."""
    if isinstance(part, int):
        return 0 <= part <= LARGEST
    return part.isprintable()  # neither NUL nor half of a surrogate pair is


def unknown() -> Invalid:
    """What a cursor of another list, or of none, gets."""
    return Invalid({"cursor": ["is not a cursor of this list"]})
