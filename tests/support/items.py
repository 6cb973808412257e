"""Items as a caller would send them, whole but for what a test is about."""

from typing import Any

from context.v1 import types_pb2 as types


def adr(title: str = "Use Postgres", decision: str = "We keep our data there.", **fields: Any) -> types.Item:
    """A decision; fields of the item or of its body."""
    return _item(types.ITEM_TYPE_ADR, "adr", {"title": title, "decision": decision, **fields})


def failure(title: str = "Checkout was down", root_cause: str = "The pool ran dry.", **fields: Any) -> types.Item:
    """An incident."""
    return _item(types.ITEM_TYPE_FAILURE, "failure", {"title": title, "root_cause": root_cause, **fields})


def meeting(title: str = "Planning", date: str = "2026-01-15", **fields: Any) -> types.Item:
    """A meeting with one decision."""
    decisions = [types.MeetingDecision(decision="Ship it.")]
    return _item(types.ITEM_TYPE_MEETING, "meeting", {"title": title, "date": date, "decisions": decisions, **fields})


def snapshot(commit_hash: str = "abc123", commit_message: str = "feat: pay by card", **fields: Any) -> types.Item:
    """A commit."""
    values = {"commit_hash": commit_hash, "commit_message": commit_message, "author": "ada", **fields}
    return _item(types.ITEM_TYPE_SNAPSHOT, "snapshot", values)


def _item(kind: types.ItemType.ValueType, body: str, values: dict[str, Any]) -> types.Item:
    known = {field.name for field in types.Item.DESCRIPTOR.fields}
    common = {name: value for name, value in values.items() if name in known}
    inner = {name: value for name, value in values.items() if name not in known}
    whole: dict[str, Any] = {**common, body: inner}
    return types.Item(type=kind, **whole)
