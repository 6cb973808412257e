"""What lists may be narrowed by, and the cursor that goes on where a page ended."""

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass

from context_common.caller import Caller
from context_common.errors import Invalid
from context_knowledge.checks import NAME, TAG, TITLE, Problems, is_date
from context_knowledge.model import KINDS, SEVERITIES, Filter, Item, Position
from context_knowledge.references import canonical
from context_knowledge.store import Store

PAGE = 50
MOST = 200
ALL_STATUSES = tuple(dict.fromkeys(status for kind in KINDS.values() for status in kind.statuses))


@dataclass(frozen=True, slots=True)
class Page:
    """Items, and the cursor of the next page; empty at the end."""

    items: list[Item]
    cursor: str


async def list_items(store: Store, who: Caller, wanted: Filter, page_size: int, cursor: str) -> Page:
    """A page of the items that pass `wanted`; `page_size` 0 is 50, above 200 is 200.

    Raises:
        Invalid: A filter has a value that it cannot have, or the cursor belongs to another list.
    """
    _check(wanted, page_size)
    size = min(page_size or PAGE, MOST)
    mark = _fingerprint(wanted, who.namespace)
    after = _decode(cursor, mark) if cursor else None
    items = await store.run(who, lambda session: session.lists.page(wanted, after, size + 1))
    more = len(items) > size
    return Page(items[:size], _encode(items[size - 1], mark) if more else "")


def _check(wanted: Filter, page_size: int) -> None:
    problems = Problems()
    if page_size < 0:
        problems.add("limit", "must not be negative")
    for status in wanted.statuses:
        problems.one_of("status", status, KINDS[wanted.type].statuses if wanted.type else ALL_STATUSES)
    if wanted.severity:
        problems.one_of("severity", wanted.severity, SEVERITIES)
    problems.day("from", wanted.from_date)
    problems.day("to", wanted.to_date)
    for tag in wanted.tags:
        problems.text("tags", tag, TAG)
    problems.text("q", wanted.text, TITLE)
    for name in ("author", "pattern", "app_name"):
        problems.text(name, getattr(wanted, name), NAME)
    problems.complain()


def _fingerprint(wanted: Filter, namespace: str) -> str:
    """Tells the cursors of two lists apart."""
    text = json.dumps([namespace, wanted.values()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _encode(item: Item, mark: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([item.date, item.id, mark]).encode()).decode().rstrip("=")


def _decode(cursor: str, mark: str) -> Position:
    """The position in `cursor`.

    Raises:
        Invalid: It is none of this list's.
    """
    try:
        day, item_id, found = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if found == mark and is_date(day) and canonical(item_id) == item_id:
            return Position(day, item_id)
    except (ValueError, TypeError, AttributeError, binascii.Error, RecursionError):
        pass
    raise Invalid({"cursor": ["is not a cursor of this list"]})
