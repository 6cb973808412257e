"""Takes secrets out of what callers send, before anything of it is checked, hashed or stored."""

import json
from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from context.v1 import knowledge_pb2 as pb
from context.v1 import types_pb2 as types
from context_common.redact import redact
from context_knowledge import metrics
from context_knowledge.metadata import read_metadata
from context_knowledge.model import ItemType, Redaction, public_name

BODIES = frozenset(ItemType)


def clean(item: types.Item) -> tuple[Redaction, ...]:
    """Put a marker in the place of every secret in every text of `item`; answers where, and of what kind.

    Of one field each kind is named once.
    """
    meeting = item.type == types.ITEM_TYPE_MEETING or item.HasField("meeting")
    found = dict.fromkeys(_clean(item, ""))
    if meeting:
        found = {Redaction(public_name(ItemType.MEETING, place.field), place.kind): None for place in found}
    return tuple(found)


def clean_feedback(said: pb.Feedback) -> tuple[Redaction, ...]:
    """The same of what a caller says of an answer; of its metadata value by value, so that it stays JSON."""
    metadata = said.metadata
    said.metadata = ""
    found = dict.fromkeys(_clean(said, ""))
    if metadata:
        try:
            value = read_metadata(metadata)
        except ValueError:
            pass  # it is refused in the same way when it is read
        else:
            value, places = _clean_value(value, "metadata")
            metadata = json.dumps(value, ensure_ascii=False) if places else metadata
            found |= dict.fromkeys(places)
    said.metadata = metadata
    return tuple(found)


def clean_text(text: str) -> str:
    """`text` without its secrets, for what has no answer to say so in."""
    done = redact(text)
    _count(done.kinds)
    return done.text


def _clean(message: Message, path: str) -> Iterator[Redaction]:
    for field, value in message.ListFields():
        # API.md knows no bodies: `adr.decision` is `decision`.
        name = path if not path and field.name in BODIES else f"{path}{field.name}"
        if field.message_type and field.message_type.GetOptions().map_entry:
            yield from _clean_map(value, name)
        elif field.type == FieldDescriptor.TYPE_STRING:
            yield from _clean_texts(message, field, name)
        elif field.message_type:
            parts = [(value, name)] if not _repeated(field) else [(v, f"{name}[{n}]") for n, v in enumerate(value)]
            for part, where in parts:
                yield from _clean(part, f"{where}." if where else "")


def _clean_texts(message: Message, field: FieldDescriptor, name: str) -> Iterator[Redaction]:
    if not _repeated(field):
        text, kinds = _redacted(getattr(message, field.name))
        if kinds:
            setattr(message, field.name, text)
        yield from (Redaction(name, kind) for kind in kinds)
        return
    texts = getattr(message, field.name)
    for index, value in enumerate(texts):
        text, kinds = _redacted(value)
        if kinds:
            texts[index] = text
        yield from (Redaction(f"{name}[{index}]", kind) for kind in kinds)


def _clean_map(entries: Any, name: str) -> Iterator[Redaction]:
    """A key may make its value a secret, as in `{"password": …}`. Keys that become the same are numbered, in order."""
    for key, value in sorted(entries.items()):
        said = f"{key}: {value}"
        text, kinds = _redacted(said)
        if not kinds:
            continue
        del entries[key]
        new_key, colon, new_value = text.partition(": ") if text.startswith(f"{key}: ") else ("", "", "")
        if not colon:
            new_key, new_value = _redacted(key)[0], _redacted(value)[0]
        names = (new_key, *(f"{new_key} ({number})" for number in range(2, len(entries) + 3)))
        entries[next(name for name in names if name not in entries)] = new_value
        yield from (Redaction(name, kind) for kind in kinds)


def _clean_value(value: Any, name: str) -> tuple[Any, list[Redaction]]:
    """A JSON value without its secrets; a key may make its value one, as in a map."""
    found: list[Redaction] = []
    if isinstance(value, str):
        text, kinds = _redacted(value)
        return text, [Redaction(name, kind) for kind in kinds]
    if isinstance(value, list):
        entries = []
        for index, entry in enumerate(value):
            cleaned, places = _clean_value(entry, f"{name}[{index}]")
            entries.append(cleaned)
            found += places
        return entries, found
    if isinstance(value, dict):
        texts = {key: entry for key, entry in value.items() if isinstance(entry, str)}
        found += _clean_map(texts, name)
        whole = dict(texts)
        for key, entry in value.items():
            if not isinstance(entry, str):
                whole[_redacted(key)[0]], places = _clean_value(entry, f"{name}.{key}")
                found += places
        return whole, found
    return value, []


def _redacted(value: str) -> tuple[str, tuple[str, ...]]:
    done = redact(value)
    _count(done.kinds)
    return done.text, done.kinds


def _count(kinds: tuple[str, ...]) -> None:
    for kind in kinds:
        metrics.REDACTIONS.labels(kind).inc()


def _repeated(field: FieldDescriptor) -> bool:
    return bool(field.is_repeated)
