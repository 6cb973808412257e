"""The sentences of a passage that bear on a question, for snippets and for the first look at an item."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from context_retrieval.chunks import SENTENCE
from context_retrieval.document import AUTHOR, SOURCE

STEM = 5  # characters by which two forms of a word are taken for the same
LABEL = 40  # characters of one, at most
BORDER = "· "  # between two fields


def excerpt(passage: str, question: Iterable[str], most: int) -> str:
    """At most `most` characters of `passage`: its sentence with most words of `question`, and what follows it.

    Author and source are left out, which may have the question's words and say nothing to it: where there is nothing
    else, so is all. Between two fields stands a dot, or they would read as one sentence.
    """
    sentences, lower = _sentences(passage)
    if not sentences:
        return ""
    stems = _stems(tuple(question))
    said = [sum([stem in text for stem in stems]) for text in lower]
    start = said.index(max(said))
    text = sentences[start].text
    for following in sentences[start + 1 :]:
        longer = f"{text} {BORDER if following.first else ''}{following.text}"
        if len(longer) > most:
            break
        text = longer
    return shorten(text, most)


def shorten(text: str, most: int) -> str:
    """`text`, or its beginning and an ellipsis, within `most` characters."""
    if len(text) <= most:
        return text
    head = text[: max(most - 1, 0)]
    blank = head.rfind(" ")
    return (head[:blank] if blank > most // 2 else head).rstrip() + "…"


class Sentence(NamedTuple):
    """A sentence of a passage; `first`: of its field."""

    text: str
    first: bool


def _body(passage: str) -> str:
    """`passage` without author and source, which end an item's text, each on a line of its own."""
    for label in (f"{SOURCE}:\n", f"{AUTHOR}:\n"):
        start = passage.rfind(label)
        begins = start == 0 or passage[:start].endswith("\n\n")
        if start >= 0 and begins and "\n" not in passage[start + len(label) :]:
            passage = passage[:start].rstrip()
    return passage


@lru_cache(maxsize=1024)  # 4 MB altogether
def _sentences(passage: str) -> tuple[Sequence[Sentence], Sequence[str]]:
    """The sentences of `passage`, and the same in lower case, without the labels of its fields, which stand on lines of
    their own. The same passages are shown to many questions.
    """
    found: list[Sentence] = []
    passage = _body(passage)
    at, labelled = 0, False
    for end in (*(match.end() for match in SENTENCE.finditer(passage)), len(passage)):
        text, at = passage[at:end].strip(), end
        if text.endswith(":") and len(text) < LABEL:
            labelled = True
        elif text:
            found.append(Sentence(text, labelled))
            labelled = False
    return found, [sentence.text.lower() for sentence in found]


@lru_cache(maxsize=256)
def _stems(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple({word[:STEM].lower() for word in words if len(word) > 2})
