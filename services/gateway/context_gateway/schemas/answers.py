"""Messages as the JSON that API.md promises: by hand, as this is on every path. Empty text is null."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from google.protobuf.timestamp_pb2 import Timestamp

from context.v1 import knowledge_pb2 as knowledge
from context.v1 import retrieval_pb2 as retrieval
from context.v1 import types_pb2 as types
from context_gateway.schemas import shapes

Json: TypeAlias = dict[str, Any]

TYPES: Mapping[int, str] = {number: name.removeprefix("ITEM_TYPE_").lower() for name, number in types.ItemType.items()}
RELATIONSHIPS: Mapping[int, str] = {
    number: name.removeprefix("RELATIONSHIP_TYPE_").lower() for name, number in types.RelationshipType.items()
}
PROVENANCES: Mapping[int, str] = {
    number: name.removeprefix("PROVENANCE_").lower() for name, number in types.Provenance.items()
}
REVIEWS: Mapping[int, str | None] = {
    number: name.removeprefix("REVIEW_").lower() if number else None for name, number in types.Review.items()
}
WITHHELD = (types.REVIEW_HELD, types.REVIEW_REJECTED)
TRUSTS: Mapping[int, str] = {number: name.removeprefix("TRUST_").lower() for name, number in retrieval.Trust.items()}
DIRECTIONS: Mapping[knowledge.Direction.ValueType, str] = {
    knowledge.DIRECTION_UNSPECIFIED: "both",
    knowledge.DIRECTION_OUTGOING: "outgoing",
    knowledge.DIRECTION_INCOMING: "incoming",
}
OUTCOMES: Mapping[int, str] = {
    number: name.removeprefix("OUTCOME_").lower() for name, number in knowledge.Outcome.items()
}


def item(message: types.Item) -> shapes.Item:
    """An item with all its fields."""
    return BODIES[TYPES[message.type]](message)


def read(message: knowledge.GetItemResponse) -> Mapping[str, object]:
    """An item with all its fields, and its neighbours."""
    return {**item(message.item), "related_items": [related(near) for near in message.related]}


def _common(message: types.Item) -> shapes.Common:
    return {
        "title": message.title,
        "tags": list(message.tags),
        "author": message.author or None,
        "source_uri": message.source_uri or None,
        "provenance": PROVENANCES[message.provenance],
        "review": REVIEWS[message.review],
        "pinned": message.pinned,
        "created_at": time(message, "created_at"),
        "updated_at": time(message, "updated_at"),
        "version": message.version,
        "access_count_30d": message.access_count_30d,
        "reference_count": message.reference_count,
        "feedback": message.feedback,
    }


def summary(message: types.Item) -> shapes.ItemSummary:
    """An item's title and what places it."""
    kind = TYPES[message.type]
    date = DATES[kind](message) if kind in DATES else ""
    return {
        "id": message.id,
        "type": kind,
        "title": message.title,
        "status": message.status,
        "date": date or None,
        "tags": list(message.tags),
        "version": message.version,
    }


def items(messages: Iterable[types.Item], fields: str) -> Sequence[shapes.Item | shapes.ItemSummary | shapes.ItemId]:
    """Items, as much of each as `fields` asks for."""
    if fields == "ids":
        return [{"id": message.id} for message in messages]
    return [(item if fields == "full" else summary)(message) for message in messages]


def withheld(message: types.Item) -> bool:
    """Whether no search and no bundle shows the item."""
    return message.review in WITHHELD


def redactions(message: knowledge.Recorded | knowledge.RecordFeedbackResponse) -> list[shapes.Redaction]:
    """The secrets that were taken out of what was sent."""
    return [{"field": found.field, "kind": found.kind} for found in message.redactions]


def edge(message: types.Relationship) -> str:
    """A relationship as `ADR-004->FAIL-042`."""
    return f"{message.from_id}->{message.to_id}"


def relationship(message: types.Relationship) -> shapes.Edge:
    """A relationship with its type and strength."""
    return {
        "from": message.from_id,
        "to": message.to_id,
        "type": RELATIONSHIPS[message.type],
        "strength": message.strength,
    }


def related(message: knowledge.RelatedItem) -> shapes.Related:
    """An item's neighbour, as it stands beside the item."""
    return {
        "id": message.id,
        "type": TYPES[message.type],
        "title": message.title,
        "status": message.status,
        "relationship": RELATIONSHIPS[message.relationship],
        "direction": DIRECTIONS[message.direction],
    }


