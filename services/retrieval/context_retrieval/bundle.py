"""The bundle's JSON: how an item is shown whole or cut, and the object around the items."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple
from zlib import crc32

import orjson

from context_retrieval import fence
from context_retrieval.chunks import lay_out
from context_retrieval.document import OWN_FIELDS, TELLING, label, shown_sections
from context_retrieval.excerpt import excerpt, shorten
from context_retrieval.model import TURNED_DOWN, Candidate, Counts, Document, Page, Section, Tally
from context_retrieval.rank import Scored
from context_retrieval.tokens import Part, cut, split

SECTIONS = ("key_decisions", "known_issues", "recent_changes")
SECTION_OF = {"adr": 0, "meeting": 0, "failure": 1, "snapshot": 2}
NEXT = ',{"'  # stands between an item and the next
GLANCE = 160  # characters of `content` where the fields are shown whole anyway
CHARACTERS = 4  # of English in a token, about,
MOST_CHARACTERS = 6  # and seldom more
DOUBTFUL = 1.3  # times more than there is room for: so far off is no guess
AROUND = 84  # tokens of what stands around an item's own fields, about
CONTENT = 28  # that are kept for its content, at least
LEAST_FIELD = 16  # tokens of a field, below which its beginning says nothing
TRIES = 6


@dataclass(frozen=True, slots=True)
class Style:
    """What the caller asked to see."""

    words: tuple[str, ...] = ()  # of the question
    explain: bool = False
    namespaces: bool = False  # several were asked: say where each item is from


class Rendered(NamedTuple):
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
        return Rendered(f'{self.text},"{fields}', part, self.whole)

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
        fields = self.page.counts.fields.tokens if self.vouched else None
        if fields is None:
            fields = len(inside(self._own)) // CHARACTERS
        return fields + AROUND + len(self.page.title) // CHARACTERS

    @cached_property
    def whole(self) -> Rendered:
        """Everything of it; `content` only points at what matched."""
        content = excerpt(self.page.passage, self._style.words, GLANCE) or shorten(self._first(), GLANCE)
        own = self._own
        if own.get("commit_message") == content:
            own = {name: value for name, value in own.items() if name != "commit_message"}
        shown = self._full._replace(whole=True).beside(self._inside({"content": content}))
        if not own:
            return shown
        fields = self._inside(own)
        return shown.beside(fields, known(self.page.counts.fields, fields))

    def if_whole(self, room: int) -> Rendered | None:
        """Everything of it, where that takes no more than `room` tokens."""
        if self.about > room * DOUBTFUL or self.whole.tokens > room:
            return None
        return self.whole

    def within(self, room: int) -> Rendered | None:
        """As much of it as `room` tokens hold; None where that is nothing."""
        return self.if_whole(room) or self.passage(room)

    def passage(self, room: int) -> Rendered | None:
        """Cut to the passage that matched, within `room` tokens; with the beginning of what tells most of it, and those
        of its other fields that still fit.

        None where not even a cut title fits.
        """
        frame = self._fitting(room - CONTENT - self._fence)
        if self._heading:
            under = frame.beside(self._inside({"content_of": self._heading}))
            frame = under if under.tokens <= room - CONTENT - self._fence else frame
        empty = self._with_content(frame, "")
        kept = self._kept(room - empty.tokens - self._fence)
        shown = self._filled(frame, empty, room - sum(kept.values()))
        if shown is None:
            return empty if empty.tokens <= room else None
        for name, allowed in kept.items():
            shown = self._with_beginning(shown, name, allowed, room)
        return self._with_fields(shown, room)

    def _filled(self, frame: Rendered, empty: Rendered, room: int) -> Rendered | None:
        """The frame with as much of the passage as `room` holds."""
        allowed = space = room - empty.tokens - self._fence
        if allowed > 0 and len(self._passage) <= MOST_CHARACTERS * allowed:
            shown = self._with_content(frame, self._passage)
            if shown.tokens <= room:
                return shown
            allowed -= 1
        allowed = min(allowed, int(allowed * self._plainness))
        for _ in range(TRIES):
            if allowed < 0:
                break
            shown = self._with_content(frame, cut(self._passage, allowed))
            if shown.tokens <= room:
                return shown
            # In proportion: what is full of line ends or quotation marks may count twice of what it does by itself.
            allowed = min(allowed - 1, int(allowed * space / (shown.tokens - empty.tokens)))
        return None

    def _kept(self, room: int) -> dict[str, int]:
        """The tokens kept for each of its most telling fields: of `room` what the passage leaves, or a third.

        Half of it where the passage says nothing of any; where that is too little for all, for the last of them.
        """
        telling = [name for name in TELLING[self.scored.candidate.type] if name in self._own]
        names = [name for name in telling if not self._says(name, GLANCE)]
        about_passage = len(self._passage) // CHARACTERS + LEAST_FIELD
        allowed = max(room // (2 if len(names) == len(telling) else 3), room - about_passage)
        names = names[-max(allowed // (2 * LEAST_FIELD), 1) :]
        kept = {}
        for left, name in zip(range(len(names), 0, -1), names, strict=True):
            needed = len(self._inside({name: self._own[name]})) // CHARACTERS + LEAST_FIELD
            taken = min(needed, allowed // left)
            if taken > LEAST_FIELD:
                # In steps, so that the same beginnings come again, and are counted once.
                kept[name] = taken // LEAST_FIELD * LEAST_FIELD
                allowed -= taken
        return kept

    def _with_beginning(self, shown: Rendered, name: str, allowed: int, room: int) -> Rendered:
        """`shown` with as much of a field as about so many tokens hold, and `room` in all; only texts are cut."""
        value = self._own[name]
        text = self._inside({name: value})
        allowed -= LEAST_FIELD // 2
        if len(text) > CHARACTERS * allowed and isinstance(value, str):
            text = self._inside({name: shorten(value, CHARACTERS * allowed)})
        if len(text) > MOST_CHARACTERS * room:  # not worth counting
            return shown
        more = shown.beside(text)
        if more.tokens > room and isinstance(value, str):
            more = shown.beside(self._inside({name: f"{cut(value[: CHARACTERS * allowed], allowed)}…"}))
        return more if more.tokens <= room else shown

    @property
    def bare(self) -> Rendered:
        """No more than that it is there."""
        return self._with_content(self._frame("", tags=False, why=False), "")

    def left_out(self, reason: str, superseded_by: str = "") -> "Omission":
        """What says that it is left out."""
        namespace = self.scored.key.namespace if self._style.namespaces else ""
        # Of a matter that was turned down its name says most of it. One that nobody vouches for would need marks.
        title = self.page.title if reason in TURNED_DOWN and self.vouched else ""
        return Omission(self.scored.key.item_id, reason, self.about, title, superseded_by, namespace)

    def _fitting(self, room: int) -> Rendered:
        """Which item it is, within `room` tokens: if need be without its tags, without its reasons, its title cut."""
        if self._full.tokens <= room:
            return self._full
        for why in (True, False):
            frame = self._frame(tags=False, why=why)
            if frame.tokens <= room:
                return frame
        nameless = self._frame("", tags=False, why=False)
        title = cut(self.page.title, max(0, room - nameless.tokens - self._fence))
        return self._frame(title, tags=False, why=False)

    def _with_content(self, frame: Rendered, content: str) -> Rendered:
        text = self._inside(_shortened(content))
        return frame.beside(text, known(self.page.counts.passage, text) if content is self.page.passage else None)

    def _with_fields(self, shown: Rendered, room: int) -> Rendered:
        """`shown` with each field that still fits, and is neither there already nor said by the passage."""
        for name, value in self._own.items():
            if name in TELLING[self.scored.candidate.type] or self._says(name):
                continue
            text = self._inside({name: value})
            if len(text) > MOST_CHARACTERS * (room - shown.tokens):  # not worth counting
                continue
            more = shown.beside(text)
            if more.tokens <= room:
                shown = more
        return shown

    @cached_property
    def _passage(self) -> str:
        return self.page.passage or self._first()

    @property
    def _plainness(self) -> float:
        """What the passage counts by itself, for each token that it counts as it is shown, where that is known: line
        ends and quotation marks count more there.
        """
        shown = self.page.counts.passage.tokens
        return len(split(self._passage)) / shown if shown and self.page.passage else 1.0

    @cached_property
    def _heading(self) -> str:
        """What the passage stands under where it starts within a field; empty elsewhere, since it says so itself."""
        passage = self.page.passage
        if not passage or any(passage.startswith(f"{label(name)}:\n") for name in self._own):
            return ""
        layout = lay_out([Section(label(name), text) for name, text in self._texts.items()])
        return layout.heading(max(layout.text.find(passage), 0))

    def _says(self, name: str, characters: int | None = None) -> bool:
        """Whether the passage says so many characters of a field, under its name; all of it where none are given."""
        if not self.page.passage:
            return bool(self._own[name] == self._passage)
        under = f"{label(name)}:\n"
        return under in self._passage and under + self._texts.get(name, "")[:characters] in self._passage

    @cached_property
    def _texts(self) -> dict[str, str]:
        """Its fields as text, as they stand in passages."""
        sections = shown_sections(self.scored.candidate.type, self._own)
        names = {label(name): name for name in self._own}
        return {names[section.label]: section.text for section in sections}

    def _first(self) -> str:
        lead = next((value for value in self._own.values() if isinstance(value, str)), "")
        return lead or self.page.title

    @cached_property
    def _full(self) -> Rendered:
        return self._frame()

    def _frame(self, title: str | None = None, *, tags: bool = True, why: bool = True) -> Rendered:
        """Which item it is. What never changes comes first, so that it is counted once for many questions."""
        lasting = _lasting(
            self.scored.candidate,
            self.page.title if title is None else title,
            self.page.tags if tags else (),
            vouched=self.vouched,
        )
        if self._style.namespaces:
            lasting["namespace"] = self.scored.key.namespace
        passing: dict[str, Any] = {"score": round(self.scored.score, 3)}
        if self.scored.replaces:
            passing["replaces"] = list(self.scored.replaces)
        if self._style.explain and why:
            passing["why"] = reasons(self.scored)
        text = self._inside(lasting)
        return Rendered(text, Part.of(text, known(self.page.counts.frame, text)), whole=False).beside(inside(passing))

    def _inside(self, fields: Mapping[str, Any]) -> str:
        """`fields` as they are shown: between marks where nobody vouches for them."""
        return inside(fields if self.vouched else fence.guard(fields))


@dataclass(frozen=True, slots=True)
class Omission:
    """Something that bears on the question and is not in the bundle."""

    item_id: str
    reason: str
    tokens: int
    title: str = ""  # of what was turned down
    superseded_by: str = ""  # where what holds in its place is kept out by the filter
    namespace: str = ""  # where several were asked

    def json(self) -> dict[str, Any]:
        """As the bundle lists it."""
        listed = {"id": self.item_id, "reason": self.reason, "tokens": self.tokens}
        more = {"title": self.title, "superseded_by": self.superseded_by, "namespace": self.namespace}
        return listed | {name: value for name, value in more.items() if value}


def reasons(scored: Scored) -> dict[str, Any]:
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


def counted(document: Document) -> Counts:
    """What can be counted of an item beforehand: as it is shown between no marks, in answers from one namespace."""
    return Counts(
        fields=_tally(inside(own_fields(document.type, document.payload))),
        frame=_tally(inside(_lasting(document, document.title, document.tags, vouched=True))),
    )


def counted_passage(passage: str) -> Tally:
    """The same of a passage that is shown for its item."""
    return _tally(inside(_shortened(passage)))


def known(tally: Tally, text: str) -> int | None:
    """The tokens of `text` up to its last seam, where it is what `tally` counted."""
    return tally.tokens if tally.checksum == crc32(text.encode()) else None


def _tally(text: str) -> Tally:
    return Tally(Part.of(text).tokens, crc32(text.encode()))


def _lasting(of: Candidate | Document, title: str, tags: Sequence[str], *, vouched: bool) -> dict[str, Any]:
    """What says which item it is, whatever was asked."""
    return {
        "id": of.key.item_id,
        "type": of.type,
        "title": title,
        "tags": list(tags),
        "date": of.item_date.isoformat(),
        "status": of.status,
        "provenance": of.provenance,
        "trust": "vouched" if vouched else "unvouched",
    }


def _shortened(content: str) -> dict[str, Any]:
    """What is shown of an item beside what it is, where it is cut to `content`."""
    return {"content": content, "truncated": True}


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
