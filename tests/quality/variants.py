"""Retrieval with one technique left out or replaced, by its calibration, by a constant of its code, or by how documents
are cut before they are indexed.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from context_retrieval import answer, pack, prepare, search, vocabulary
from context_retrieval.chunks import Layout
from context_retrieval.model import Document, Expansion, Key
from context_retrieval.passages import SPECIAL, TITLE_TOKENS, Passage, Text
from context_retrieval.rank import Ranker, Scale, Scored
from tests.quality.sets import Asked

OFF = 9.0  # above whatever a share can be
ONE_FLOOR = 0.19  # for few documents and for many


class Switch(NamedTuple):
    """What an attribute of a module or class is for the length of a run."""

    place: Any
    name: str
    value: Any


@dataclass(frozen=True, slots=True)
class Variant:
    """How questions are asked. Several scales: what each finds, fused by reciprocal rank. `cut`: a key of CUTS."""

    scales: Sequence[Scale] = (Scale(),)
    switches: Sequence[Switch] = ()
    cut: str = ""


class Bare(Text):
    """A text whose passages are embedded without what stands above them: neither title nor heading."""

    def __init__(self, document: Document) -> None:
        super().__init__(document)
        self.title = ""
        self.layout = _Unlabelled(self.layout.text, self.layout.fields, ())


class _Unlabelled(Layout):
    def heading(self, position: int) -> str:
        """Nothing."""
        return ""


class Whole(Text):
    """A text that is embedded as one passage, as far as the model reads."""

    def passages(self, window: int, title_starts: Sequence[int], text_starts: Sequence[int]) -> list[Passage]:
        """The one passage."""
        room = window - SPECIAL - min(len(title_starts), TITLE_TOKENS)
        text = self.layout.text
        piece = text[: text_starts[room]] if len(text_starts) > room else text
        return [Passage(text, "\n".join(part for part in (self.title, piece) if part))]


CUTS: Mapping[str, type[Text]] = {"bare": Bare, "whole": Whole}
_reach = Ranker.reach


def _without_neighbours(ranker: Ranker, hits: Sequence[Scored], expansion: Expansion) -> list[Scored]:
    return _reach(ranker, hits, replace(expansion, neighbours=()))


WORDS, MEANING = replace(Scale(), words=1.0, telling=0.0), replace(Scale(), words=0.0)
VARIANTS: Mapping[str, Variant] = {
    "all of it": Variant(),
    "absolute order": Variant((replace(Scale(), relative=False),)),
    "words only": Variant((WORDS,)),
    "meaning only": Variant((MEANING,)),
    "rank fusion": Variant((WORDS, MEANING)),
    "words always": Variant((replace(Scale(), telling=0.0),)),
    "no pairs": Variant(switches=(Switch(vocabulary, "PAIR", 0.0),)),
    "asking counts too": Variant(switches=(Switch(vocabulary, "ASIDE", 1.0),)),
    "no exact codes": Variant(switches=(Switch(search, "CODES", 0),)),
    "no ids": Variant(switches=(Switch(search, "ids_in", lambda _: ()),)),
    "typos as they stand": Variant(switches=(Switch(search, "doubtful", lambda _: ()),)),
    "aspects as words": Variant(switches=(Switch(search, "aspects_of", lambda *_: None),)),
    "nothing above a passage": Variant(cut="bare"),
    "one passage each": Variant(cut="whole"),
    "no nudge": Variant((replace(Scale(), nudge=0.0),)),
    "no floor": Variant((replace(Scale(), most_floor=0.0),)),
    "one floor": Variant((replace(Scale(), chance=ONE_FLOOR, scatter=0.0),)),
    "no coverage": Variant((replace(Scale(), covered=OFF),)),
    "no tail": Variant((replace(Scale(), rest=0.0),)),
}
# Those that show in what bundles are filled with.
BUNDLES: Mapping[str, Variant] = {
    "all of it": Variant(),
    "no tail": Variant((replace(Scale(), tail=0.0, tail_beside=0.0),)),
    "no neighbours": Variant(switches=(Switch(Ranker, "reach", _without_neighbours),)),
    "one matter": Variant(switches=(Switch(answer, "matters", lambda _: []),)),
    "duplicates too": Variant(switches=(Switch(pack, "ALIKE", OFF),)),
}


@contextmanager
def switched(switches: Sequence[Switch]) -> Iterator[None]:
    """Each as its switch says, and as it was afterwards."""
    before = [Switch(place, name, getattr(place, name)) for place, name, _ in switches]
    _set(switches)
    try:
        yield
    finally:
        _set(before)


def cutting(cut: str) -> Sequence[Switch]:
    """What makes documents be indexed that way."""
    return (Switch(prepare, "Text", CUTS[cut]),)


def cut_documents(documents: Sequence[Document], cut: str) -> list[Document]:
    """`documents` in the namespace of those that are cut that way."""
    return [replace(one, key=Key(_namespace(one.key.namespace, cut), one.key.item_id)) for one in documents]


def ask_cut(asked: Sequence[Asked], cut: str) -> Sequence[Asked]:
    """`asked` of documents that were cut that way; as they are where they were cut as usual."""
    if not cut:
        return asked
    return [
        replace(
            one, within=replace(one.within, namespaces=tuple(_namespace(each, cut) for each in one.within.namespaces))
        )
        for one in asked
    ]


def _namespace(namespace: str, cut: str) -> str:
    return f"{namespace} {cut}"


def _set(switches: Sequence[Switch]) -> None:
    for place, name, value in switches:
        setattr(place, name, value)
