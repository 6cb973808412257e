"""The shapes of answers, as far as their readers rely on them; the server may send more."""

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

ItemType: TypeAlias = Literal["adr", "failure", "meeting", "snapshot"]
ITEM_TYPES: tuple[ItemType, ...] = ("adr", "failure", "meeting", "snapshot")
PREFIXES: dict[str, ItemType] = {"ADR": "adr", "FAIL": "failure", "MEET": "meeting", "SNAP": "snapshot"}
Item: TypeAlias = dict[str, Any]  # its fields are those of its type


class Page(TypedDict):
    """A part of a list; `next_cursor` None is its end."""

    items: list[Item]
    next_cursor: str | None


class Bundle(TypedDict):
    """What a question is answered."""

    query_id: str
    key_decisions: list[Item]
    known_issues: list[Item]
    recent_changes: list[Item]
    total_items: int
    tokens_used: int
    omitted: list[dict[str, Any]]
    degraded: bool
    note: NotRequired[str]  # how to read the marks around text that nobody vouches for, where there is some


class Receipt(TypedDict):
    """What a query was asked and answered."""

    query_id: str
    asked_at: str
    principal: str
    request_id: str
    asked: dict[str, Any]
    items: list[dict[str, Any]]
    omitted: list[dict[str, Any]]
    tokens_used: int
    degraded: bool


class Feedback(TypedDict):
    """What somebody said of an answer; None and empty lists where they said nothing."""

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
    created_at: str
    updated_at: str
    replaced: NotRequired[bool]  # just recorded: it takes the place of what was said of that query before
    redactions: NotRequired[list[dict[str, str]]]  # field, kind


class FeedbackStats(TypedDict):
    """What the feedback of some days comes to; `avg_rating` None where nobody gave one."""

    total_feedback: int
    avg_rating: float | None
    most_helpful_items: list[dict[str, Any]]  # id, type, title, helpful, not_helpful
    common_missing_context: list[dict[str, Any]]  # text, count
    days_back: int


class Found(TypedDict):
    """Search results, best first."""

    results: list[Item]
    took_ms: float
    degraded: bool


class Related(TypedDict):
    """The neighbourhood of an item."""

    item: Item
    related: list[dict[str, Any]]
    total_related: int


class Relationship(TypedDict):
    """An edge as it stands now; `created` is False where it stood so before."""

    created: NotRequired[bool]
    indexed: NotRequired[bool]


class Line(TypedDict):
    """The answer to one line of a bulk request."""

    line: int
    status: Literal["created", "updated", "unchanged", "error"]
    id: NotRequired[str | None]  # of an error: the one that the line brought
    indexed: NotRequired[bool]
    error: NotRequired[str]
    code: NotRequired[str]
    detail: NotRequired[str]
    details: NotRequired[dict[str, list[str]]]
    retry_after: NotRequired[float]
    redactions: NotRequired[list[dict[str, str]]]  # field, kind
    review: NotRequired[Literal["held", "rejected"]]


class Key(TypedDict):
    """What an API key may do; the key itself is not among it."""

    id: str
    name: str
    prefix: str
    status: Literal["active", "expired", "revoked"]
    scopes: list[str]
    namespaces: list[str]
    read_namespaces: list[str]
    provenance: str
    expires_at: str | None
    last_used_at: str | None


class NewKey(Key):
    """A key that was just made, with the key itself; `replaced` is the one that it was rotated from."""

    key: str
    replaced: NotRequired[Key]


class KeyPage(TypedDict):
    """A part of the list of keys."""

    items: list[Key]
    next_cursor: str | None


class AuditPage(TypedDict):
    """A part of the audit trail."""

    items: list[dict[str, Any]]
    next_cursor: str | None


class Index(TypedDict):
    """How far the index is."""

    pending: int
    lag_seconds: float
    model: str | None


def item_type(item_id: str) -> ItemType | None:
    """The type that an id names by its prefix."""
    return PREFIXES.get(item_id.partition("-")[0].upper())
