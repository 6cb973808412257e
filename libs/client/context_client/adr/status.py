"""What a record's status says: our word for it, and whether the author's said more."""

import re
from dataclasses import dataclass

from context_client.adr.claims import says_superseded
from context_client.adr.dates import read_date
from context_client.adr.words import STATUS_OF, STATUS_WORD

STRUCK = re.compile(r"~~.*?~~")
MARKUP = re.compile(r"[*_`|\[\]()#>]|^\s*[-+]\s+", re.MULTILINE)
PLAIN = ("accepted", "approved", "active", "proposed", "draft", "rejected", "deprecated", "superseded", "archived")
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
    superseded = says_superseded(text)
    lines = [(line, match) for line in text.split("\n") if (match := STATUS_WORD.search(MARKUP.sub(" ", line)))]
    dates = [read_date(line) for line, _ in lines]
    chosen = dates.index(max(dates)) if lines and all(dates) else 0
    word = lines[chosen][1][1].lower() if lines else ""
    said, date = STATUS_OF.get(word, "active"), dates[chosen] if lines else ""
    translated = bool(word) and word not in PLAIN
    if superseded:
        return Status("superseded", exact=_bare(text), known=True, date=date)
    if superseded is None:
        # What holds in part still holds.
        said = "active" if said == "superseded" else said
        return Status(said, exact=False, known=True, translated=True, partly_superseded=True, date=date)
    return Status(said, exact=_bare(text), known=bool(lines), translated=translated, date=date)


def _bare(text: str) -> bool:
    """Whether the text is one status word, whatever its decoration, so that nothing is lost with it."""
    words = " ".join(NOT_A_WORD.sub(" ", text).lower().split())
    return words in PLAIN
