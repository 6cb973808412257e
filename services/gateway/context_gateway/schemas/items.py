"""What may be written: the fields of the four item types, and their way onto the wire."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from google.protobuf.field_mask_pb2 import FieldMask
from pydantic import AliasChoices, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from context.v1 import types_pb2 as types
from context_gateway.schemas.fields import (
    ENTRIES,
    LARGEST_COUNT,
    Address,
    AdrId,
    AnyId,
    Body,
    Day,
    FailureId,
    Listed,
    ListedIds,
    ListedTags,
    MeetingId,
    Name,
    Names,
    RequiredName,
    RequiredText,
    SnapshotId,
    Tags,
    Text,
    Time,
)

AdrStatus = Literal["proposed", "active", "rejected", "deprecated", "superseded", "retracted", "archived"]
FailureStatus = Literal["investigating", "resolved", "recurring", "archived"]
MeetingStatus = Literal["active", "completed", "cancelled", "archived"]
SnapshotStatus = Literal["active", "archived"]
AnyStatus = Literal[AdrStatus, FailureStatus, MeetingStatus, SnapshotStatus]
Severity = Literal["low", "medium", "high", "critical"]
CommitType = Literal["feature", "bugfix", "migration", "test", "maintenance", "deploy"]
READ_ONLY: Any = Field(default=None, json_schema_extra={"readOnly": True})
# The fields of every type; the others belong to the type's own message.
COMMON = frozenset({"id", "title", "tags", "author", "status", "source_uri", "pinned"})


class Change(Body):
    """What every item may change. null clears a field; what is left out stays."""

    tags: Tags | None = None
    author: Name | None = None
    source_uri: Address | None = None
    pinned: bool | None = None


class Kept(Change):
    """What a read answers and nobody writes: it may come back with a change as it stands."""

    id: AnyId | None = READ_ONLY
    type: Name | None = READ_ONLY
    provenance: Name | None = READ_ONLY
    review: Name | None = READ_ONLY
    created_at: Time | None = READ_ONLY
    updated_at: Time | None = READ_ONLY
    version: Annotated[int, Field(ge=1, le=LARGEST_COUNT)] | None = READ_ONLY
    access_count_30d: int | None = READ_ONLY
    reference_count: int | None = READ_ONLY
    feedback: float | None = READ_ONLY
    related_items: Annotated[list[dict[str, Any]], Field(max_length=ENTRIES)] | None = READ_ONLY


# A change's defaults are never used: only the fields that were given count. What may not be cleared has a factory for
# one, so that the document says none: a client that sends defaults would be refused.
class AdrFields(Change):
    """What an architecture decision says."""

    title: RequiredName = Field(default_factory=str)
    decision: RequiredText = Field(default_factory=str)
    context: Text | None = None
    options_considered: Annotated[dict[Name, Text], Field(max_length=100)] | None = None
    consequences: Text | None = None
    outcome: Text | None = None
    status: AdrStatus | None = None
    created_date: Day | None = None
    supersedes: Annotated[list[AdrId], Field(max_length=100)] | None = None
    superseded_by: AdrId | None = None
    stakeholders: Names | None = None


class AdrChange(AdrFields, Kept):
    """A change of an architecture decision."""


class AdrCreate(AdrFields):
    """An architecture decision."""

    id: AdrId | None = None
    title: RequiredName
    decision: RequiredText


class FailureFields(Change):
    """What is said of an incident."""

    title: RequiredName = Field(default_factory=str)
    root_cause: RequiredText = Field(default_factory=str)
    incident_date: Day | None = None
    severity: Severity | None = None
    symptoms: Text | None = None
    impact: Text | None = None
    resolution: Text | None = None
    prevention: Names | None = None
    status: FailureStatus | None = None
    pattern: Name | None = None
    lessons_learned: Text | None = None
    app_name: Name | None = None
    environment: Name | None = None
    occurrence_count: Annotated[int, Field(ge=1, le=LARGEST_COUNT)] | None = None
    first_seen: Time | None = None
    last_seen: Time | None = None


class FailureChange(FailureFields, Kept):
    """A change of an incident."""


class FailureCreate(FailureFields):
    """An incident and what was learned from it."""

    id: FailureId | None = None
    title: RequiredName
    root_cause: RequiredText


class ActionItem(Body):
    """What somebody is to do after a meeting."""

    task: RequiredText
    owner: Text | None = None
    due: Day | None = None
    status: Text | None = None


class MeetingDecision(Body):
    """One decision of a meeting."""

    decision: RequiredText
    rationale: Text | None = None
    action_items: Annotated[list[ActionItem], Field(max_length=100)] | None = None


MEETING_TITLES = ("meeting_title", "title")
MeetingTitle = Annotated[RequiredName, Field(validation_alias=AliasChoices(*MEETING_TITLES))]
Decisions = Annotated[list[MeetingDecision], Field(min_length=1, max_length=100)]


def _either_title(schema: dict[str, Any]) -> None:
    """Say in the document that a meeting's title has two names, of which one is given."""
    fields, required = schema["properties"], schema.get("required", [])
    fields["title"] = {**fields["meeting_title"], "description": "In place of `meeting_title`."}
    if "meeting_title" in required:
        required.remove("meeting_title")
        schema["oneOf"] = [{"required": [name]} for name in MEETING_TITLES]


