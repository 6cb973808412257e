"""Cuts an item's text into passages that fit the model's window, at paragraph and sentence borders, with overlap.

Positions are characters of the text; tokens are known by where each starts. Nothing here asks anybody.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter

from context_retrieval.model import Section

PARAGRAPH = re.compile(r"\n[ \t]*\n\s*")
# What may end one comes first, in one set: so the text between is passed over quickly.
SENTENCE = re.compile(r"[.!?\n。！？](?:(?<=[.!?])[)\"'\]]*\s+|(?<=\n)\n*|(?<=[。！？]))")
BLANK = re.compile(r"\s+")
HEADING = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t]*#*$", re.MULTILINE)
ROUGH_TOKEN = re.compile(r"[a-zA-Z0-9]{1,4}|[^\W_]|[^\w\s]|_")
LONGEST_TOKEN = 128  # characters that count as one token at most
FIELD, PARA, SENT, WORD = 4, 3, 2, 1


@dataclass(frozen=True, slots=True)
class Span:
    """A passage of a text, `start` to `stop`."""

    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Layout:
    """An item's text: its fields one after the other, each under its label, and where each field starts."""

    text: str
    fields: tuple[tuple[int, str], ...]
    headings: tuple[tuple[int, int, str], ...]  # within the text: start, end and words

    def heading(self, position: int) -> str:
        """What `position` stands under: its field, and the heading within the text. Empty where the field starts."""
        at = bisect_right(self.fields, (position, "\U0010ffff")) - 1
        if at < 0 or self.fields[at][0] == position:
            return ""
        start, label = self.fields[at]
        above = bisect_right(self.headings, position, key=itemgetter(1)) - 1
        if above < 0 or self.headings[above][0] < start:
            return label
        return f"{label}: {self.headings[above][2][:80]}"


def lay_out(sections: Sequence[Section]) -> Layout:
    """`sections` as one text."""
    parts: list[str] = []
    fields: list[tuple[int, str]] = []
    at = 0
    for section in sections:
        part = f"{section.label}:\n{section.text.strip()}"
        fields.append((at, section.label))
        parts.append(part)
        at += len(part) + 2
    text = "\n\n".join(parts)
    return Layout(text, tuple(fields), tuple((*match.span(), match[1]) for match in HEADING.finditer(text)))


def rough_starts(text: str) -> list[int]:
    """Where tokens about start: for when the model cannot be asked; cuts finer than it would."""
    return [match.start() for match in ROUGH_TOKEN.finditer(text)]


def bounded(starts: Sequence[int], end: int) -> list[int]:
    """`starts` in a text of `end` characters, with more of them where one is far from the next.

    Models read a word of a hundred characters as one token, of a hundred thousand too, and a run of blanks as none: but
    passages are shown and handed on, and must not grow without bound.
    """
    found: list[int] = []
    starts = starts or [0] * (end > 0)
    for start, following in pairwise([*starts, end]):
        found += range(start, max(following, start + 1), LONGEST_TOKEN)
    return found


class Cutter:
    """Cuts one text whose tokens begin at `starts`, into spans of at most `room` tokens."""

    def __init__(self, text: str, starts: Sequence[int], room: int, overlap: int) -> None:
        self._text, self._starts, self._room = text, starts, max(room, 2)
        self._overlap = min(overlap, self._room // 3)
        self._borders = _borders(text)

    def spans(self, fields: Sequence[int] = ()) -> list[Span]:
        """The spans, in order: together they cover the text, and neighbours overlap by whole sentences where they can.

        `fields` are where the text's fields start: the best places to cut.
        """
        for position in fields:
            self._borders[position] = FIELD
        self._places = sorted(self._borders)
        found: list[Span] = []
        first = start = 0
        while len(self._starts) - first > self._room:
            stop = self._stop(first)
            found.append(Span(start, stop))
            first = self._next(first, stop)
            start = min(self._starts[first], stop)
        found.append(Span(start, len(self._text)))
        return found

    def _stop(self, first: int) -> int:
        """The best border in the second half of the window that starts at token `first`; the last of the best."""
        limit = self._starts[first + self._room]
        places = self._between(self._starts[first + self._room // 2] + 1, limit)
        return max(places, key=lambda place: (self._borders[place], place), default=limit)

    def _next(self, first: int, stop: int) -> int:
        """The token to go on from: the start of a sentence not more than the overlap before `stop`."""
        after = bisect_left(self._starts, stop)
        least = self._starts[max(first + 1, after - self._overlap)]
        if self._borders.get(stop, 0) == FIELD:
            return after
        places = self._between(least, stop - 1)
        whole = [place for place in places if self._borders[place] >= SENT]
        if whole:
            return bisect_left(self._starts, whole[0])
        # One long sentence: go back by words, unless the cut is at its end.
        if self._borders.get(stop, 0) < SENT and places:
            return bisect_left(self._starts, places[0])
        return after

    def _between(self, least: int, most: int) -> list[int]:
        return self._places[bisect_left(self._places, least) : bisect_right(self._places, most)]


def _borders(text: str) -> dict[int, int]:
    """Where the text may be cut, and how well: a field's start is better than a paragraph's, a sentence's, a word's."""
    borders: dict[int, int] = {}
    for pattern, level in ((BLANK, WORD), (SENTENCE, SENT), (PARAGRAPH, PARA)):
        borders.update((match.end(), level) for match in pattern.finditer(text))
    return borders
