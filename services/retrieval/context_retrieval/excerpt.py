"""The sentences of a passage that bear on a question, for snippets and for the first look at an item."""

from collections.abc import Iterable
from functools import lru_cache

from context_retrieval.chunks import SENTENCE

STEM = 5  # characters by which two forms of a word are taken for the same
LEAST = 40  # characters of a snippet, where there are so many


def excerpt(passage: str, question: Iterable[str], most: int) -> str:
    """At most `most` characters of `passage`: its sentence with most words of `question`, and what follows it."""
    sentences = _sentences(passage)
    if not sentences:
        return ""
    stems = _stems(tuple(question))
    said = [sum(map(sentence.lower().__contains__, stems)) for sentence in sentences]
    start = said.index(max(said))
    text = sentences[start]
    for following in sentences[start + 1 :]:
        if len(text) + 1 + len(following) > most:
            break
        text = f"{text} {following}"
    return shorten(text, most)


def shorten(text: str, most: int) -> str:
    """`text`, or its beginning and an ellipsis, within `most` characters."""
    if len(text) <= most:
        return text
    head = text[: max(most - 1, 0)]
    blank = head.rfind(" ")
    return (head[:blank] if blank > most // 2 else head).rstrip() + "…"


def _sentences(passage: str) -> list[str]:
    """The sentences of `passage` without the labels of its fields, which stand on lines of their own."""
    parts: list[str] = []
    at = 0
    for match in SENTENCE.finditer(passage):
        parts.append(passage[at : match.end()].strip())
        at = match.end()
    parts.append(passage[at:].strip())
    return [part for part in parts if part and not (part.endswith(":") and len(part) < LEAST)]


@lru_cache(maxsize=256)
def _stems(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple({word[:STEM].lower() for word in words if len(word) > 2})
