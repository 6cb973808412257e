"""What is answered, as types: mypy holds the code to them, and the OpenAPI document is made of them.

They cost a request nothing: an answer is a plain dict. null stands where the code answers None.
"""

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import or_
from types import new_class
from typing import Annotated, Any, Literal, NotRequired, TypeAlias, get_args

from pydantic import WithJsonSchema, create_model
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from context.v1 import retrieval_pb2 as retrieval
from context.v1 import types_pb2 as types
from context_gateway.schemas.fields import ItemTypeName, RelationshipName, one_of
from context_gateway.schemas.items import (
    AdrStatus,
    AnyStatus,
    CommitType,
    FailureStatus,
    MeetingStatus,
    Severity,
    SnapshotStatus,
)


def _names(names: Iterable[str], prefix: str) -> list[str]:
    return [name.removeprefix(prefix).lower() for name in names if not name.endswith("_UNSPECIFIED")]


Day: TypeAlias = Annotated[str, WithJsonSchema({"type": "string", "format": "date"})]
Time: TypeAlias = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
Type: TypeAlias = Annotated[str, one_of(*get_args(ItemTypeName))]
Status: TypeAlias = Annotated[str, one_of(*dict.fromkeys(get_args(AnyStatus)))]
Relation: TypeAlias = Annotated[str, one_of(*get_args(RelationshipName))]
Direction: TypeAlias = Annotated[str, one_of("outgoing", "incoming")]
Provenance: TypeAlias = Annotated[str, one_of(*_names(types.Provenance.keys(), "PROVENANCE_"))]
Review: TypeAlias = Annotated[str, one_of(*_names(types.Review.keys(), "REVIEW_"))]
Trust: TypeAlias = Annotated[str, one_of(*_names(retrieval.Trust.keys(), "TRUST_"))]
Section: TypeAlias = Annotated[str, one_of(*_names(retrieval.Section.keys(), "SECTION_"))]
Recorded: TypeAlias = Annotated[str, one_of("created", "updated", "unchanged")]


class ItemId(TypedDict):
    """An item with `fields=ids`."""

    id: str


class ItemSummary(TypedDict):
    """An item with `fields=summary`."""

    id: str
    type: Type
    title: str
    status: Status
    date: Day | None
    tags: list[str]
    version: int


class Common(TypedDict):
    """What items of all types have; `feedback` is from -1, no help at all, to 1."""

    title: str
    tags: list[str]
    author: str | None
    source_uri: str | None
    provenance: Provenance
    review: Review | None
    pinned: bool
    created_at: Time | None
    updated_at: Time | None
    version: int
    access_count_30d: int
    reference_count: int
    feedback: float


class Adr(Common):
    """An architecture decision."""

    id: str
    type: Literal["adr"]
    status: Annotated[str, one_of(*get_args(AdrStatus))]
    decision: str
    context: str | None
    options_considered: dict[str, str]
    consequences: str | None
    outcome: str | None
    created_date: Day | None
    supersedes: list[str]
    superseded_by: str | None
    stakeholders: list[str]


class Failure(Common):
    """An incident and what was learned from it."""

    id: str
    type: Literal["failure"]
    status: Annotated[str, one_of(*get_args(FailureStatus))]
    root_cause: str
    incident_date: Day | None
    severity: Annotated[str, one_of(*get_args(Severity))]
    symptoms: str | None
    impact: str | None
    resolution: str | None
    prevention: list[str]
    pattern: str | None
    lessons_learned: str | None
    app_name: str | None
    environment: str | None
    occurrence_count: int
    first_seen: Time | None
    last_seen: Time | None


class Action(TypedDict):
    """What somebody is to do after a meeting."""

    task: str
    owner: str | None
    due: Day | None
    status: str | None


class Decided(TypedDict):
    """One decision of a meeting."""

    decision: str
    rationale: str | None
    action_items: list[Action]


class Meeting(Common):
    """What a meeting decided; `title` and `meeting_title` are the same."""

    id: str
    type: Literal["meeting"]
    status: Annotated[str, one_of(*get_args(MeetingStatus))]
    meeting_title: str
    date: Day | None
    decisions: list[Decided]
    attendees: list[str]


