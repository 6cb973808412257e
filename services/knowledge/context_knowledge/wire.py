"""The model and the wire: each turned into the other, nothing decided."""

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from context.v1 import knowledge_pb2 as pb
from context.v1 import types_pb2 as types
from context_common.errors import Invalid
from context_knowledge import references
from context_knowledge.codec import TIMES
from context_knowledge.metadata import read_metadata
from context_knowledge.model import (
    KINDS,
    ActionItem,
    Body,
    Edge,
    Feedback,
    Item,
    ItemType,
    MeetingDecision,
    Outcome,
    Recorded,
    Redaction,
    RelationshipType,
    Review,
)

ITEM_TYPES: dict[int, ItemType] = {types.ItemType.Value(f"ITEM_TYPE_{t.name}"): t for t in ItemType}
RELATIONSHIP_TYPES: dict[int, RelationshipType] = {
    types.RelationshipType.Value(f"RELATIONSHIP_TYPE_{t.name}"): t for t in RelationshipType
}
REVIEWS = {r: types.Review.Value(f"REVIEW_{r.name}") for r in Review if r} | {Review.NONE: types.REVIEW_UNSPECIFIED}
OUTCOMES = {o: pb.Outcome.Value(f"OUTCOME_{o.name}") for o in Outcome}


def read_item(message: types.Item) -> Item:
    """The item in `message`; what this service keeps itself is left out.

    Raises:
        Invalid: The type is missing, unknown or not that of the body, or a time is out of range.
    """
    item_type = _type_of(message)
    body = KINDS[item_type].body
    inner = getattr(message, item_type.value)
    return Item(
        id=message.id.strip(),
        type=item_type,
        title=message.title,
        tags=tuple(message.tags),
        author=message.author,
        status=message.status,
        source_uri=message.source_uri,
        provenance=_provenance(message.provenance),
        pinned=message.pinned,
        body=body(**{f.name: _read(f.name, getattr(inner, f.name), inner) for f in dataclasses.fields(body)}),
    )


def write_item(item: Item) -> types.Item:
    """`item` as a message."""
    message = types.Item(
        id=item.id,
        type=types.ItemType.Value(f"ITEM_TYPE_{item.type.name}"),
        title=item.title,
        tags=item.tags,
        author=item.author,
        status=item.status,
        source_uri=item.source_uri,
        provenance=types.Provenance.Value(f"PROVENANCE_{item.provenance.upper()}"),
        pinned=item.pinned,
        version=item.version,
        access_count_30d=item.access_count_30d,
        reference_count=item.reference_count,
        feedback=item.feedback,
        namespace=item.namespace,
        review=REVIEWS[item.review],
        created_at=_timestamp(item.created_at),
        updated_at=_timestamp(item.updated_at),
    )
    _write_body(getattr(message, item.type.value), item.body)
    return message


def write_edge(edge: Edge) -> types.Relationship:
    """`edge` as a message."""
    kind = types.RelationshipType.Value(f"RELATIONSHIP_TYPE_{edge.type.name}")
    return types.Relationship(from_id=edge.from_id, to_id=edge.to_id, type=kind, strength=edge.strength)


def write_recorded(recorded: Recorded) -> pb.Recorded:
    """`recorded` as a message."""
    return pb.Recorded(
        item=write_item(recorded.item),
        outcome=OUTCOMES[recorded.outcome],
        change_id=recorded.change_id,
        relationships_created=[write_edge(edge) for edge in recorded.relationships_created],
        pending_references=recorded.pending_references,
        redactions=[types.Redaction(field=found.field, kind=found.kind) for found in recorded.redactions],
    )


def read_feedback(message: pb.Feedback) -> Feedback:
    """What a caller says in `message`; what this service keeps itself is left out.

    Raises:
        Invalid: An id is none, or the metadata no JSON object of at most 16,000 characters.
    """
    wrong: dict[str, list[str]] = {}
    query = uuid_of(message.query_id) if message.query_id else None
    if message.query_id and query is None:
        wrong["query_id"] = ["is no id of a query"]
    lists: dict[str, Any] = {
        name: tuple(dict.fromkeys(_ids(getattr(message, name), name, wrong))) for name in Feedback().lists
    }
    metadata: dict[str, Any] = {}
    if message.metadata:
        try:
            metadata = read_metadata(message.metadata)
        except ValueError as error:
            wrong["metadata"] = [str(error)]
    if wrong:
        raise Invalid(wrong)
    return Feedback(
        query_id=query,
        query_text=message.query_text,
        overall_rating=message.overall_rating,
        missing_context=message.missing_context,
        agent_id=message.agent_id,
        session_id=message.session_id,
        metadata=metadata,
        **lists,
    )


def _ids(texts: Iterable[str], name: str, wrong: dict[str, list[str]]) -> Iterator[str]:
    """The ids in a list; what is none goes into `wrong`."""
    for place, text in enumerate(texts):
        if found := references.canonical(text):
            yield found
        else:
            wrong[f"{name}[{place}]"] = ["is no id such as ADR-001"]


def write_feedback(said: Feedback) -> pb.Feedback:
    """`said` as a message."""
    return pb.Feedback(
        id=str(said.id),
        query_id=str(said.query_id) if said.query_id else "",
        query_text=said.query_text,
        overall_rating=said.overall_rating,
        missing_context=said.missing_context,
        agent_id=said.agent_id,
        session_id=said.session_id,
        metadata=json.dumps(said.metadata, ensure_ascii=False) if said.metadata else "",
        principal=said.principal,
        created_at=_timestamp(said.created_at),
        updated_at=_timestamp(said.updated_at),
        **said.lists,
    )


