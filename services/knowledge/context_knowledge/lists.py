"""What lists of items may be narrowed by."""

from context_common import pages
from context_common.caller import Caller
from context_common.pages import Page
from context_knowledge.checks import NAME, TAG, TITLE, Problems, is_date
from context_knowledge.model import KINDS, SEVERITIES, Filter, Item, Position
from context_knowledge.references import canonical
from context_knowledge.store import Store

ALL_STATUSES = tuple(dict.fromkeys(status for kind in KINDS.values() for status in kind.statuses))


async def list_items(store: Store, who: Caller, wanted: Filter, page_size: int, cursor: str) -> Page[Item]:
    """A page of the items that pass `wanted`; `page_size` 0 is 50, above 200 is 200.

    Raises:
        Invalid: A filter has a value that it cannot have, or the cursor belongs to another list.
    """
    _check(wanted)
    size, mark = pages.size(page_size), pages.mark("items", who.namespace, wanted.values())
    after = _position(cursor, mark) if cursor else None
    found = await store.read(who, lambda session: session.lists.page(wanted, after, size + 1))
    return pages.cut(found, size, mark, lambda item: (item.date, item.id))


def _check(wanted: Filter) -> None:
    problems = Problems()
    for status in wanted.statuses:
        problems.one_of("status", status, KINDS[wanted.type].statuses if wanted.type else ALL_STATUSES)
    if wanted.severity:
        problems.one_of("severity", wanted.severity, SEVERITIES)
    problems.day("from", wanted.from_date)
    problems.day("to", wanted.to_date)
    if wanted.from_date and wanted.to_date and wanted.from_date > wanted.to_date:
        problems.add("from", "is after to")
    for tag in wanted.tags:
        problems.text("tags", tag, TAG)
    problems.text("q", wanted.text, TITLE)
    for name in ("author", "pattern", "app_name"):
        problems.text(name, getattr(wanted, name), NAME)
    problems.complain()


def _position(cursor: str, mark: str) -> Position:
    """The position in `cursor`.

    Raises:
        Invalid: It is none of this list's.
    """
    day, item_id = pages.decode(cursor, mark, str, str)
    if not is_date(day) or canonical(item_id) != item_id:
        raise pages.unknown()
    return Position(day, item_id)
