"""What a record's status says: our word for it, and whether the author's said more."""

import re
from dataclasses import dataclass

from context_client.adr.claims import says_superseded
from context_client.adr.dates import read_date
from context_client.adr.words import STATUS_OF, STATUS_WORD

STRUCK = re.compile(r"~~.*?~~")
MARKUP = re.compile(r"[*_`|\[\]()#>]|^\s*[-+]\s+", re.MULTILINE)
PLAIN = ("accepted", "approved", "active", "proposed", "draft", "rejected", "deprecated", "superseded", "archived")
UNDONE, DONE = re.compile(r"^\s*[-*+]\s+\[ \].*$", re.MULTILINE), re.compile(r"^\s*[-*+]\s+\[[xX]\]", re.MULTILINE)
ENDED = re.compile(r"\bno longer\b", re.IGNORECASE)
PENDING = re.compile(r"\bnot (?:yet )?$", re.IGNORECASE)  # before a word that says that it holds
NOT_A_WORD = re.compile(r"[\W\d_]+")


@dataclass(frozen=True, slots=True)
class Status:
    """A status. `exact`: the author's text says no more than `word`; `known`: it had a word that we know.

    `translated`: the author's word was another, and reasonable people could have read it otherwise.
    """

    word: str
    exact: bool
    known: bool
    translated: bool = False
    partly_superseded: bool = False
    date: str = ""


def read_status(text: str) -> Status:
    """The status that `text` gives. In a history the newest entry counts, else the first word does."""
    text = STRUCK.sub("", text).strip()
    if DONE.search(text):  # a list of all there are, of which one is ticked
        text = UNDONE.sub("", text)
    superseded = says_superseded(text)
    lines = [(line, match) for line in text.split("\n") if (match := STATUS_WORD.search(MARKUP.sub(" ", line)))]
    dates = [read_date(line) for line, _ in lines]
    # Of several of one day the last is the newest.
    chosen = max(range(len(lines)), key=lambda at: (dates[at], at)) if lines and all(dates) else 0
    word = lines[chosen][1][1].lower() if lines else ""
    plain, date = STATUS_OF.get(word, "active"), dates[chosen] if lines else ""
    said = _denied(plain, lines[chosen][1] if lines else None, text)
    translated = (bool(word) and word not in PLAIN) or said != plain
    if superseded:
        return Status("superseded", exact=_bare(text), known=True, date=date)
    if superseded is None:
        # What holds in part still holds.
        said = "active" if said == "superseded" else said
        return Status(said, exact=False, known=True, translated=True, partly_superseded=True, date=date)
    return Status(said, exact=_bare(text), known=bool(lines) or said != plain, translated=translated, date=date)


def _denied(said: str, match: re.Match[str] | None, text: str) -> str:
    """`said`, or what holds where the author denies that: `not yet accepted`, `no longer valid`."""
    if said != "active":
        return said
    before = match.string[: match.start()] if match else text
    if ENDED.search(before):
        return "deprecated"
    return "proposed" if match and PENDING.search(before) else said


def _bare(text: str) -> bool:
    """Whether the text is one status word, whatever its decoration, so that nothing is lost with it."""
    words = " ".join(NOT_A_WORD.sub(" ", text).lower().split())
    return words in PLAIN
