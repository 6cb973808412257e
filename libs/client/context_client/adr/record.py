"""One file, read: the fields of an ADR, and what it says of other records."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from context_client.adr import claims, detect
from context_client.adr.claims import Claim
from context_client.adr.dates import date_in_name, read_date
from context_client.adr.facts import Facts, read_facts
from context_client.adr.fields import Section, fill, is_record, sections
from context_client.adr.page import Heading, Page, parse
from context_client.adr.status import Status, read_status
from context_client.adr.words import Part

LONGEST_TITLE = 500
CUT = f"only the first {LONGEST_TITLE} characters of the title were kept"
NO_DATE = "no date, so that of the first import stands"
ADR_PREFIX = r"(?:adr|madr|(?:architecture|architectural)\s+decision(?:\s+record)?|decision\s+record)"
NUMBERING = re.compile(
    rf"^\s*\[?(?:{ADR_PREFIX}[\s#_-]*\d+\]?\s*[.:)–—-]*|{ADR_PREFIX}\s*[:–—-]|\d+\]?\s*[.:)–—-]+(?=\s))\s*(?=\S)",
    re.IGNORECASE,
)
GENERIC = re.compile(rf"{ADR_PREFIX}[\s#_-]*\d*", re.IGNORECASE)
NUMBER_IN_NAME = re.compile(r"^(?:adr[-_ ]?)?(\d{1,6})(?=[-_. ]|$)", re.IGNORECASE)
NUMBER_IN_TITLE = re.compile(rf"^\s*\[?(?:{ADR_PREFIX})?[\s#_-]*(\d{{1,6}})\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Record:
    """A decision record as it stands in its file."""

    path: Path
    number: int | None
    fields: dict[str, Any]  # of the API, but for ids and source_uri
    claims: tuple[Claim, ...]
    partly_superseded: bool
    notes: tuple[str, ...]  # what was taken for granted


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file that is no record, and why."""

    path: Path
    reason: str


def read(path: Path, raw: bytes) -> Record | LeftOut:
    """The record in a file, or why there is none."""
    reason = detect.by_name(path)
    if reason:
        return LeftOut(path, reason)
    text, note = detect.decode(raw)
    if not text.strip():
        return LeftOut(path, "empty" if not raw.strip() else "not text")
    page = parse(text)
    heading, found = sections(page)
    reason = detect.by_title(heading.text if heading else str(page.meta.get("title") or ""))
    if reason:
        return LeftOut(path, reason)
    facts = read_facts(page, heading, found)
    if not (page.headings or page.meta.get("title")):
        return LeftOut(path, "no heading")
    if not is_record(found) and not facts.statuses:
        return LeftOut(path, "no section of a decision record (status, context, decision, options or consequences)")
    record = _record(path, page, heading, found, facts, note)
    return record if record.fields["decision"] else LeftOut(path, "no text under its headings")


def _record(path: Path, page: Page, heading: Heading | None, found: list[Section], facts: Facts, note: str) -> Record:
    title = _title(path, heading, facts)
    status = read_status("\n".join(facts.statuses)) if facts.statuses else Status("active", exact=True, known=False)
    texts = fill(page, found, facts.rest)
    if not status.exact:
        texts.first(Part.CONTEXT, "Status: " + "\n".join(facts.statuses).strip())
    date = _date(path, facts, status)
    cut = CUT if len(title) > LONGEST_TITLE else ""
    fields: dict[str, Any] = {
        "title": title[:LONGEST_TITLE],
        "status": status.word,
        "created_date": date,
        "context": texts.joined(Part.CONTEXT),
        "decision": texts.joined(Part.DECISION),
        "options_considered": texts.options.texts(),
        "consequences": texts.joined(Part.CONSEQUENCES),
        "outcome": texts.joined(Part.OUTCOME),
        "stakeholders": list(dict.fromkeys(facts.people)),
        "tags": list(dict.fromkeys(facts.tags)),
    }
    return Record(
        path=path,
        number=_number(path, heading),
        fields=fields,
        claims=tuple(dict.fromkeys(_claims(page, found, facts))),
        partly_superseded=status.partly_superseded,
        notes=tuple(filter(None, (note, _status_note(facts, status), "" if date else NO_DATE, cut))),
    )


def _title(path: Path, heading: Heading | None, facts: Facts) -> str:
    written = facts.title if facts.title and (heading is None or GENERIC.fullmatch(heading.text)) else ""
    title = written or (heading.text if heading else "")
    if not title:
        slug = NUMBER_IN_NAME.sub("", re.sub(r"^\d{8}(?=-)", "", path.stem)).strip("-_ .")
        title = re.sub(r"[-_]+", " ", slug).capitalize() or path.stem
    return NUMBERING.sub("", title, count=1).strip()


def _number(path: Path, heading: Heading | None) -> int | None:
    """The number that other records use: the file's, since titles are copied and not always corrected."""
    if date_in_name(path.stem):
        return None
    match = NUMBER_IN_NAME.match(path.stem)
    if match is None and heading is not None and NUMBERING.match(heading.text):
        match = NUMBER_IN_TITLE.match(heading.text)
    return int(match[1]) if match else None


def _date(path: Path, facts: Facts, status: Status) -> str:
    days = (read_date(value) for value in facts.dates if value)
    return next(filter(None, days), "") or status.date or date_in_name(path.stem)


def _status_note(facts: Facts, status: Status) -> str:
    said = " ".join(" ".join(facts.statuses).split())[:60]
    if not said:
        return "no status, taken as active"
    if not status.known:
        return f"status {said!r} is no known one, taken as active"
    return f"status {said!r} taken as {status.word}" if status.translated else ""


def _claims(page: Page, found: list[Section], facts: Facts) -> Iterator[Claim]:
    for text in (*facts.statuses, *facts.relations):
        yield from claims.in_statement(text, numbers=True)
    yield from claims.in_prose(facts.rest)
    for section in found:
        text = page.prose(section.heading.end, section.end)
        if section.part is Part.LINKS:
            yield from claims.in_statement(text)
        elif section.part is not Part.STATUS:
            yield from claims.in_prose(text)


def mentioned_numbers(record: Record) -> set[int]:
    """The numbers for which the text of a record writes `ADR-12`: the server takes each for an id of its own."""
    texts = [record.fields["title"], *(str(record.fields[name]) for name in ("context", "decision", "consequences"))]
    texts += [record.fields["outcome"], *(f"{k}\n{v}" for k, v in record.fields["options_considered"].items())]
    pattern = re.compile(r"(?<![A-Za-z0-9_])ADR-(\d{1,12})(?![A-Za-z0-9]|[._-]\d)", re.IGNORECASE)
    return {int(number) for text in texts for number in pattern.findall(text)}
