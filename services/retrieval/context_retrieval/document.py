"""From the wire's item to what is indexed: every text field in its place, and the fields that a bundle shows."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date
from functools import cache
from typing import Any

from context.v1 import knowledge_pb2, types_pb2
from context_retrieval.model import Document, Edge, Key, Section

NOT_IN_FORCE = frozenset({"archived", "rejected", "superseded", "retracted", "cancelled"})
# What each type shows of its own, the most telling first. Its date is not among them: every item has `date`.
OWN_FIELDS: Mapping[str, tuple[str, ...]] = {
    "adr": (
        "decision",
        "context",
        "consequences",
        "options_considered",
        "outcome",
        "supersedes",
        "superseded_by",
        "stakeholders",
    ),
    "failure": (
        "root_cause",
        "resolution",
        "symptoms",
        "impact",
        "prevention",
        "lessons_learned",
        "severity",
        "pattern",
        "app_name",
        "environment",
        "occurrence_count",
        "first_seen",
        "last_seen",
    ),
    "meeting": ("decisions", "attendees"),
    "snapshot": ("commit_message", "commit_hash", "commit_type", "changed_files", "references"),
}
# What of it an item says even where it is cut: without that, what was weighed reads like what was decided.
TELLING: Mapping[str, tuple[str, ...]] = {
    "adr": ("decision",),
    "failure": ("root_cause", "resolution"),
    "meeting": ("decisions",),
    "snapshot": ("commit_message",),
}
# Fields that are only searched, after all others.
AUTHOR, SOURCE = "Author", "Source"
# Shown, but said by a filter or an edge rather than searched for as words.
NOT_TEXT = frozenset({"supersedes", "superseded_by", "severity", "occurrence_count", "first_seen", "last_seen"})
DATES = {"adr": "created_date", "failure": "incident_date", "meeting": "date", "snapshot": "date"}
TYPES = {types_pb2.ItemType.Value(f"ITEM_TYPE_{name.upper()}"): name for name in OWN_FIELDS}
# The fields of what a meeting decided, in the order in which they are read.
FIRST = {
    field.name: at
    for at, field in enumerate((*types_pb2.MeetingDecision.DESCRIPTOR.fields, *types_pb2.ActionItem.DESCRIPTOR.fields))
}
NO_DATE = date(1970, 1, 1)
WITHHELD = frozenset({types_pb2.REVIEW_HELD, types_pb2.REVIEW_REJECTED})


def from_change(change: knowledge_pb2.Change) -> Document:
    """The document that `change` asks for; a tombstone where the item is gone, or withheld.

    What may not be shown is not indexed at all, so that no search can forget to leave it out. A verdict is a change
    of the item, and brings it here again.
    """
    key = Key(change.namespace, change.item_id)
    if not change.HasField("item") or change.item.review in WITHHELD:
        return Document(key, change.change_id, deleted=True)
    item = change.item
    item_type = item.WhichOneof("body") or TYPES.get(item.type, "")
    body = getattr(item, item_type)
    payload = _own_fields(item_type, body)
    return Document(
        key=key,
        change_id=change.change_id,
        version=item.version,
        type=item_type,
        title=item.title,
        tags=tuple(item.tags),
        status=item.status,
        in_force=item.status not in NOT_IN_FORCE,
        item_date=_day(getattr(body, DATES[item_type])) or _day(item.created_at.ToJsonString()[:10]) or NO_DATE,
        updated_at=item.updated_at.ToDatetime(UTC) if item.HasField("updated_at") else None,
        pinned=item.pinned,
        severity=payload.get("severity", ""),
        access_count=item.access_count_30d,
        feedback=item.feedback,
        provenance=_provenance(item.provenance),
        review="approved" if item.review == types_pb2.REVIEW_APPROVED else "",
        author=item.author,
        source_uri=item.source_uri,
        payload=payload,
        edges=tuple(
            Edge(edge.to_id, types_pb2.RelationshipType.Name(edge.type)[18:].lower(), edge.strength)
            for edge in change.relationships
        ),
    )


def sections(document: Document) -> Iterator[Section]:
    """The texts of `document`, field by field: those it shows, then those that are only searched."""
    yield from shown_sections(document.type, document.payload)
    if document.author:
        yield Section(AUTHOR, document.author)
    if document.source_uri:
        yield Section(SOURCE, document.source_uri)


def shown_sections(item_type: str, payload: Mapping[str, Any]) -> Iterator[Section]:
    """The texts of those fields of `payload` that an item of this type shows."""
    for name in OWN_FIELDS.get(item_type, ()):
        text = "" if name in NOT_TEXT or name not in payload else "\n".join(_lines(payload[name])).strip()
        if text:
            yield Section(label(name), text)


@cache
def label(name: str) -> str:
    """A field's name as a heading: `root_cause` is "Root cause"."""
    return name.replace("_", " ").capitalize()


def _own_fields(item_type: str, body: Any) -> dict[str, Any]:
    values = ((name, _plain(getattr(body, name))) for name in OWN_FIELDS[item_type])
    return {name: value for name, value in values if value}


def _plain(value: Any) -> Any:
    """A proto value as JSON has it, without what is empty."""
    if isinstance(value, types_pb2.MeetingDecision | types_pb2.ActionItem):
        fields = {field.name: _plain(getattr(value, field.name)) for field in value.DESCRIPTOR.fields}
        return {name: part for name, part in fields.items() if part}
    if hasattr(value, "ToJsonString"):  # a timestamp; the epoch stands for none
        return value.ToJsonString() if value.seconds else ""
    if isinstance(value, str | int):
        return value
    if hasattr(value, "items"):
        return {key: _plain(value[key]) for key in sorted(value)}
    return [_plain(part) for part in value]


def _lines(value: Any) -> Iterable[str]:
    """A value of a payload as lines of text."""
    if isinstance(value, Mapping):
        # Whatever order the database has kept them in.
        for key in sorted(value, key=lambda name: (FIRST.get(name, len(FIRST)), name)):
            lines = list(_lines(value[key]))
            # A one-line value stands beside its key: `Use RDS: less to run`.
            yield from [f"{key}: {lines[0]}"] if len(lines) == 1 else [f"{key}:", *lines]
    elif isinstance(value, list):
        for part in value:
            yield from _lines(part)
    else:
        yield str(value)


def _provenance(value: int) -> str:
    name = types_pb2.Provenance.Name(value).removeprefix("PROVENANCE_").lower()  # type: ignore[arg-type]
    return "human" if name == "unspecified" else name


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
