"""Ids: their shapes, and how they are found in text."""

import re
from collections.abc import Iterator
from typing import Any

from context_knowledge.model import KINDS, Item, ItemType, Snapshot, walk

TYPES = {kind.prefix: item_type for item_type, kind in KINDS.items()}
PREFIX = "|".join(TYPES)
MOST = 500  # ids found in one item's text: what names more is a list, and stands beside none of it
LARGEST_TAIL = 9  # digits that a caller's own number may have, so that the counter can go on from it for ever
SHAPE = re.compile(rf"({PREFIX})-([A-Za-z0-9][A-Za-z0-9._-]{{0,60}})", re.IGNORECASE)
NUMBER = re.compile(r"[0-9]{1,12}")
IN_TEXT = re.compile(rf"(?<![A-Za-z0-9_])({PREFIX})-([A-Za-z0-9][A-Za-z0-9._-]*)", re.IGNORECASE)
# `12`, `12-use-postgres.md`, but not the first part of a date or a version such as `2024-11`.
LEADING_NUMBER = re.compile(r"([0-9]{1,12})(?![A-Za-z0-9]|[._-][0-9])")
# Fields that hold no prose of the author's, or ids that become edges of their own.
NOT_TEXT = {"tags", "author", "status", "source_uri", "provenance", "supersedes", "superseded_by", "references"}


def canonical(text: str) -> str | None:
    """`text` as the id it is (`adr-12` → `ADR-012`), or None where it has no id's shape."""
    match = SHAPE.fullmatch(text.strip())
    if match is None:
        return None
    prefix, tail = match[1].upper(), match[2]
    return numbered(prefix, int(tail)) if NUMBER.fullmatch(tail) else f"{prefix}-{tail}"


def numbered(prefix: str, number: int) -> str:
    """The id that counts as `number`."""
    return f"{prefix}-{number:03d}"


def number_of(item_id: str) -> int:
    """The number that an id in canonical form counts as; 0 for one that is no number."""
    tail = item_id.partition("-")[2]
    return int(tail) if tail.isdecimal() else 0


def type_of(item_id: str) -> ItemType | None:
    """The type whose prefix `item_id` carries."""
    return TYPES.get(item_id.partition("-")[0])


def texts(item: Item) -> Iterator[str]:
    """Every text of `item` that may name another."""
    for name, value in item.values().items():
        if name not in NOT_TEXT:
            yield from (text for _, text in walk(name, value) if isinstance(text, str))


def named_in(text: str) -> Iterator[str]:
    """The ids that `text` names: numbers in any case (`adr-12`), other ids only as they are written."""
    for match in IN_TEXT.finditer(text):
        prefix, tail = match[1].upper(), match[2].rstrip("._-")
        number = LEADING_NUMBER.match(tail)
        if number:
            yield numbered(prefix, int(number[1]))
        if match[1] == prefix and not tail.isdecimal() and SHAPE.fullmatch(f"{prefix}-{tail}"):
            yield f"{prefix}-{tail}"


def named_by(item: Item) -> list[str]:
    """The ids that the text of `item` names, each once, in the order they appear, the first `MOST`; never its own."""
    named = dict.fromkeys(found for text in texts(item) for found in named_in(text) if found != item.id)
    return list(named)[:MOST]


def expected(item_id: str) -> bool:
    """Whether a name that stands for nothing yet is likely an id, not a word such as `ADR-driven`."""
    return bool(re.search(r"[0-9]", item_id)) and not re.match(r"[A-Z]+-[0-9]+[._-][A-Za-z]", item_id)


def field_references(item: Item) -> tuple[str, ...]:
    """The ids in a snapshot's `references`."""
    body: Any = item.body
    return body.references if isinstance(body, Snapshot) else ()