class MeetingFields(Change):
    """What is said of a meeting."""

    model_config = ConfigDict(json_schema_extra=_either_title)

    title: MeetingTitle = Field(default_factory=str)
    date: Day = Field(default_factory=str)
    decisions: Decisions = Field(default_factory=list)
    attendees: Names | None = None
    status: MeetingStatus | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_title(cls, given: Any) -> Any:
        """What a read answers under both names of a title, as one."""
        if not isinstance(given, dict) or not given.keys() >= set(MEETING_TITLES):
            return given
        if given["title"] != given["meeting_title"]:
            raise PydanticCustomError("refused", "names two titles: title and meeting_title are one")
        return {name: value for name, value in given.items() if name != "title"}


class MeetingChange(MeetingFields, Kept):
    """A change of a meeting."""


class MeetingCreate(MeetingFields):
    """What a meeting decided."""

    id: MeetingId | None = None
    title: MeetingTitle
    date: Day
    decisions: Decisions


class SnapshotFields(Change):
    """What is said of a commit or a deploy."""

    tags: ListedTags | None = None
    title: Name | None = None
    commit_message: RequiredText = Field(default_factory=str)
    author: RequiredName = Field(default_factory=str)
    date: Day | None = None
    changed_files: Listed | None = None
    commit_type: CommitType | None = None
    references: ListedIds | None = None
    status: SnapshotStatus | None = None


class SnapshotChange(SnapshotFields, Kept):
    """A change of a snapshot; the commit it stands for never changes."""

    commit_hash: Name | None = READ_ONLY


class SnapshotCreate(SnapshotFields):
    """A commit or a deploy."""

    id: SnapshotId | None = None
    commit_hash: RequiredName
    commit_message: RequiredText
    author: RequiredName


KEPT = frozenset({*Kept.model_fields.keys() - Change.model_fields.keys(), "commit_hash"})


@dataclass(frozen=True)
class Kind:
    """One item type: its name, its ids' prefix, its number on the wire, its bodies and its statuses."""

    name: str
    prefix: str
    number: types.ItemType.ValueType
    create: type[Change]
    change: type[Kept]
    statuses: tuple[str, ...]


ADR = Kind("adr", "ADR", types.ITEM_TYPE_ADR, AdrCreate, AdrChange, get_args(AdrStatus))
FAILURE = Kind("failure", "FAIL", types.ITEM_TYPE_FAILURE, FailureCreate, FailureChange, get_args(FailureStatus))
MEETING = Kind("meeting", "MEET", types.ITEM_TYPE_MEETING, MeetingCreate, MeetingChange, get_args(MeetingStatus))
SNAPSHOT = Kind("snapshot", "SNAP", types.ITEM_TYPE_SNAPSHOT, SnapshotCreate, SnapshotChange, get_args(SnapshotStatus))
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in (ADR, FAILURE, MEETING, SNAPSHOT)}


def to_item(
    kind: Kind, body: Change, provenance: types.Provenance.ValueType = types.PROVENANCE_UNSPECIFIED
) -> types.Item:
    """`body` as a message; what is null or left out stays unset."""
    values: dict[str, Any] = body.model_dump(include=_written(body), exclude_none=True)
    common = {name: values.pop(name) for name in COMMON & values.keys()}
    whole: dict[str, Any] = common | {kind.name: values}
    return types.Item(type=kind.number, provenance=provenance, **whole)


def to_mask(kind: Kind, body: Change) -> FieldMask:
    """The paths of the fields that `body` gives, null or not."""
    names = sorted(_written(body))
    return FieldMask(paths=[name if name in COMMON else f"{kind.name}.{name}" for name in names])


def _written(body: Change) -> set[str]:
    """The fields that `body` gives and that are written."""
    return body.model_fields_set - KEPT if isinstance(body, Kept) else body.model_fields_set
