"""The bundle's JSON: how an item is shown whole or cut, and the object around the items."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any
from zlib import crc32

import orjson

from context_retrieval import fence
from context_retrieval.document import OWN_FIELDS
from context_retrieval.excerpt import excerpt
from context_retrieval.model import Page, Tally
from context_retrieval.rank import Scored
from context_retrieval.tokens import Part, count, cut

SECTIONS = ("key_decisions", "known_issues", "recent_changes")
SECTION_OF = {"adr": 0, "meeting": 0, "failure": 1, "snapshot": 2}
NEXT = ',{"'  # stands between an item and the next
GLANCE = 160  # characters of `content` where the fields are shown whole anyway
CHARACTERS = 4  # of English in a token, about,
MOST_CHARACTERS = 8  # and as good as never more
DOUBTFUL = 1.3  # times more than there is room for: so far off is no guess
AROUND = 84  # tokens of what stands around an item's own fields, about
TRIES = 6


@dataclass(frozen=True, slots=True)
class Style:
    """What the caller asked to see."""

    words: tuple[str, ...] = ()  # of the question
    explain: bool = False
    namespaces: bool = False  # several were asked: say where each item is from


@dataclass(frozen=True, slots=True)
class Rendered:
    """An item as JSON.

    Attributes:
        text: What stands in the object, after its first quotation mark.
        part: The same, to be counted with what stands around it.
        whole: Nothing is cut.
    """

    text: str
    part: Part
    whole: bool

    @property
    def tokens(self) -> int:
        """What it costs, with what stands between it and the next."""
        return self.part.then(f"}}{NEXT}")

    def beside(self, fields: str, tokens: int | None = None) -> "Rendered":
        """The same with `fields` as `inside` gives them, whose `tokens` may have been counted before."""
        part = self.part.joined(',"', Part.of(fields, tokens))
        return replace(self, text=f'{self.text},"{fields}', part=part)

    @property
    def marked(self) -> bool:
        """Whether some of it stands between marks."""
        return fence.MARK in self.text


class Item:
    """One item on its way into a bundle."""

    def __init__(self, scored: Scored, page: Page, style: Style) -> None:
        self.scored, self.page, self._style = scored, page, style
        self.section = SECTION_OF[scored.candidate.type]
        self.vouched = scored.candidate.vouched
        self._fence = 0 if self.vouched else fence.COST
        self._own = own_fields(scored.candidate.type, page.payload)

    @cached_property
    def lead(self) -> str:
        """Its title and most telling fields, as text: what makes two items near-duplicates."""
        telling = islice(self._own.values(), 1 if self.section == 2 else 2)
        fields = [value if isinstance(value, str) else _text(value) for value in telling]
        return " ".join((self.page.title, *fields))

    @cached_property
    def about(self) -> int:
        """The tokens that it takes whole, near enough to tell how large it is."""
        known = self.page.tally if self.vouched else None
        fields = known.tokens if known else len(inside(self._own)) // CHARACTERS
        return fields + AROUND + len(self.page.title) // CHARACTERS

    @cached_property
    def whole(self) -> Rendered:
        """Everything of it; `content` only points at what matched."""
        content = excerpt(self.page.passage, self._style.words, GLANCE) or self._first()
        own = self._own
        if own.get("commit_message") == content:
            own = {name: value for name, value in own.items() if name != "commit_message"}
        shown = self._render(self._base(content), whole=True)
        if not own:
            return shown
        fields, held = inside(self._guard(own)), self.page.tally
        return shown.beside(fields, held.tokens if held and held.checksum == crc32(fields.encode()) else None)

    def if_whole(self, room: int) -> Rendered | None:
        """Everything of it, where that takes no more than `room` tokens."""
        if self.about > room * DOUBTFUL or self.whole.tokens > room:
            return None
        return self.whole

    def within(self, room: int) -> Rendered | None:
        """As much of it as `room` tokens hold; None where that is nothing."""
        return self.if_whole(room) or self.passage(room)

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
            found = self._render(base)
            if found.tokens <= room:
                return self._with_fields(found, passage, room) if allowed and base["content"] == passage else found
            allowed = min(allowed - 1, allowed - (found.tokens - room))
        base["content"] = ""
        found = self._render(base)
        return found if found.tokens <= room else None

    @property
    def bare(self) -> Rendered:
        """No more than that it is there."""
        base = self._base("")
        base.pop("why", None)
        return self._render({**base, "title": "", "tags": []})

    def _with_fields(self, shown: Rendered, passage: str, room: int) -> Rendered:
        """The passage as `shown`, and each field that still fits and is not said by it already."""
        for name, value in self._own.items():
            if isinstance(value, str) and value in passage:
                continue
            text = inside(self._guard({name: value}))
            if len(text) > MOST_CHARACTERS * (room - shown.tokens):  # not worth counting
                continue
            more = shown.beside(text)
            if more.tokens <= room:
                shown = more
        return shown

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

    def _render(self, base: Mapping[str, Any], *, whole: bool = False) -> Rendered:
        text = inside(self._guard(base if whole else {**base, "truncated": True}))
        return Rendered(text, Part.of(text), whole)

    def _guard(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
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
    query_id: str,
    sections: Sequence[Sequence[Rendered]],
    omitted: Sequence[Omission],
    *,
    degraded: bool,
    note: str = "",
) -> tuple[bytes, int]:
    """The bundle's bytes and their tokens, the digits of that number among them."""
    # What was written, counted up to the last item; what comes since then is counted with the next.
    written, part = list[str](), Part(0, "")
    since = _text({"query_id": query_id, "note": note} if note else {"query_id": query_id})[:-1]
    for name, items in zip(SECTIONS, sections, strict=True):
        since += f',"{name}":['
        for place, item in enumerate(items):
            since += NEXT if place else NEXT[1:]
            part = part.joined(since, item.part)
            written += since, item.text
            since = "}"
        since += "]"
    shown: dict[str, Any] = {"total_items": sum(map(len, sections)), "tokens_used": 0}
    shown |= {"omitted": [omission.json() for omission in omitted], "degraded": degraded}
    tokens = part.then(f"{since},{_text(shown)[1:]}") - 1
    # Digits are tokens of their own, up to three in one: that is what the number adds for itself.
    shown["tokens_used"] = next(tokens + groups for groups in (1, 2, 3) if tokens + groups < 1000**groups)
    written.append(f"{since},{_text(shown)[1:]}")
    return "".join(written).encode(), shown["tokens_used"]


def own_fields(item_type: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `payload` that an item of this type shows, in the order in which it does."""
    return {name: _ordered(payload[name]) for name in OWN_FIELDS.get(item_type, ()) if name in payload}


def tally(item_type: str, payload: Mapping[str, Any]) -> Tally:
    """What can be counted of those fields beforehand, for where they stand between no marks."""
    text = inside(own_fields(item_type, payload))
    return Tally(Part.of(text).tokens, crc32(text.encode()))


def inside(fields: Mapping[str, Any]) -> str:
    """`fields` as JSON, after the first quotation mark and up to the closing brace."""
    return _text(fields)[2:-1]


def _ordered(value: Any) -> Any:
    """`value` with the keys of its objects in an order that does not depend on where they were kept."""
    if isinstance(value, Mapping):
        return {key: _ordered(value[key]) for key in sorted(value)}
    return [_ordered(part) for part in value] if isinstance(value, list) else value


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()
