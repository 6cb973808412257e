"""The bundle's JSON: how an item is shown whole or cut, and the object around the items."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

from context_retrieval import fence
from context_retrieval.document import OWN_FIELDS
from context_retrieval.excerpt import excerpt
from context_retrieval.model import Page
from context_retrieval.rank import Scored
from context_retrieval.tokens import count, cut

SECTIONS = ("key_decisions", "known_issues", "recent_changes")
SECTION_OF = {"adr": 0, "meeting": 0, "failure": 1, "snapshot": 2}
GLANCE = 160  # characters of `content` where the fields are shown whole anyway
TRIES = 6


@dataclass(frozen=True, slots=True)
class Style:
    """What the caller asked to see."""

    words: tuple[str, ...] = ()  # of the question
    explain: bool = False
    namespaces: bool = False  # several were asked: say where each item is from


@dataclass(frozen=True, slots=True)
class Rendered:
    """An item as JSON, and what it costs."""

    json: bytes
    tokens: int
    whole: bool

    @property
    def marked(self) -> bool:
        """Whether some of it stands between marks."""
        return fence.MARK in self.json


class Item:
    """One item on its way into a bundle."""

    def __init__(self, scored: Scored, page: Page, style: Style) -> None:
        self.scored, self.page, self._style = scored, page, style
        self.section = SECTION_OF[scored.candidate.type]
        self.vouched = scored.candidate.vouched
        self._fence = 0 if self.vouched else fence.COST
        names = OWN_FIELDS[scored.candidate.type]
        self._own = {name: page.payload[name] for name in names if name in page.payload}

    @cached_property
    def lead(self) -> str:
        """Its title and most telling fields, as text: what makes two items near-duplicates."""
        fields = [orjson.dumps(value).decode() for value in list(self._own.values())[: 1 if self.section == 2 else 2]]
        return " ".join((self.page.title, *fields))

    @cached_property
    def whole(self) -> Rendered:
        """Everything of it; `content` only points at what matched."""
        content = excerpt(self.page.passage, self._style.words, GLANCE) or self._first()
        own = self._own
        if own.get("commit_message") == content:
            own = {name: value for name, value in own.items() if name != "commit_message"}
        return self._render(self._base(content), own, whole=True)

    def passage(self, room: int) -> Rendered | None:
        """Cut to the passage that matched, within `room` tokens; and those of its fields that still fit.

        None where not even a cut title fits.
        """
        passage = self.page.passage or self._first()
        base = self._base("")
        least = 24 + self._fence
        for smaller in (lambda: None, lambda: base.update(tags=[]), lambda: base.pop("why", None)):
            smaller()
            if self._count(base) + least <= room:
                break
        else:
            title = cut(self.page.title, max(0, room - self._count({**base, "title": ""}) - least - self._fence))
            base.update(title=title)
        allowed = room - self._count(base) - 1 - self._fence
        for _ in range(TRIES):
            if allowed < 0:
                break
            base["content"] = cut(passage, allowed)
            found = self._render(base, {}, whole=False)
            if found.tokens <= room:
                return self._with_fields(base, passage, room) if allowed and base["content"] == passage else found
            allowed = min(allowed - 1, allowed - (found.tokens - room))
        base["content"] = ""
        found = self._render(base, {}, whole=False)
        return found if found.tokens <= room else None

    @property
    def bare(self) -> Rendered:
        """No more than that it is there."""
        base = self._base("")
        base.pop("why", None)
        return self._render({**base, "title": "", "tags": []}, {}, whole=False)

    def _with_fields(self, base: dict[str, Any], passage: str, room: int) -> Rendered:
        """The passage, and each field that still fits and is not said by it already."""
        kept: dict[str, Any] = {}
        best = self._render(base, kept, whole=False)
        for name, value in self._own.items():
            if isinstance(value, str) and value in passage:
                continue
            if best.tokens + self._count({name: value}) > room:
                continue
            more = self._render(base, {**kept, name: value}, whole=False)
            if more.tokens <= room:
                kept[name], best = value, more
        return best

    def _first(self) -> str:
        lead = next((value for value in self._own.values() if isinstance(value, str)), "")
        return lead or self.page.title

    def _base(self, content: str) -> dict[str, Any]:
        candidate = self.scored.candidate
        base: dict[str, Any] = {
            "id": candidate.key.item_id,
            "type": candidate.type,
            "title": self.page.title,
            "content": content,
            "tags": list(self.page.tags),
            "date": candidate.item_date.isoformat(),
            "status": candidate.status,
            "score": round(self.scored.score, 3),
            "provenance": candidate.provenance,
            "trust": "vouched" if self.vouched else "unvouched",
        }
        if self._style.namespaces:
            base["namespace"] = candidate.key.namespace
        if self.scored.replaces:
            base["replaces"] = list(self.scored.replaces)
        if self._style.explain:
            base["why"] = why(self.scored)
        return base

    def _render(self, base: Mapping[str, Any], own: Mapping[str, Any], *, whole: bool) -> Rendered:
        shown = self._guard({**base, **own})
        if not whole:
            shown["truncated"] = True
        json = orjson.dumps(shown)
        if not own:
            return Rendered(json, count(json.decode()), whole)
        # The fields are the same from query to query, what stands around them is not: count them apart.
        fields = own if self.vouched else {name: shown[name] for name in own}
        around = {name: shown[name] for name in shown if name not in own}
        return Rendered(json, count(_text(fields)) + count(_text(around)), whole)

    def _guard(self, fields: dict[str, Any]) -> dict[str, Any]:
        """`fields` as they are shown: between marks where nobody vouches for them."""
        return fields if self.vouched else fence.guard(fields)

    def _count(self, fields: dict[str, Any]) -> int:
        return count(_text(self._guard(fields)))


@dataclass(frozen=True, slots=True)
class Omission:
    """Something that bears on the question and is not in the bundle."""

    item_id: str
    reason: str
    tokens: int

    def json(self) -> dict[str, Any]:
        """As the bundle lists it."""
        return {"id": self.item_id, "reason": self.reason, "tokens": self.tokens}


def why(scored: Scored) -> dict[str, Any]:
    """The parts of a score as `explain` shows them."""
    parts = {
        "semantic": scored.semantic,
        "keyword": scored.keyword,
        "recency": scored.recency,
        "importance": scored.importance,
        "feedback": scored.feedback,
    }
    shown: dict[str, Any] = {name: round(value, 2) for name, value in parts.items()}
    shown["via"] = scored.via.item_id if scored.via else ""
    return shown


def envelope(
    query_id: str, sections: Sequence[Sequence[bytes]], omitted: Sequence[Omission], *, degraded: bool, note: str = ""
) -> tuple[bytes, int]:
    """The bundle's bytes and their tokens, the digits of that number among them."""
    shown: dict[str, Any] = {"query_id": query_id}
    if note:
        shown["note"] = note
    for name, items in zip(SECTIONS, sections, strict=True):
        shown[name] = [orjson.Fragment(item) for item in items]
    shown["total_items"] = sum(map(len, sections))
    shown["tokens_used"] = 0
    shown["omitted"] = [omission.json() for omission in omitted]
    shown["degraded"] = degraded
    tokens = count(orjson.dumps(shown).decode()) - 1
    # Digits are tokens of their own, up to three in one: that is what the number adds for itself.
    shown["tokens_used"] = next(tokens + groups for groups in (1, 2, 3) if tokens + groups < 1000**groups)
    return orjson.dumps(shown), shown["tokens_used"]


def _text(value: Mapping[str, Any]) -> str:
    return orjson.dumps(value).decode()
