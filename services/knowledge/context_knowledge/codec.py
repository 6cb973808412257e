"""Bodies as JSON values and back: the shape that rows and versions keep."""

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from context_knowledge.model import KINDS, ActionItem, Body, Item, ItemType, MeetingDecision

TIMES = ("first_seen", "last_seen")


def dump(body: Body) -> dict[str, Any]:
    """`body` as JSON values."""
    values = dataclasses.asdict(body)
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}


def load(item_type: ItemType, values: Mapping[str, Any]) -> Body:
    """The body that `dump` gave; fields this code does not know are left out, missing ones are empty."""
    body = KINDS[item_type].body
    known = {f.name for f in dataclasses.fields(body)}
    return body(**{name: _value(name, value) for name, value in values.items() if name in known})


def content(item: Item) -> dict[str, Any]:
    """All that a version keeps of `item`."""
    return {**item.values(), **dump(item.body), "type": item.type, "date": item.date, "review": item.review}


def _value(name: str, value: Any) -> Any:
    if name in TIMES:
        return datetime.fromisoformat(value) if value else None
    if name == "decisions":
        return tuple(_decision(entry) for entry in value)
    return tuple(value) if isinstance(value, list) else value


def _decision(entry: Mapping[str, Any]) -> MeetingDecision:
    actions = tuple(ActionItem(**action) for action in entry["action_items"])
    return MeetingDecision(entry["decision"], entry["rationale"], actions)
