"""What a record says of others: which it supersedes, amends or only mentions, before anybody knows their ids."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Relation(StrEnum):
    """How a record bears on the one it names."""

    SUPERSEDES = "supersedes"
    SUPERSEDED_BY = "superseded_by"
    RELATES = "relates"  # amends, clarifies, extends, supersedes in part …
    RELATED_BY = "related_by"  # the same from the other end
    MENTIONS = "mentions"


class Kind(StrEnum):
    """How the other record is named."""

    PATH = "path"
    NUMBER = "number"
    SLUG = "slug"


@dataclass(frozen=True, slots=True)
class Claim:
    """One record's word about another."""

    relation: Relation
    kind: Kind
    target: str


PART = r"\b(?:part(?:ly|ially)?|in part)\b"
VERBS: tuple[tuple[str, Relation], ...] = (
    (r"supers?[cs]?[ec]+ded(?:\s+(?:in\s+part|partly|partially))?(?:\s+by)?", Relation.SUPERSEDED_BY),
    (r"(?:replaced|obsoleted|overridden)\s+by", Relation.SUPERSEDED_BY),
    (r"super[sc]e+des|superseding|replaces|obsoletes|overrides", Relation.SUPERSEDES),
    (
        r"(?:amended|clarified|extended|refined|modified|updated|deprecated|complemented|revised)\s+by",
        Relation.RELATED_BY,
    ),
    (
        r"(?:amend|clarifie|extend|refine|modifie|update|complement|revise)s|(?:relates|related)\s+to|(?:depend|build)s\s+on",
        Relation.RELATES,
    ),
)
VERB = r"\b(?:" + "|".join(f"(?P<v{i}>{pattern})" for i, (pattern, _) in enumerate(VERBS)) + r")\b"
IMAGE = r"!\[[^\]]*\]\([^)]*\)"
LINK = r"(?:\[[^\[\]]*)?\]\(\s*<?(?P<href>[^)\s>]+)>?[^)]*\)"
DEFINITION = r"^\[[^\]]+\]:\s*<?(?P<defined>\S+?)>?(?=\s|$)"
AUTOLINK = r"<(?P<auto>[^<>\s]+\.(?:md|markdown))>"
SLUG = r"\[\[?(?P<slug>(?:[\w.-]+/)*[\w.]+-[\w.-]+)\]\]?(?![\(\w])"
NUMBER = r"(?<![\w-])ADRs?[-\s#_]*(?P<number>\d{1,6})(?![\d]|[.-]\d)"
BARE = r"(?<![\w.#/-])#?(?P<bare>\d{1,5})(?![\w/]|[.-]\d)"
STOP = r"(?P<stop>\n|[.;](?=\s|$))"
TARGETS = "|".join((IMAGE, DEFINITION, LINK, AUTOLINK, SLUG, NUMBER))
STATEMENT = re.compile("|".join((TARGETS, VERB, STOP)), re.IGNORECASE | re.MULTILINE)
STATUS_STATEMENT = re.compile("|".join((TARGETS, VERB, BARE, STOP)), re.IGNORECASE | re.MULTILINE)
MENTION = re.compile(TARGETS, re.IGNORECASE | re.MULTILINE)
# In free text only a sentence about the record itself says more than that another one exists.
ABOUT_ITSELF = re.compile(r"\bthis\s+(?:adr|record|decision|document)\b[^.\n]{0,60}?" + VERB, re.IGNORECASE)
CODE = re.compile(r"`+[^`\n]*`+")
STRUCK = re.compile(r"~~.*?~~")


def in_statement(text: str, *, numbers: bool = False) -> list[Claim]:
    """The claims of a status, a list of links or other text whose verbs are about the record itself.

    A verb governs what follows it up to the end of its sentence. `numbers`: after a verb a bare number is a record.
    """
    found: list[Claim] = []
    relation, named, text = Relation.MENTIONS, 0, _readable(text)
    for match in (STATUS_STATEMENT if numbers else STATEMENT).finditer(text):
        verb = _verb(match)
        if verb is not None:
            relation, named = (_in_part(verb) if _is_partial(text, match) else verb), len(found)
            if not numbers and re.fullmatch(r"super\w+ded", match[0], re.IGNORECASE):
                relation = Relation.MENTIONS  # in free text it takes a `by` to say who came later
        elif match["stop"]:
            # A verb may end its line and name the record on the next one.
            if match["stop"] != "\n" or len(found) > named:
                relation = Relation.MENTIONS
        elif relation is not Relation.MENTIONS or not match.groupdict().get("bare"):
            found += _targets(match, relation)
    return found


def in_prose(text: str) -> list[Claim]:
    """The claims of free text."""
    found: list[Claim] = []
    for sentence in _sentences(_readable(text)):
        if ABOUT_ITSELF.search(sentence):
            found += in_statement(sentence)
        else:
            found += [claim for match in MENTION.finditer(sentence) for claim in _targets(match, Relation.MENTIONS)]
    return found


def says_superseded(text: str) -> bool | None:
    """Whether a status says that the record was superseded; None: only a part of it."""
    answer: bool | None = False
    text = _readable(text)
    for match in re.finditer(VERB, text, re.IGNORECASE):
        if _verb(match) is Relation.SUPERSEDED_BY:
            if not _is_partial(text, match):
                return True
            answer = None
    return answer


def _verb(match: re.Match[str]) -> Relation | None:
    groups = match.groupdict()
    return next((relation for i, (_, relation) in enumerate(VERBS) if groups.get(f"v{i}")), None)


def _is_partial(text: str, match: re.Match[str]) -> bool:
    """Whether the verb is about a part: the word stands in it or beside it."""
    before, after = text[max(0, match.start() - 40) : match.start()], text[match.end() : match.end() + 20]
    return bool(
        re.search(PART, match[0], re.IGNORECASE)
        or re.search(PART + r"[ \t]+(?:\w+[ \t]+)?$", before, re.IGNORECASE)
        or re.match(r"[ \t]+" + PART, after, re.IGNORECASE)
    )


def _in_part(relation: Relation) -> Relation:
    less = {Relation.SUPERSEDES: Relation.RELATES, Relation.SUPERSEDED_BY: Relation.RELATED_BY}
    return less.get(relation, relation)


def _targets(match: re.Match[str], relation: Relation) -> Iterator[Claim]:
    groups = match.groupdict()
    for name in ("href", "defined", "auto"):
        if groups.get(name):
            yield Claim(relation, Kind.PATH, groups[name])
    if groups.get("slug"):
        yield Claim(relation, Kind.SLUG, groups["slug"])
    for name in ("number", "bare"):
        if groups.get(name):
            yield Claim(relation, Kind.NUMBER, groups[name])


def _readable(text: str) -> str:
    """`text` without code and what was struck out."""
    return STRUCK.sub("", CODE.sub("", text))


def _sentences(text: str) -> list[str]:
    """Paragraphs and sentences; a link's address is never cut."""
    return re.split(r"(?<=[.;])\s+(?=[A-Z\[])|\n{2,}|\n(?=\s*[*+-]\s)", text)
