"""Ever more documents for the questions that nothing answers: the more there are, the nearer something is by chance.

*Ours together* are our records, our decisions and the sections of our documentation. Others' text comes in as far as
the environment names it, but for conversations: they are about everything.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from context_retrieval.model import Document, Filter, Key
from tests.quality.figures import mean
from tests.quality.kinds import NARROWED, passes
from tests.quality.sets import Asked, Labelled, document_of
from tests.support.postgres import ROOT

HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
LEAST = 20  # words of a section
ADDED = ("adr title", "post-mortem", "list")  # sets of others' text


@dataclass(frozen=True, slots=True)
class Crowd:
    """Documents to find an answer among.

    Attributes:
        within: Where they are: a namespace of their own, or several filters that leave some of them, one by one.
        answers: Real questions have one there: our records are among them, and no filter stands before them.
    """

    name: str
    documents: Sequence[Document]
    within: Sequence[Filter]
    answers: bool

    @property
    def size(self) -> int:
        """How many a question is asked of, on the mean."""
        return round(mean([sum(passes(one, each) for one in self.documents) for each in self.within]))

    def asked(self, asked: Sequence[Asked]) -> list[Asked]:
        """The questions of `asked`, asked of these documents."""
        return [replace(one, within=each) for each in self.within for one in asked]


def crowds(ours: Sequence[Labelled], given: Sequence[Labelled]) -> Iterator[Crowd]:
    """From the fewest documents to the most, those of others between ours and all."""
    named = {one.name: one for one in (*ours, *given)}
    records = named["records"].documents
    for share in reversed(NARROWED):
        filters = list(dict.fromkeys(one.within for one in named[f"filter {share}"].asked))
        yield Crowd(f"our records, filter {share}", records, filters, answers=False)
    yield _crowd("our records", [records], answers=True)
    together = [*records, *named["own title"].documents, *sections()]
    yield _crowd("ours together", [together], answers=True)
    others = {name: named[name].documents for name in ADDED if name in named}
    for name, documents in others.items():
        yield _crowd(f"only {name}", [documents], answers=False)
    if others:
        yield _crowd("all together", [together, *others.values()], answers=True)


def sections() -> Iterator[Document]:
    """What our documentation says under each heading, as decisions."""
    paths = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
    number = 0
    for path in paths:
        _, *parts = HEADING.split(path.read_text())
        for title, said in zip(parts[::2], parts[1::2], strict=True):
            if len(said.split()) >= LEAST:
                number += 1
                yield document_of("sections", "adr", f"SECTION-{number:04d}", title, {"context": said.strip()})


def _crowd(name: str, groups: Sequence[Sequence[Document]], *, answers: bool) -> Crowd:
    """The documents of all `groups`; those of the first keep their ids."""
    documents = [
        replace(
            one,
            key=Key(name, _numbered(number, one.key.item_id)),
            edges=tuple(replace(edge, to_id=_numbered(number, edge.to_id)) for edge in one.edges),
        )
        for number, group in enumerate(groups)
        for one in group
    ]
    return Crowd(name, documents, [Filter((name,))], answers)


def _numbered(group: int, item_id: str) -> str:
    return f"{item_id}-{group}" if group else item_id