def found(message: knowledge.RelatedItem) -> shapes.Found:
    """What a walk over the graph found, and on which way."""
    return {**related(message), "depth": message.depth, "path": list(message.path)}


def hit(message: retrieval.SearchHit, explain: bool = False) -> shapes.Hit:
    """A search result."""
    body: shapes.Hit = {**listed(message), "score": message.score}
    return explained(body, message.why) if explain else body


def explained(body: shapes.Hit, parts: retrieval.Why) -> shapes.ExplainedHit:
    """A search result with the parts of its score."""
    return {**body, "why": why(parts)}


def listed(message: retrieval.SearchHit) -> shapes.Listed:
    """An item that was found without a question: no score."""
    return {
        "id": message.id,
        "type": TYPES[message.type],
        "title": message.title,
        "snippet": message.snippet,
        "date": message.date or None,
        "tags": list(message.tags),
        "status": message.status,
        "namespace": message.namespace,
        "provenance": PROVENANCES[message.provenance],
        "trust": TRUSTS[message.trust],
    }


def why(message: retrieval.Why) -> shapes.Why:
    """The parts of a score."""
    return {
        "semantic": message.semantic,
        "keyword": message.keyword,
        "recency": message.recency,
        "importance": message.importance,
        "feedback": message.feedback,
        "via": message.via or None,
    }


def _adr(message: types.Item) -> shapes.Adr:
    body = message.adr
    return {
        "id": message.id,
        "type": "adr",
        "status": message.status,
        **_common(message),
        "decision": body.decision,
        "context": body.context or None,
        "options_considered": dict(body.options_considered),
        "consequences": body.consequences or None,
        "outcome": body.outcome or None,
        "created_date": body.created_date or None,
        "supersedes": list(body.supersedes),
        "superseded_by": body.superseded_by or None,
        "stakeholders": list(body.stakeholders),
    }


def _failure(message: types.Item) -> shapes.Failure:
    body = message.failure
    return {
        "id": message.id,
        "type": "failure",
        "status": message.status,
        **_common(message),
        "root_cause": body.root_cause,
        "incident_date": body.incident_date or None,
        "severity": body.severity,
        "symptoms": body.symptoms or None,
        "impact": body.impact or None,
        "resolution": body.resolution or None,
        "prevention": list(body.prevention),
        "pattern": body.pattern or None,
        "lessons_learned": body.lessons_learned or None,
        "app_name": body.app_name or None,
        "environment": body.environment or None,
        "occurrence_count": body.occurrence_count,
        "first_seen": time(body, "first_seen"),
        "last_seen": time(body, "last_seen"),
    }


def _meeting(message: types.Item) -> shapes.Meeting:
    body = message.meeting
    return {
        "id": message.id,
        "type": "meeting",
        "status": message.status,
        **_common(message),
        "meeting_title": message.title,
        "date": body.date or None,
        "decisions": [_decision(decision) for decision in body.decisions],
        "attendees": list(body.attendees),
    }


def _decision(message: types.MeetingDecision) -> shapes.Decided:
    actions: list[shapes.Action] = [
        {"task": action.task, "owner": action.owner or None, "due": action.due or None, "status": action.status or None}
        for action in message.action_items
    ]
    return {"decision": message.decision, "rationale": message.rationale or None, "action_items": actions}


def _snapshot(message: types.Item) -> shapes.Snapshot:
    body = message.snapshot
    return {
        "id": message.id,
        "type": "snapshot",
        "status": message.status,
        **_common(message),
        "commit_hash": body.commit_hash,
        "commit_message": body.commit_message,
        "date": body.date or None,
        "changed_files": list(body.changed_files),
        "commit_type": body.commit_type or None,
        "references": list(body.references),
    }


def time(message: Any, name: str) -> str | None:
    """A time of a message; null where it is unset."""
    value: Timestamp = getattr(message, name)
    return value.ToJsonString() if message.HasField(name) else None


BODIES: Mapping[str, Callable[[types.Item], shapes.Item]] = {
    "adr": _adr,
    "failure": _failure,
    "meeting": _meeting,
    "snapshot": _snapshot,
}
DATES: Mapping[str, Callable[[types.Item], str]] = {
    "adr": lambda message: message.adr.created_date,
    "failure": lambda message: message.failure.incident_date,
    "meeting": lambda message: message.meeting.date,
    "snapshot": lambda message: message.snapshot.date,
}
