"""Which words of a question may be mistyped, and as what they may have been meant."""

import re
import string
from collections.abc import Iterator

from context_retrieval import tokens

LEAST, LONGEST = 5, 24  # letters of a word that is looked at: of a shorter one too many others are near
BEFORE, BEHIND = r"(?<![\w./:@\\-])", r"(?![\w/:@\\-]|\.\w)"  # what is no part of an identifier
# Written small: what stands in capitals may be a code that nothing here has.
ORDINARY = re.compile(rf"{BEFORE}[A-Za-z][a-z]{{{LEAST - 1},{LONGEST - 1}}}{BEHIND}")
SHOUTED = re.compile(rf"{BEFORE}[A-Z]{{6,{LONGEST}}}{BEHIND}")


def doubtful(text: str) -> tuple[str, ...]:
    """The words of `text`, small, that could be mistyped, the longest first."""
    found = dict.fromkeys(match[0].lower() for match in ORDINARY.finditer(text))
    return tuple(sorted(found, key=len, reverse=True))


def capitals(text: str) -> tuple[str, ...]:
    """The words of `text` in capitals that may be codes of somebody's own; or shouted."""
    return tuple(dict.fromkeys(match[0] for match in SHOUTED.finditer(text)))


def common(word: str) -> bool:
    """Whether `word` is common in all that is written, and so no mistake, however near to it another word is: one token
    where it stands after a blank.
    """
    return any(tokens.count(f" {one}") == 1 for one in (word, word.capitalize()))


def near(word: str) -> Iterator[str]:
    """What is one edit from `word`: a letter more, one less, another one, or two that changed places.

    Whoever mistypes the first letter sees it; and what differs in that is mostly another word (*woken* and *token*).
    """
    for at in range(1, len(word) + 1):
        head, tail = word[:at], word[at:]
        yield from (head + letter + tail for letter in string.ascii_lowercase)
        if tail:
            yield head + tail[1:]
            yield from (head + letter + tail[1:] for letter in string.ascii_lowercase if letter != tail[0])
        if len(tail) > 1 and tail[0] != tail[1]:
            yield head + tail[1] + tail[0] + tail[2:]