class Commit(Common):
    """What a snapshot says of a commit or a deploy."""

    id: str
    type: Literal["snapshot"]
    commit_hash: str
    commit_message: str
    date: Day | None
    changed_files: list[str]
    commit_type: Annotated[str, one_of(*get_args(CommitType))] | None
    references: list[str]


class Snapshot(Commit):
    """A commit or a deploy."""

    status: Annotated[str, one_of(*get_args(SnapshotStatus))]


Item: TypeAlias = Adr | Failure | Meeting | Snapshot


class Related(TypedDict):
    """An item's neighbour."""

    id: str
    type: Type
    title: str
    status: Status
    relationship: Relation
    direction: Direction


class Found(Related):
    """What a walk over the graph found, and on which way."""

    depth: int
    path: list[str]


class Neighbours(TypedDict):
    """What is related to an item."""

    item: Item | ItemSummary | ItemId
    related: list[Found | ItemId]
    total_related: int


class WithRelated(TypedDict):
    """What a read adds."""

    related_items: list[Related]


class Redaction(TypedDict):
    """A secret that was taken out of what was sent."""

    field: str
    kind: str


class Indexed(TypedDict):
    """What a verdict adds."""

    indexed: bool


class Written(Indexed):
    """What a write adds; a relationship reads `ADR-004->FAIL-042`."""

    redactions: list[Redaction]
    relationships_created: list[str]
    pending_references: list[str]


class Changed(Written):
    """What a change adds."""

    updated_fields: list[str]


class Brief(TypedDict):
    """All that is shown of an item that others may have written to who may not read it."""

    id: str
    type: Type
    version: int
    status: Status


class BrieflyChanged(Brief, Changed):
    """A change, answered to who may write and not read."""


class SnapshotRecorded(Commit, Written):
    """A snapshot, with what became of it in place of its own status."""

    status: Recorded


class BrieflyRecorded(Written):
    """A snapshot, answered to who may write and not read."""

    id: str
    type: Type
    version: int
    status: Recorded


class Deleted(Indexed):
    """What a deletion answers."""

    id: str
    deleted: Literal[True]


class BulkRecorded(TypedDict):
    """The line that answers an item of a bulk call; what is absent there is nothing to say of."""

    line: int
    id: str
    status: Recorded
    indexed: bool
    redactions: NotRequired[list[Redaction]]
    review: NotRequired[Review]


class BulkRefused(TypedDict):
    """The line that answers what could not be recorded: the id that it brought, and what is wrong with it."""

    line: int
    id: str | None
    status: Literal["error"]
    error: str
    code: str
    detail: str
    details: dict[str, list[str]]
    retry_after: NotRequired[int]
    indexed: bool


Edge = TypedDict("Edge", {"from": str, "to": str, "type": Relation, "strength": float})


class Drawn(Edge, Indexed):
    """A relationship that stands now."""

    created: bool


ErasedEdge = TypedDict("ErasedEdge", {"from": str, "to": str, "type": Relation})


class Erased(ErasedEdge, Indexed):
    """A relationship that stands no more."""

    deleted: Literal[True]


class Parts(TypedDict):
    """The parts of a score, each from 0 to 1."""

    semantic: float
    keyword: float
    recency: float
    importance: float
    feedback: float


class Why(Parts):
    """The parts of a score, each from 0 to 1; `via` is the item that brought it in."""

    via: str | None


class BundleWhy(Parts):
    """The parts of a score, each from 0 to 1; `via` is the item that brought it in, or empty."""

    via: str


class ListedSummary(TypedDict):
    """An item that was found without a question, with `fields=summary`."""

    id: str
    type: Type
    title: str
    date: Day | None
    tags: list[str]
    status: Status
    trust: Trust


class Listed(ListedSummary):
    """An item that was found without a question."""

    snippet: str
    namespace: str
    provenance: Provenance


class HitSummary(ListedSummary):
    """A search result with `fields=summary`."""

    score: float


class Hit(Listed):
    """A search result."""

    score: float


class ExplainedHit(Hit):
    """A search result with `explain`."""

    why: Why


class SearchResults(TypedDict):
    """What a search found, best first; `degraded`: by words alone."""

    results: list[Hit | ExplainedHit | HitSummary | ItemId]
    took_ms: float
    degraded: bool


class BundleAction(TypedDict):
    """What somebody is to do after a meeting; what is empty is left out."""

    task: NotRequired[str]
    owner: NotRequired[str]
    due: NotRequired[str]
    status: NotRequired[str]


