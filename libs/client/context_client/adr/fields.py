"""Puts the sections of a record into fields. Every line ends up in one of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from context_client.adr.options import Options, read
from context_client.adr.page import Heading, Page
from context_client.adr.words import INNER, TELLING, Part, part_of

PLAIN = {
    Part.CONTEXT: ("context", "context and problem statement", "problem statement"),
    Part.DECISION: ("decision", "decision outcome"),
    Part.CONSEQUENCES: ("consequences",),
    Part.OUTCOME: ("outcome",),
}
META = (Part.STATUS, Part.DATE, Part.PEOPLE, Part.TAGS, Part.TITLE)


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, what it is about, and the lines under it."""

    heading: Heading
    part: Part | None
    end: int


@dataclass
class Texts:
    """The prose fields of a record, as pieces still to be joined."""

    pieces: dict[Part, list[str]] = field(default_factory=dict)
    options: Options = field(default_factory=Options)

    def add(self, part: Part, text: str, heading: Heading | None = None) -> None:
        """Append `text`, under its heading unless that only names the field."""
        pieces = self.pieces.setdefault(part, [])
        if heading is not None and (pieces or heading.text.strip().lower() not in PLAIN.get(part, ())):
            text = f"{'#' * heading.level} {heading.text}\n\n{text}".strip()
        if text:
            pieces.append(text)

    def first(self, part: Part, text: str) -> None:
        """Put `text` before what stands in the field."""
        if text:
            self.pieces.setdefault(part, []).insert(0, text)

    def joined(self, part: Part) -> str:
        """The whole field."""
        return "\n\n".join(self.pieces.get(part, ()))

    def ensure_decision(self) -> None:
        """A record that states no decision says in its other fields what is done: the first of them is taken."""
        for part in (Part.CONTEXT, Part.CONSEQUENCES, Part.OUTCOME):
            if not self.joined(Part.DECISION):
                self.pieces[Part.DECISION] = self.pieces.pop(part, [])


def sections(page: Page) -> tuple[Heading | None, list[Section]]:
    """The heading that is the title, and the sections: a deeper heading belongs to the one above it."""
    headings = list(page.headings)
    title = headings[0] if headings and part_of(headings[0].text) is None else None
    found: list[Section] = []
    for heading in headings[1:] if title else headings:
        part = part_of(heading.text)
        # Before the first section that tells a decision record, any heading may start one.
        if found and heading.level > found[-1].heading.level and (part is None or found[-1].part is not None):
            continue
        found.append(Section(heading, part, 0))
    ends = [*(section.heading.start for section in found[1:]), len(page.lines)][: len(found)]
    return title, [Section(s.heading, s.part, end) for s, end in zip(found, ends, strict=True)]


def is_record(found: Sequence[Section]) -> bool:
    """Whether a section tells that the page is a decision record."""
    return any(section.part in TELLING for section in found)


def fill(page: Page, found: Sequence[Section], preamble: str) -> Texts:
    """The fields. What fits none goes, under its heading, where the section before it went."""
    texts = Texts()
    texts.add(Part.CONTEXT, preamble)
    decided = any(s.part is Part.DECISION and page.text(s.heading.end, s.end).strip() for s in found)
    current = Part.CONTEXT
    for section in found:
        if section.part in META:
            continue
        if section.part is Part.OPTIONS:
            read(texts.options, page, section.heading, section.end)
            continue
        if section.part in PLAIN:
            current = Part(section.part)
        elif not decided and current is Part.CONTEXT:
            current = Part.DECISION  # no section is called so: the author's own say what was decided
        _add(texts, page, section, current)
    if not decided and not texts.joined(Part.CONTEXT).replace(preamble, "").strip():
        texts.pieces.setdefault(Part.DECISION, [])[:0] = texts.pieces.pop(Part.CONTEXT, [])
    texts.ensure_decision()
    return texts


def _add(texts: Texts, page: Page, section: Section, part: Part) -> None:
    """Add a section, and the parts of a decision that are fields of their own."""
    inner = [
        h
        for h in page.headings
        if part is Part.DECISION and section.heading.start < h.start < section.end and part_of(h.text) in INNER
    ]
    start = section.heading.end
    heading: Heading | None = section.heading
    for own in inner:
        if own.start < start:
            continue  # inside the one before
        texts.add(part, page.text(start, own.start), heading)
        end = min(page.under(own), section.end)
        texts.add(Part(part_of(own.text) or part), page.text(own.end, end), own)
        start, heading = end, None
    texts.add(part, page.text(start, section.end), heading)
