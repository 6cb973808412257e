"""Fills in what the caller left out, and brings what was given into its canonical form."""

import re
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, time
from typing import Any

from context_knowledge import references
from context_knowledge.checks import TITLE, is_date
from context_knowledge.model import Adr, Failure, Item, Meeting, Snapshot, walk
from context_knowledge.tags import Vocabulary

COMMIT_PREFIX = re.compile(r"\s*([A-Za-z]+)\s*(?:\([^)]*\))?!?:")
COMMIT_TYPES = {
    **dict.fromkeys(("feat", "feature"), "feature"),
    **dict.fromkeys(("fix", "bugfix", "hotfix"), "bugfix"),
    **dict.fromkeys(("migration", "migrate"), "migration"),
    **dict.fromkeys(("test", "tests"), "test"),
    **dict.fromkeys(("deploy", "release"), "deploy"),
}
HEXADECIMAL = re.compile(r"[0-9A-Fa-f]+")
# Tags say what an item is about, which names of people and files do not.
UNTAGGED = references.NOT_TEXT | {"changed_files", "commit_hash", "stakeholders", "attendees"}
# What a commit is, its hash fixes for good: who names it again may tell less of that than is known.
FACTS = ("commit_message", "author", "date", "changed_files", "commit_type", "source_uri")


def canonical(item: Item) -> Item:
    """`item` with its ids, tags, title and commit hash in the form in which they are stored."""
    values: dict[str, Any] = {
        "title": item.title.strip(),
        "tags": tuple(dict.fromkeys(tag.strip() for tag in item.tags)),
    }
    match item.body:
        case Adr() as body:
            values["supersedes"] = _ids(body.supersedes)
            values["superseded_by"] = references.canonical(body.superseded_by) or body.superseded_by
        case Snapshot() as body:
            values["references"] = _ids(body.references)
            values["commit_hash"] = _commit(body.commit_hash)
        case _:
            pass
    return item.replace(values)


def fill(item: Item, now: datetime, vocabulary: Vocabulary) -> Item:
    """`item` with a value in every field that has a default; `now` says what today is."""
    today = now.date().isoformat()
    values: dict[str, Any] = {
        "status": item.status or item.kind.statuses[0],
        "provenance": item.provenance or "human",
    }
    match item.body:
        case Adr() as body:
            values["created_date"] = body.created_date or today
        case Failure() as body:
            values |= _failure(body, now)
        case Snapshot() as body:
            values["date"] = body.date or today
            values["title"] = item.title or headline(body.commit_message)
            values["commit_type"] = body.commit_type or commit_type(body.commit_message)
        case Meeting():
            pass
    filled = item.replace(values)
    return filled if filled.tags else replace(filled, tags=find_tags(filled, vocabulary))


def merge(old: Item, given: Item) -> Item:
    """`old` with the values that `given` has; nothing given empties a field, and `supersedes` only grows.

    Of the same commit what it is stays, and its references and tags only grow.
    """
    values = {name: value for name, value in given.values().items() if value and name != "provenance"}
    growing: tuple[str, ...] = ("supersedes",) if isinstance(old.body, Adr) else ()
    before = old.values()
    if _same_commit(old, given):
        growing = ("references", "tags")
        values |= {name: before[name] for name in FACTS if before[name]}
    values |= {name: tuple(dict.fromkeys((*before[name], *values.get(name, ())))) for name in growing}
    return old.replace(values)


def _same_commit(old: Item, given: Item) -> bool:
    match old.body, given.body:
        case Snapshot(commit_hash=known), Snapshot(commit_hash=named):
            return bool(named) and _commit(known) == named
    return False


def _commit(said: str) -> str:
    """A commit's hash in the form in which it is stored."""
    commit = said.strip()
    return commit.lower() if HEXADECIMAL.fullmatch(commit) else commit


def rederive(old: Item, new: Item, given: Collection[str] = ()) -> Item:
    """`new` without what had been found in the old text, so that it is found in the new; fields in `given` stay."""
    if not (isinstance(old.body, Snapshot) and isinstance(new.body, Snapshot)):
        return new
    message = old.body.commit_message
    if new.body.commit_message == message:
        return new
    found = {"title": headline(message), "commit_type": commit_type(message)}
    before, after = old.values(), new.values()
    stale = [n for n, value in found.items() if n not in given and before[n] == value == after[n]]
    return new.replace(dict.fromkeys(stale, ""))


def find_tags(item: Item, vocabulary: Vocabulary) -> tuple[str, ...]:
    """The tags that the text of `item` asks for."""
    texts = [
        text
        for name, value in item.values().items()
        if name != "title" and name not in UNTAGGED
        for _, text in walk(name, value)
        if isinstance(text, str)
    ]
    return vocabulary.find(item.title, texts)


def headline(message: str) -> str:
    """The title of a snapshot that has none: the first line of its message."""
    return next(iter(message.strip().splitlines()), "").strip()[:TITLE]


def commit_type(message: str) -> str:
    """The commit type that the conventional-commit prefix of `message` stands for."""
    match = COMMIT_PREFIX.match(message)
    return COMMIT_TYPES.get(match[1].lower(), "maintenance") if match else "maintenance"


def _failure(body: Failure, now: datetime) -> dict[str, Any]:
    """An incident was seen when it is dated, or now where that is today."""
    day = body.incident_date or now.date().isoformat()
    seen = now
    if is_date(day) and day < now.date().isoformat():
        seen = datetime.combine(datetime.fromisoformat(day), time(), UTC)
    first = body.first_seen or (min(seen, body.last_seen) if body.last_seen else seen)
    return {
        "severity": body.severity or "medium",
        "incident_date": day,
        "first_seen": first,
        "last_seen": body.last_seen or max(first, seen),
        "occurrence_count": body.occurrence_count or 1,
    }


def _ids(ids: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(references.canonical(item_id) or item_id for item_id in ids))
