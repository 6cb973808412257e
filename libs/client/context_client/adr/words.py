"""The words that authors use: for sections, for statuses, for how one record bears on another."""

import re
from enum import StrEnum


class Part(StrEnum):
    """What a section of a record is about."""

    STATUS = "status"
    CONTEXT = "context"
    DECISION = "decision"
    OPTIONS = "options"
    CONSEQUENCES = "consequences"
    OUTCOME = "outcome"
    DATE = "date"
    PEOPLE = "people"
    TAGS = "tags"
    TITLE = "title"
    LINKS = "links"


SECTIONS: dict[Part, tuple[str, ...]] = {
    Part.STATUS: ("status", "state"),
    Part.CONTEXT: (
        "context",
        "context and problem statement",
        "context and problem",
        "problem statement",
        "problem",
        "background",
        "issue",
        "motivation",
    ),
    Part.DECISION: (
        "decision",
        "decisions",
        "decision outcome",
        "the decision",
        "proposal",
        "proposed decision",
        "proposed solution",
        "solution",
        "resolution",
    ),
    Part.OPTIONS: (
        "considered options",
        "options",
        "options considered",
        "considered alternatives",
        "alternatives",
        "alternatives considered",
        "pros and cons of the options",
        "pros and cons",
    ),
    Part.CONSEQUENCES: (
        "consequences",
        "positive consequences",
        "negative consequences",
        "implications",
        "impact",
        "trade-offs",
        "tradeoffs",
    ),
    Part.OUTCOME: (
        "outcome",
        "result",
        "results",
        "confirmation",
        "validation",
        "retrospective",
        "reason for rejection",
        "lessons learned",
    ),
    Part.DATE: ("date", "last updated", "updated", "date last updated", "decision date", "created"),
    Part.PEOPLE: (
        "deciders",
        "decider",
        "decision makers",
        "decision-makers",
        "decision maker",
        "decision maker(s)",
        "author",
        "authors",
        "consulted",
        "informed",
        "stakeholders",
        "participants",
    ),
    Part.TAGS: ("tags", "keywords"),
    Part.TITLE: ("title",),
    Part.LINKS: ("links", "related decisions", "related adrs", "related"),
}
PARTS = {name: part for part, names in SECTIONS.items() for name in names}
# What makes a page a decision record; the others are in any document.
TELLING = (Part.STATUS, Part.CONTEXT, Part.DECISION, Part.OPTIONS, Part.CONSEQUENCES)
# Part of a decision's text, but a field of its own.
INNER = (Part.CONSEQUENCES, Part.OUTCOME)

STATUSES = {
    "active": "accepted, approved, active, adopted, agreed, decided, implemented, done, final, enforced, amended, "
    "ratified, confirmed, current, valid, complete, completed, in force",
    "proposed": "proposed, proposal, draft, pending, wip, open, deferred, postponed, rfc, review, paused, todo, "
    "undecided, on hold, in review, under review, under discussion, in discussion, in progress",
    "rejected": "rejected, declined, withdrawn, cancelled, canceled, abandoned, refused, not accepted",
    "deprecated": "deprecated, obsolete, retired, outdated, discontinued",
    "superseded": "superseded, superceded, superseeded, replaced",
    "retracted": "retracted",
    "archived": "archived",
}
STATUS_OF = {word: status for status, words in STATUSES.items() for word in words.split(", ")}
STATUS_WORD = re.compile(
    r"\b(" + "|".join(sorted(map(re.escape, STATUS_OF), key=len, reverse=True)) + r")\b", re.IGNORECASE
)


def part_of(heading: str) -> Part | None:
    """What the section under `heading` is about; None for anything of the author's own."""
    name = re.sub(r"[^\w\s()-]", "", heading.lower(), flags=re.UNICODE)
    name = re.sub(r"^\s*\d+\s+", "", re.sub(r"\s+", " ", name)).strip()
    return PARTS.get(name)