class BundleDecided(TypedDict):
    """One decision of a meeting; what is empty is left out."""

    decision: NotRequired[str]
    rationale: NotRequired[str]
    action_items: NotRequired[list[BundleAction]]


class BundleItem(TypedDict):
    """An item of a bundle, with those fields of its type that say something and fit; `content` is what matched."""

    id: str
    type: Type
    title: str
    tags: list[str]
    date: Day
    status: Status
    provenance: Provenance
    trust: Trust
    namespace: NotRequired[str]
    score: float
    replaces: NotRequired[list[str]]
    why: NotRequired[BundleWhy]
    content: str
    content_of: NotRequired[str]
    truncated: NotRequired[Literal[True]]
    decision: NotRequired[str]
    context: NotRequired[str]
    consequences: NotRequired[str]
    options_considered: NotRequired[dict[str, str]]
    outcome: NotRequired[str]
    supersedes: NotRequired[list[str]]
    superseded_by: NotRequired[str]
    stakeholders: NotRequired[list[str]]
    root_cause: NotRequired[str]
    resolution: NotRequired[str]
    symptoms: NotRequired[str]
    impact: NotRequired[str]
    prevention: NotRequired[list[str]]
    lessons_learned: NotRequired[str]
    severity: NotRequired[Annotated[str, one_of(*get_args(Severity))]]
    pattern: NotRequired[str]
    app_name: NotRequired[str]
    environment: NotRequired[str]
    occurrence_count: NotRequired[int]
    first_seen: NotRequired[Time]
    last_seen: NotRequired[Time]
    decisions: NotRequired[list[BundleDecided]]
    attendees: NotRequired[list[str]]
    commit_message: NotRequired[str]
    commit_hash: NotRequired[str]
    commit_type: NotRequired[Annotated[str, one_of(*get_args(CommitType))]]
    changed_files: NotRequired[list[str]]
    references: NotRequired[list[str]]


class Omission(TypedDict):
    """Something that bears on the question and is not in the bundle; `tokens` is about what it would take."""

    id: str
    reason: str
    tokens: int


class BundleOmission(Omission):
    """The same, with what holds in its place where a filter keeps that out; its namespace where several were asked."""

    superseded_by: NotRequired[str]
    namespace: NotRequired[str]


class Bundle(TypedDict):
    """The answer to a question, as retrieval writes it; `note` says how to read marks, where there are any."""

    query_id: str
    note: NotRequired[str]
    key_decisions: list[BundleItem]
    known_issues: list[BundleItem]
    recent_changes: list[BundleItem]
    total_items: int
    tokens_used: int
    omitted: list[BundleOmission]
    degraded: bool


class ReceiptEntry(TypedDict):
    """An item that the bundle held, as it was then."""

    id: str
    namespace: str
    version: int
    section: Section
    score: float
    tokens: int
    trust: Trust


Span = TypedDict("Span", {"from": Day | None, "to": Day | None})


class Asked(Span):
    """What a query was asked, as it would be asked again; secrets are taken out."""

    query: str
    max_tokens: int
    namespaces: list[str]
    types: list[Type]
    domains: list[str]
    min_score: float | None
    include_history: bool
    explain: bool


class Receipt(TypedDict):
    """What a query was asked and answered."""

    query_id: str
    asked_at: Time
    principal: str
    request_id: str
    asked: Asked
    items: list[ReceiptEntry]
    omitted: list[Omission]
    total_items: int
    tokens_used: int
    degraded: bool


class Feedback(TypedDict):
    """A word on an answer, and who said it; a rating is from 1 to 5."""

    id: str
    query_id: str | None
    query_text: str | None
    overall_rating: int | None
    items_helpful: list[str]
    items_not_helpful: list[str]
    items_used: list[str]
    missing_context: str | None
    agent_id: str | None
    session_id: str | None
    metadata: dict[str, Any]
    principal: str
    created_at: Time | None
    updated_at: Time | None


class FeedbackRecorded(Feedback):
    """The same, just recorded; `replaced`: the caller had said something of that query before."""

    replaced: bool
    redactions: list[Redaction]


class RatedItem(TypedDict):
    """An item, and how often it was said to help or not; each caller counts once a day."""

    id: str
    type: Type
    title: str
    helpful: int
    not_helpful: int


