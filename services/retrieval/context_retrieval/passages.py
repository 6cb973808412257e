"""From a document to what is stored of it: its words, and its passages as they are embedded."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from context_retrieval.analysis import analyse, lexeme_literal
from context_retrieval.chunks import Cutter, Layout, bounded, lay_out, rough_starts
from context_retrieval.document import sections
from context_retrieval.model import Document, Words

SPECIAL = 2  # tokens that the model puts around a text
TITLE_TOKENS = 48
HEADING_TOKENS = 24
ROUGH_WINDOW = 256
OVERLAP = 40  # tokens
QUESTION_TOKENS = 240  # rough ones, of which there are more than the model's
MOST_WINDOWS = 8  # of a question: what it is about stands where it begins or ends


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of an item's text; `embedded` is what its vector stands for: under its title and heading."""

    text: str
    embedded: str

    @property
    def digest(self) -> bytes:
        """Stands for what is embedded."""
        return digest(self.embedded)


def windows(question: str) -> list[str]:
    """`question` in pieces that the model reads whole: one, but for long ones; of the longest, beginning and end."""
    spans = Cutter(question, rough_starts(question), QUESTION_TOKENS, 0).spans()
    pieces = [question[span.start : span.stop] for span in spans]
    return pieces if len(pieces) <= MOST_WINDOWS else pieces[: MOST_WINDOWS // 2] + pieces[-MOST_WINDOWS // 2 :]


def digest(text: str) -> bytes:
    """A short, stable stand-in for `text`."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def words(document: Document) -> Words:
    """What `document` is found by."""
    title, tags = analyse(document.title), analyse(" \n ".join(document.tags))
    body = analyse(" \n ".join(section.text for section in sections(document)))
    # The id whole only: the words of `FAIL-001` would make every failure answer "why did it fail".
    own = analyse(document.key.item_id).identifiers
    named = [(own, "A"), (title.identifiers, "A"), (tags.identifiers, "B"), (body.identifiers, "D")]
    length = title.length + tags.length + body.length
    return Words(title.plain, tags.plain, body.plain, lexeme_literal(named), length)


class Text:
    """A document's text, to be cut into passages."""

    def __init__(self, document: Document) -> None:
        self.title = document.title
        self.layout: Layout = lay_out(tuple(sections(document)))

    @property
    def digest(self) -> bytes:
        """Stands for the title and the text together."""
        return digest(f"{self.title}\0{self.layout.text}")

    def passages(self, window: int, title_starts: Sequence[int], text_starts: Sequence[int]) -> list[Passage]:
        """Passages that fit a window of `window` tokens under their title and heading."""
        text, title = self.layout.text, self.title
        text_starts, title_starts = bounded(text_starts, len(text)), bounded(title_starts, len(title))
        if len(title_starts) > TITLE_TOKENS:
            title = title[: title_starts[TITLE_TOKENS]].rstrip()
        room = window - SPECIAL - min(len(title_starts), TITLE_TOKENS)
        # A text that fits under its title needs no heading.
        room -= HEADING_TOKENS if len(text_starts) > room else 0
        spans = Cutter(text, text_starts, room, OVERLAP).spans([start for start, _ in self.layout.fields])
        found = []
        for span in spans:
            piece = text[span.start : span.stop].strip()
            heading = self.layout.heading(span.start)
            kept = heading if _about(heading) <= HEADING_TOKENS else ""
            found.append(Passage(piece, "\n".join(part for part in (title, kept, piece) if part)))
        return found

    def rough_passages(self) -> list[Passage]:
        """Passages for when the model cannot be asked where its tokens are."""
        return self.passages(ROUGH_WINDOW, rough_starts(self.title), rough_starts(self.layout.text))


def _about(text: str) -> float:
    """About how many tokens `text` has, rather too many."""
    return sum(0.4 if character.isascii() else 1.0 for character in text)
