"""The nouns: items of four types, the edges between them, and what each type allows."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeAlias
from uuid import UUID


class ItemType(StrEnum):
    """The four types of item."""

    ADR = "adr"
    FAILURE = "failure"
    MEETING = "meeting"
    SNAPSHOT = "snapshot"


class RelationshipType(StrEnum):
    """What an edge says about its two ends, read from `from_id` to `to_id`."""

    SUPERSEDES = "supersedes"
    CAUSED_BY = "caused_by"
    RELATED_TO = "related_to"
    REFERENCES = "references"
    DISCUSSED_IN = "discussed_in"
    RESOLVED_BY = "resolved_by"
    IMPLEMENTS = "implements"
    CONTRADICTS = "contradicts"


class Origin(StrEnum):
    """Where an edge comes from; only an explicit one outlives a change of its item's text and fields."""

    FIELD = "field"
    TEXT = "text"
    EXPLICIT = "explicit"


class Outcome(StrEnum):
    """What a write did."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


class Change(StrEnum):
    """Why a version was written."""

    CREATED = "created"
    UPDATED = "updated"
    SUPERSEDED = "superseded"
    RESTORED = "restored"
    REVIEWED = "reviewed"
    DELETED = "deleted"


class Review(StrEnum):
    """Whether somebody has looked at text that nobody vouched for."""

    NONE = ""
    HELD = "held"
    APPROVED = "approved"
    REJECTED = "rejected"


SUPERSEDED = "superseded"
NEVER_HELD = ("rejected", "retracted")  # it was turned down, or was wrong
NOT_HOLDING = (*NEVER_HELD, "proposed")  # such a decision supersedes nothing; a proposal may yet
# What an item may be while another supersedes it: "superseded was true once; retracted was wrong".
OUTRANKS_SUPERSEDED = (*NEVER_HELD, "archived")
NOT_IN_FORCE = ("archived", "rejected", "superseded", "retracted", "cancelled")
PROVENANCES = ("human", "agent", "import", "event")
SEVERITIES = ("low", "medium", "high", "critical")
COMMIT_TYPES = ("feature", "bugfix", "migration", "test", "maintenance", "deploy")


@dataclass(frozen=True, slots=True)
class Adr:
    """An architecture decision. `supersedes` and `superseded_by` mirror the edges of that type."""

    decision: str = ""
    context: str = ""
    options_considered: Mapping[str, str] = field(default_factory=dict)
    consequences: str = ""
    outcome: str = ""
    created_date: str = ""
    supersedes: tuple[str, ...] = ()
    superseded_by: str = ""
    stakeholders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """An incident and what was learned from it."""

    root_cause: str = ""
    incident_date: str = ""
    severity: str = ""
    symptoms: str = ""
    impact: str = ""
    resolution: str = ""
    prevention: tuple[str, ...] = ()
    pattern: str = ""
    lessons_learned: str = ""
    app_name: str = ""
    environment: str = ""
    occurrence_count: int = 0
    first_seen: datetime | None = None
    last_seen: datetime | None = None


@dataclass(frozen=True, slots=True)
class ActionItem:
    """What somebody is to do after a meeting."""

    task: str = ""
    owner: str = ""
    due: str = ""
    status: str = ""


@dataclass(frozen=True, slots=True)
class MeetingDecision:
    """One decision of a meeting."""

    decision: str = ""
    rationale: str = ""
    action_items: tuple[ActionItem, ...] = ()


@dataclass(frozen=True, slots=True)
class Meeting:
    """What a meeting decided."""

    date: str = ""
    decisions: tuple[MeetingDecision, ...] = ()
    attendees: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A commit or a deploy."""

    commit_hash: str = ""
    commit_message: str = ""
    date: str = ""
    changed_files: tuple[str, ...] = ()
    commit_type: str = ""
    references: tuple[str, ...] = ()


Body: TypeAlias = Adr | Failure | Meeting | Snapshot


@dataclass(frozen=True, slots=True)
class Kind:
    """What one type of item allows; the first status is its default."""

    prefix: str
    body: type[Body]
    statuses: tuple[str, ...]
    required: tuple[str, ...]
    date_field: str


KINDS: Mapping[ItemType, Kind] = {
    ItemType.ADR: Kind(
        "ADR",
        Adr,
        ("active", "proposed", "rejected", "deprecated", "superseded", "retracted", "archived"),
        ("title", "decision", "created_date"),
        "created_date",
    ),
    ItemType.FAILURE: Kind(
        "FAIL",
        Failure,
        ("investigating", "resolved", "recurring", "archived"),
        ("title", "root_cause", "incident_date"),
        "incident_date",
    ),
    ItemType.MEETING: Kind(
        "MEET", Meeting, ("active", "completed", "cancelled", "archived"), ("title", "date", "decisions"), "date"
    ),
    ItemType.SNAPSHOT: Kind(
        "SNAP", Snapshot, ("active", "archived"), ("commit_hash", "commit_message", "author", "date"), "date"
    ),
}


