"""Ever more documents for the questions that nothing answers: the more there are, the nearer something is by chance.

*Ours together* are our records, our decisions and the sections of our documentation. Others' text comes in as far as
the environment names it, but for conversations: they are about everything.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from context_retrieval.model import Document, Filter, Key
from tests.quality.sets import Asked, Labelled, document_of
from tests.support.postgres import ROOT

HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
LEAST = 20  # words of a section
ADDED = ("adr title", "post-mortem", "list")  # sets of others' text


@dataclass(frozen=True, slots=True)
class Crowd:
    """Documents in a namespace of their own."""

    name: str
    documents: Sequence[Document]
    answers: bool  # real questions: our records are among them

    def asked(self, asked: Sequence[Asked]) -> list[Asked]:
        """The questions of `asked`, asked of these documents."""
        return [replace(one, within=Filter((self.name,))) for one in asked]


def crowds(ours: Sequence[Labelled], given: Sequence[Labelled]) -> Iterator[Crowd]:
    """From the fewest documents to the most."""
    named = {one.name: one.documents for one in (*ours, *given)}
    together = [*named["records"], *named["own title"], *sections()]
    yield _crowd("our records", [named["records"]], answers=True)
    yield _crowd("ours together", [together], answers=True)
    others = [named[name] for name in ADDED if name in named]
    for name, documents in zip((name for name in ADDED if name in named), others, strict=True):
        yield _crowd(f"crowd of {name}", [documents], answers=False)
    if others:
        yield _crowd("all together", [together, *others], answers=True)


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
    return Crowd(name, documents, answers)


def _numbered(group: int, item_id: str) -> str:
    return f"{item_id}-{group}" if group else item_id
