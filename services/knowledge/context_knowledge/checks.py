"""What callers may send: every bad field is named at once."""

from collections.abc import Iterable
from datetime import date

from context_common.errors import Invalid
from context_knowledge import references
from context_knowledge.model import (
    COMMIT_TYPES,
    PROVENANCES,
    SEVERITIES,
    Adr,
    Edge,
    Failure,
    Item,
    ItemType,
    Meeting,
    RelationshipType,
    Snapshot,
    public_name,
    walk,
)

TITLE = 500  # characters
NAME = 500
ADDRESS = 2_000
TEXT = 100_000
TAG = 100
TAGS = 50
ENTRIES = 1_000
LENGTHS = {
    "title": TITLE,
    "tags": TAG,
    "source_uri": ADDRESS,
    **dict.fromkeys(
        ("author", "pattern", "app_name", "environment", "commit_hash", "status", "severity", "commit_type"), NAME
    ),
}
LARGEST_COUNT = 2**53 - 1  # what JSON readers keep exactly


class Problems:
    """Collects what is wrong, by field."""

    def __init__(self) -> None:
        self._fields: dict[str, list[str]] = {}

    def add(self, name: str, reason: str) -> None:
        """Say that `name` is wrong; the first reason for a field is enough."""
        self._fields.setdefault(name, [reason])

    def complain(self) -> None:
        """Raise Invalid with everything that was wrong, if anything was."""
        if self._fields:
            raise Invalid(self._fields)

    def text(self, name: str, value: str, most: int = TEXT) -> None:
        """`value` can be stored and is not longer than `most` characters."""
        if "\0" in value:
            self.add(name, "contains a NUL character")
        elif not _encodes(value):
            self.add(name, "is not valid Unicode")
        elif len(value) > most:
            self.add(name, f"is longer than {most:,} characters")

    def one_of(self, name: str, value: str, allowed: Iterable[str]) -> None:
        """`value` is one of the words in `allowed`."""
        if value not in allowed:
            self.add(name, f"must be one of {', '.join(allowed)}")

    def day(self, name: str, value: str) -> None:
        """`value` is empty or a real date."""
        if value and not is_date(value):
            self.add(name, "is no date of the form YYYY-MM-DD")


def is_date(value: str) -> bool:
    """Whether `value` is a day of the calendar, `YYYY-MM-DD`."""
    try:
        return date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def check_texts(item: Item) -> None:
    """Raise Invalid unless every text of `item` can be stored and is within the limits."""
    problems = Problems()
    _texts(problems, item)
    problems.complain()


def check(item: Item) -> None:
    """Raise Invalid unless `item`, defaults filled in, may be stored."""
    problems = Problems()
    _texts(problems, item)
    _required(problems, item)
    problems.one_of("status", item.status, item.kind.statuses)
    problems.one_of("provenance", item.provenance, PROVENANCES)
    problems.day(item.kind.date_field, item.date)
    match item.body:
        case Adr():
            _adr(problems, item, item.body)
        case Failure():
            _failure(problems, item.body)
        case Meeting():
            _meeting(problems, item.body)
        case Snapshot():
            _snapshot(problems, item.body)
    problems.complain()


def check_edge(edge: Edge) -> None:
    """Raise Invalid unless `edge`, ids in canonical form, may be drawn."""
    problems = Problems()
    if not 0 < edge.strength <= 1:
        problems.add("strength", "must be above 0 and at most 1")
    if edge.from_id == edge.to_id:
        problems.add("to", "must be another item than `from`")
    if edge.type is RelationshipType.SUPERSEDES:
        for name, item_id in (("from", edge.from_id), ("to", edge.to_id)):
            if references.type_of(item_id) is not ItemType.ADR:
                problems.add(name, "must be an ADR: only ADRs supersede ADRs")
    problems.complain()


def _texts(problems: Problems, item: Item) -> None:
    for name, value in item.values().items():
        if name == "provenance":
            continue
        for path, part in walk(public_name(item.type, name), value):
            if isinstance(part, str):
                problems.text(path, part, LENGTHS.get(name, TEXT))
            elif len(part) > (TAGS if name == "tags" else ENTRIES):
                problems.add(path, f"has more than {TAGS if name == 'tags' else ENTRIES} entries")
    for index, tag in enumerate(item.tags):
        if not tag.strip():
            problems.add(f"tags[{index}]", "is empty")


def _required(problems: Problems, item: Item) -> None:
    values = item.values()
    for name in item.kind.required:
        value = values[name]
        if not (value.strip() if isinstance(value, str) else value):
            problems.add(public_name(item.type, name), "is required")


def _ids(problems: Problems, name: str, ids: tuple[str, ...], prefix: str = "") -> None:
    for index, item_id in enumerate(ids):
        if references.canonical(item_id) is None or not item_id.startswith(prefix):
            problems.add(f"{name}[{index}]", f"is no id such as {prefix or 'ADR-'}001")


def _adr(problems: Problems, item: Item, body: Adr) -> None:
    _ids(problems, "supersedes", body.supersedes, "ADR-")
    if body.superseded_by and references.type_of(body.superseded_by) is not ItemType.ADR:
        problems.add("superseded_by", "is no id such as ADR-001")
    if item.id and item.id in body.supersedes:
        problems.add("supersedes", "names the item itself")
    if item.id and item.id == body.superseded_by:
        problems.add("superseded_by", "names the item itself")
    if body.superseded_by and body.superseded_by in body.supersedes:
        problems.add("superseded_by", "is also in `supersedes`")


def _failure(problems: Problems, body: Failure) -> None:
    problems.one_of("severity", body.severity, SEVERITIES)
    if not 0 < body.occurrence_count <= LARGEST_COUNT:
        problems.add("occurrence_count", f"must be from 1 to {LARGEST_COUNT}")
    if body.first_seen and body.last_seen and body.last_seen < body.first_seen:
        problems.add("last_seen", "is before `first_seen`")


def _meeting(problems: Problems, body: Meeting) -> None:
    for index, decision in enumerate(body.decisions):
        name = f"decisions[{index}]"
        if not decision.decision.strip():
            problems.add(f"{name}.decision", "is required")
        for number, action in enumerate(decision.action_items):
            if not action.task.strip():
                problems.add(f"{name}.action_items[{number}].task", "is required")
            problems.day(f"{name}.action_items[{number}].due", action.due)


def _snapshot(problems: Problems, body: Snapshot) -> None:
    problems.one_of("commit_type", body.commit_type, COMMIT_TYPES)
    _ids(problems, "references", body.references)


def _encodes(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
