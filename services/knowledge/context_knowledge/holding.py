"""Which items wait for somebody's verdict before any agent is shown them.

What people wrote is never held, only counted. What programs and agents wrote is looked at when it is created and
whenever its text changes; what people import is looked at as well, since they have seldom read it.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from context_knowledge import injection, metrics, references
from context_knowledge.model import Item, Review, Suspicion, public_name, walk

HUMAN = "human"
UNVOUCHED = ("agent", "event")
# Fields that hold no words of the writer's own,
WORDLESS = frozenset(
    """status pinned provenance severity occurrence_count first_seen last_seen created_date incident_date date
    commit_type""".split()  # noqa: SIM905
)
IDS = ("supersedes", "superseded_by", "references")  # or only in ids that are no numbers
JOINTS = re.compile(r"[._-]+")


def first_look(item: Item) -> Item:
    """A new item, held where its text looks like instructions."""
    found = _suspicions(item, item.provenance)
    held = bool(found) and item.provenance != HUMAN
    return replace(item, review=Review.HELD if held else Review.NONE, suspicions=found if held else ())


def second_look(old: Item, new: Item, by: str) -> Item:
    """`new` in the place of `old`, its text changed by a hand of the provenance `by`.

    Text that an agent or a program had a hand in is no longer a person's: it takes their provenance, and an approval
    ends with it. A person's change keeps an approval, and frees a held item of what it was held for. A rejection stays.
    """
    before, after = old.values(), new.values()
    if all(_words(name, before[name]) == _words(name, value) for name, value in after.items() if name not in WORDLESS):
        return new
    if by in UNVOUCHED and new.provenance not in UNVOUCHED:
        new = replace(new, provenance=by)
    if old.review is Review.REJECTED or (by == HUMAN and old.review is Review.APPROVED):
        return new
    found = _suspicions(new, by)
    held = bool(found) and (by != HUMAN or old.review is Review.HELD)
    return replace(new, review=Review.HELD if held else Review.NONE, suspicions=found if held else ())


def _suspicions(item: Item, provenance: str) -> tuple[Suspicion, ...]:
    """What of the text of `item` looks like instructions, field by field, each rule once."""
    found: dict[tuple[str, str], Suspicion] = {}
    for name, value in {"id": _spelled((item.id,)), **item.values()}.items():
        if name in WORDLESS:
            continue
        for path, text in walk(public_name(item.type, name), _words(name, value)):
            for rule, excerpt in injection.look(text) if isinstance(text, str) else ():
                found.setdefault((path, rule), Suspicion(path, rule, excerpt))
    for _, rule in found:
        metrics.SUSPICIONS.labels(rule, provenance).inc()
    return tuple(found.values())


def _words(name: str, value: Any) -> Any:
    """What of a field may be the writer's own words."""
    if name not in IDS:
        return value
    return _spelled(value if isinstance(value, tuple) else (value,))


def _spelled(ids: Sequence[str]) -> tuple[str, ...]:
    """Those of `ids` that are no numbers, as words."""
    return tuple(JOINTS.sub(" ", item_id) for item_id in ids if item_id and not references.number_of(item_id))