class Missing(TypedDict):
    """What answers should have had, and how often that was said."""

    text: str
    count: int


class FeedbackStats(TypedDict):
    """What the feedback of some days comes to; `avg_rating` is of those who gave one."""

    total_feedback: int
    avg_rating: float | None
    most_helpful_items: list[RatedItem]
    common_missing_context: list[Missing]
    days_back: int


class Key(TypedDict):
    """An API key as administrators see it, without the secret."""

    id: str
    name: str
    prefix: str
    status: Annotated[str, one_of("active", "expired", "revoked")]
    scopes: list[str]
    namespaces: list[str]
    read_namespaces: list[str]
    provenance: Provenance
    created_at: Time | None
    created_by: str | None
    expires_at: Time | None
    last_used_at: Time | None
    revoked_at: Time | None
    replaced_by: str | None


class KeyMade(Key):
    """A new API key: `key` is the secret itself, which is seen only here."""

    key: str


class KeyRotated(KeyMade):
    """A new API key in another's place."""

    replaced: Key


class AuditEntry(TypedDict):
    """A line of the audit trail."""

    entry: int
    at: Time | None
    principal: str | None
    action: str
    item_id: str | None
    version: int | None
    detail: str | None
    address: str | None
    request_id: str | None


class Suspicion(TypedDict):
    """What gave rise to holding an item."""

    field: str
    rule: str
    excerpt: str


class Suspected(TypedDict):
    """What the list of held items adds."""

    suspicions: list[Suspicion]


class SetAside(TypedDict):
    """A change that was given up on; `reason` is that of the last attempt."""

    id: str
    attempts: int
    reason: str
    at: Time


class IndexStatus(TypedDict):
    """How far the index is."""

    pending: int
    lag_seconds: float
    model: str | None
    items: int
    chunks: int
    unembedded_chunks: int
    set_aside: int


class Replayed(TypedDict):
    """How many items are on their way to the index again."""

    replayed: int


class Retried(TypedDict):
    """How many changes are on their way to the index again."""

    retried: int


class Skill(TypedDict):
    """What a skill does, and when an agent should load it."""

    name: str
    description: str


class Vector(TypedDict):
    """The embedding of a text: numbers, or with `encoding_format` base64 the bytes of little-endian 32-bit floats."""

    object: Literal["embedding"]
    index: int
    embedding: Sequence[float] | str


class Usage(TypedDict):
    """What was embedded."""

    prompt_tokens: int
    total_tokens: int


class Vectors(TypedDict):
    """Embeddings, in the order of the texts."""

    object: Literal["list"]
    data: list[Vector]
    model: str
    usage: Usage


Well: TypeAlias = Annotated[str, one_of("healthy", "unhealthy")]


class Checks(TypedDict):
    """How each part is."""

    database: Well
    embedding_service: Well
    retrieval_service: Well
    disk_space: Well


class Health(TypedDict):
    """How the system is."""

    status: Annotated[str, one_of("healthy", "degraded", "unhealthy")]
    timestamp: Time
    version: str
    checks: Checks


class Alive(TypedDict):
    """This process answers."""

    status: Literal["alive"]


class Readiness(TypedDict):
    """Whether requests can be served, and which services are away."""

    status: Annotated[str, one_of("ready", "degraded", "not_ready", "draining")]
    away: list[Annotated[str, one_of("knowledge", "embedding", "retrieval")]]


ITEMS: dict[str, Any] = {"adr": Adr, "failure": Failure, "meeting": Meeting, "snapshot": Snapshot}


def beside(kind: str, extra: Any, name: str) -> Any:
    """An item of a type together with what `extra` adds, as `AdrRead` in the document."""
    shape = ITEMS[kind]
    said = {"__doc__": shape.__doc__, "__module__": __name__}
    return new_class(f"{shape.__name__}{name}", (shape, extra), exec_body=lambda body: body.update(said))


def page_of(name: str, entry: Any) -> Any:
    """A list of what `entry` is, and the cursor of what follows it; null at the end."""
    return create_model(name, items=(list[entry], ...), next_cursor=(str | None, ...))


def either(shapes: Iterable[Any]) -> Any:
    """One of `shapes`."""
    return reduce(or_, shapes)