@dataclass(frozen=True, slots=True)
class Item:
    """One item. The fields from `version` on, and the namespace, are kept by this service."""

    id: str
    type: ItemType
    body: Body
    title: str = ""
    tags: tuple[str, ...] = ()
    author: str = ""
    status: str = ""
    source_uri: str = ""
    provenance: str = ""
    pinned: bool = False
    namespace: str = ""
    version: int = 0
    created_at: datetime | None = None
    updated_at: datetime | None = None
    access_count_30d: int = 0
    reference_count: int = 0
    feedback: float = 0.0  # from -1, no help to those it was shown to, to 1
    review: Review = Review.NONE
    suspicions: tuple["Suspicion", ...] = ()

    @property
    def kind(self) -> Kind:
        """What its type allows."""
        return KINDS[self.type]

    @property
    def date(self) -> str:
        """The day it is about, `YYYY-MM-DD`."""
        return str(getattr(self.body, self.kind.date_field))

    def values(self) -> dict[str, Any]:
        """Every field that a caller may set, and its value."""
        body = {f.name: getattr(self.body, f.name) for f in dataclasses.fields(self.body)}
        return {name: getattr(self, name) for name in COMMON_FIELDS} | body

    def replace(self, values: Mapping[str, Any]) -> "Item":
        """This item with `values` (named as in `values()`) in their places."""
        common = {name: value for name, value in values.items() if name in COMMON_FIELDS}
        own = {name: value for name, value in values.items() if name not in COMMON_FIELDS}
        return dataclasses.replace(self, **common, body=dataclasses.replace(self.body, **own))


COMMON_FIELDS = ("title", "tags", "author", "status", "source_uri", "provenance", "pinned")


@dataclass(frozen=True, slots=True)
class Suspicion:
    """What looks like an instruction to an agent: the rule that says so, and the words that gave rise to it."""

    field: str
    rule: str
    excerpt: str


@dataclass(frozen=True, slots=True)
class Redaction:
    """A secret that was taken out of a text before anything else was done with it."""

    field: str  # as API.md names it
    kind: str


@dataclass(frozen=True, slots=True)
class Edge:
    """A relationship; it counts once both its ends exist."""

    from_id: str
    to_id: str
    type: RelationshipType
    strength: float = 1.0
    origin: Origin = Origin.EXPLICIT


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a write did to an item. `change_id` is 0 where the read models have it as it is."""

    item: Item
    outcome: Outcome
    change_id: int = 0
    relationships_created: tuple[Edge, ...] = ()
    pending_references: tuple[str, ...] = ()
    updated_fields: tuple[str, ...] = ()
    redactions: tuple[Redaction, ...] = ()


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a caller says of an answer. The id, the principal and the times are kept by this service."""

    id: UUID | None = None
    principal: str = ""
    query_id: UUID | None = None
    query_text: str = ""
    overall_rating: int = 0  # 1 to 5; 0: none
    items_helpful: tuple[str, ...] = ()
    items_not_helpful: tuple[str, ...] = ()
    items_used: tuple[str, ...] = ()
    missing_context: str = ""
    agent_id: str = ""
    session_id: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    created_at: datetime | None = None
    updated_at: datetime | None = None

    @property
    def lists(self) -> dict[str, tuple[str, ...]]:
        """The lists of items that it names."""
        return {name: getattr(self, name) for name in ("items_helpful", "items_not_helpful", "items_used")}


@dataclass(frozen=True, slots=True)
class RatedItem:
    """An item, and how often it was said to have helped or not: each caller once a day."""

    id: str
    type: ItemType
    title: str
    helpful: int
    not_helpful: int


@dataclass(frozen=True, slots=True)
class Filter:
    """Which items to list; what is empty does not narrow."""

    type: ItemType | None = None
    statuses: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()  # all of them, in whatever case
    author: str = ""
    from_date: str = ""  # inclusive
    to_date: str = ""  # inclusive
    text: str = ""  # words that must stand in title or text
    severity: str = ""
    pattern: str = ""
    app_name: str = ""
    in_force: bool = False

    def values(self) -> dict[str, Any]:
        """Each filter and its value."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


@dataclass(frozen=True, slots=True)
class Position:
    """The place of an item in lists: newest date first, then newest id."""

    date: str
    id: str


def public_name(item_type: ItemType, name: str) -> str:
    """The name that callers know a field by."""
    return "meeting_title" if (item_type, name) == (ItemType.MEETING, "title") else name


def walk(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Each text, list and mapping in `value` with its path: `tags`, `tags[0]`, `decisions[0].decision`."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, tuple | list):
        yield name, value
        for index, entry in enumerate(value):
            yield from walk(f"{name}[{index}]", entry)
    elif isinstance(value, Mapping):
        yield name, value
        for key, entry in value.items():
            yield name, key
            yield from walk(name, entry)
    elif dataclasses.is_dataclass(value):
        for part in dataclasses.fields(value):
            yield from walk(f"{name}.{part.name}", getattr(value, part.name))