def write_recorded_feedback(
    said: Feedback, redactions: Iterable[Redaction], *, replaced: bool
) -> pb.RecordFeedbackResponse:
    """The answer to whoever said it."""
    found = [types.Redaction(field=one.field, kind=one.kind) for one in redactions]
    return pb.RecordFeedbackResponse(feedback=write_feedback(said), replaced=replaced, redactions=found)


def uuid_of(text: str) -> UUID | None:
    """The id that `text` is, written as ids are answered; None where it is none."""
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if str(found) == text else None


def item_type(value: int, name: str) -> ItemType | None:
    """The type that a message's enum stands for; None where it is unspecified."""
    if value and value not in ITEM_TYPES:
        raise Invalid({name: [f"must be one of {', '.join(ItemType)}"]})
    return ITEM_TYPES.get(value)


def relationship_type(value: int, name: str = "type") -> RelationshipType:
    """The relationship that a message's enum stands for."""
    if value not in RELATIONSHIP_TYPES:
        raise Invalid({name: [f"must be one of {', '.join(RelationshipType)}"]})
    return RELATIONSHIP_TYPES[value]


def item_id(text: str, name: str) -> str:
    """The id that the field `name` of a request holds, in canonical form."""
    found = references.canonical(text)
    if found is None:
        raise Invalid({name: ["is no id such as ADR-001" if text else "is required"]})
    return found


def typed(message: types.Item, item_id: str) -> types.Item:
    """`message` with the type that its id says.

    Raises:
        Invalid: It says another one itself.
    """
    found = references.type_of(item_id)
    name = f"ITEM_TYPE_{found.name}" if found else "ITEM_TYPE_UNSPECIFIED"
    whole = types.Item()
    whole.CopyFrom(message)
    whole.type = types.ItemType.Value(name)
    if message.type not in (types.ITEM_TYPE_UNSPECIFIED, whole.type):
        raise Invalid({"type": ["cannot be changed"]})
    return whole


def masked_fields(message: pb.UpdateItemRequest, item: Item) -> list[str]:
    """The fields that the mask names: `title`, `adr.decision`, or `adr` for all of its body.

    Raises:
        Invalid: A path names no field of such an item, or one that cannot be changed.
    """
    body = [f.name for f in dataclasses.fields(item.body)]
    paths = {name: [name] for name in ("title", "tags", "author", "status", "source_uri", "pinned")}
    paths |= {f"{item.type.value}.{name}": [name] for name in body} | {item.type.value: body}
    known = {f.name for f in types.Item.DESCRIPTOR.fields}
    wrong = {
        path: ["cannot be changed" if path in known else "is unknown"]
        for path in message.update_mask.paths
        if path not in paths
    }
    if wrong:
        raise Invalid(wrong)
    return list(dict.fromkeys(name for path in message.update_mask.paths for name in paths[path]))


def provenance(message: types.Item) -> str:
    """Whose hand a message says it is from; a person's where it says nothing."""
    return _provenance(message.provenance) or "human"


def _type_of(message: types.Item) -> ItemType:
    inside = message.WhichOneof("body")
    kind = item_type(message.type, "type") or (ItemType(inside) if inside else None)
    if kind is None:
        raise Invalid({"type": ["is required"]})
    if inside and kind != inside:
        raise Invalid({inside: [f"does not belong to an item of type {kind}"]})
    return kind


def _provenance(value: int) -> str:
    """Its name; an unknown one is left for the checks to refuse."""
    if value not in types.Provenance.values():
        return str(value)
    name = types.Provenance.Name(value)  # type: ignore[arg-type]
    return "" if value == types.PROVENANCE_UNSPECIFIED else name.removeprefix("PROVENANCE_").lower()


def _read(name: str, value: Any, message: Any) -> Any:
    if name in TIMES:
        return _read_time(name, value) if message.HasField(name) else None
    if name == "decisions":
        return tuple(_read_decision(entry) for entry in value)
    if name == "options_considered":
        return dict(value)
    return value if isinstance(value, str | int) else tuple(value)


def _read_time(name: str, value: Timestamp) -> datetime:
    try:
        return value.ToDatetime(UTC)
    except (ValueError, OverflowError) as error:
        raise Invalid({name: ["is no time"]}) from error


def _read_decision(message: types.MeetingDecision) -> MeetingDecision:
    actions = tuple(ActionItem(a.task, a.owner, a.due, a.status) for a in message.action_items)
    return MeetingDecision(message.decision, message.rationale, actions)


def _write_body(message: Any, body: Body) -> None:
    message.SetInParent()
    for part in dataclasses.fields(body):
        value = getattr(body, part.name)
        if part.name in TIMES:
            if value:
                getattr(message, part.name).FromDatetime(value)
        elif part.name == "decisions":
            _extend(message.decisions, value, _write_decision)
        elif part.name == "options_considered":
            message.options_considered.update(value)
        elif isinstance(value, str | int):
            setattr(message, part.name, value)
        else:
            getattr(message, part.name).extend(value)


def _write_decision(decision: MeetingDecision) -> types.MeetingDecision:
    actions = [types.ActionItem(**dataclasses.asdict(action)) for action in decision.action_items]
    return types.MeetingDecision(decision=decision.decision, rationale=decision.rationale, action_items=actions)


def _extend(target: Any, values: Iterable[Any], convert: Callable[[Any], Any]) -> None:
    target.extend(convert(value) for value in values)


def _timestamp(value: datetime | None) -> Timestamp | None:
    if value is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(value)
    return stamp
