"""What a record says about itself: status, day, people, tags; in front matter, in lines, in tables or in sections."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from context_client.adr.fields import Section
from context_client.adr.page import Heading, Page, plain_text
from context_client.adr.words import Part, part_of

LINE = re.compile(
    r"^\s*(?:[*+-]\s+|\|\s*)?(?:\*\*|__)?\s*(?P<name>[A-Za-z][A-Za-z ()-]*?)\s*(?:\*\*|__)?\s*"
    r"[:|]\s*(?:\*\*|__)?(?P<value>.*?)\|?\s*$"
)
LAYOUT = (
    "parent",
    "nav_order",
    "has_children",
    "layout",
    "permalink",
    "title",
    "grand_parent",
    "sidebar_position",
    "id",
)
RELATIONS = ("supersedes", "superseded by", "amends", "amended by", "relates to", "related to", "clarifies", "extends")


@dataclass
class Facts:
    """What was found, as it was written. `rest`: the text between title and first section that is none of this."""

    statuses: list[str] = field(default_factory=list)
    dates: list[Any] = field(default_factory=list)  # best first
    people: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    title: str = ""
    relations: list[str] = field(default_factory=list)
    rest: str = ""

    def take(self, name: str, value: Any) -> bool:
        """Keep a named value; False where the name means nothing here."""
        name = name.lower().replace("_", " ").replace("-", " ").strip()
        text = value.strip() if isinstance(value, str) else value
        match part_of(name):
            case Part.STATUS:
                self.statuses.append(", ".join(map(str, text)) if isinstance(text, list) else str(text or ""))
            case Part.DATE:
                # The day of the decision says more than that of its last change.
                self.dates.insert(0 if name in ("date", "decision date") else len(self.dates), text)
            case Part.PEOPLE:
                self.people += _entries(text)
            case Part.TAGS:
                self.tags += [tag.lstrip("#") for tag in _entries(text)]
            case Part.TITLE:
                self.title = self.title or str(text or "")
            case _ if name in RELATIONS:
                self.relations.append(f"{name} {', '.join(map(str, text)) if isinstance(text, list) else text}")
                return False  # the words stay in the text as well
            case _:
                return False
        return True


def read_facts(page: Page, title: Heading | None, found: Iterable[Section]) -> Facts:
    """Everything a record says about itself."""
    facts = Facts()
    unknown = [line for name, value in page.meta.items() if (line := _from_meta(facts, name, value))]
    first = next(iter(found), None)
    before = page.text(0, title.start) if title else ""
    after = page.text(title.end if title else 0, first.heading.start if first else len(page.lines))
    kept = [line for line in f"{before}\n{after}".split("\n") if not _from_line(facts, line)]
    facts.rest = re.sub(r"\n{3,}", "\n\n", "\n".join([*unknown, *([""] if unknown else []), *kept])).strip()
    for section in found:
        if section.part in (Part.STATUS, Part.DATE, Part.PEOPLE, Part.TAGS, Part.TITLE):
            facts.take(section.heading.text, page.text(section.heading.end, section.end))
    return facts


def _from_meta(facts: Facts, name: str, value: Any) -> str:
    """Take an entry of the front matter; answers the line that keeps what is not understood."""
    if facts.take(name, value) or name in LAYOUT or value in (None, "", []):
        return ""
    shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"{name}: {shown}"


def _from_line(facts: Facts, line: str) -> bool:
    match = LINE.match(line)
    return bool(match) and facts.take(match["name"], match["value"]) if match else _rule_of_table(line)


def _rule_of_table(line: str) -> bool:
    return bool(re.fullmatch(r"\s*\|[\s|:-]+\|?\s*", line))


def _entries(value: Any) -> list[str]:
    """People or tags, from a YAML list, a Markdown list, or names between commas."""
    if isinstance(value, Mapping):
        return [str(name) for name in value]
    parts = value if isinstance(value, list) else re.split(r"[,;\n]", str(value or ""))
    entries = (plain_text(re.sub(r"^\s*[*+-]\s+", "", str(part))).strip(" []") for part in parts if str(part).strip())
    return [entry for entry in entries if entry]
