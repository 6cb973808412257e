"""Takes secrets out of text before anybody keeps it, and says what was taken.

What gives itself away by its shape is in `secret_shapes`, what its name makes a secret in `secret_names`, what its
place in a command or a table does in `secret_places`. Commit hashes, ids, UUIDs, digests, public keys and stand-ins
such as `<password>` or `${TOKEN}` stay.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from context_common.secret_names import named
from context_common.secret_places import command_lines, tables
from context_common.secret_shapes import FRAMES, WORDS

SHORTEST = 8  # characters; in less there is no room for a name and a secret
SHORTEST_WORD = 14  # of a secret that is known by its shape and has no space in it
LAST = 1_000  # rank of what is known by its name only
KIND = {"key": "api_key", "header": "token"}


@dataclass(frozen=True, slots=True)
class Redacted:
    """A text without its secrets, and the kind of each one that was in it, in their order."""

    text: str
    kinds: tuple[str, ...] = ()


def redact(text: str) -> Redacted:
    """`text` with `[redacted:<kind>]` in the place of every secret. Redacting that again changes nothing."""
    spans = sorted(_spans(text)) if len(text) >= SHORTEST else []
    parts, kinds, position = [], [], 0
    for start, _, end, kind in spans:
        if start >= position:
            parts += [text[position:start], f"[redacted:{kind}]"]
            kinds.append(kind)
        position = max(position, end)
    return Redacted("".join([*parts, text[position:]]), tuple(kinds)) if kinds else Redacted(text)


def _spans(text: str) -> Iterator[tuple[int, int, int, str]]:
    """Start, rank, end and kind of each secret; of two that start together the lower rank names it."""
    lower = _lower(text)
    words = "\n".join(word for word in text.split() if len(word) >= SHORTEST_WORD)
    shapes = [shape for shape in WORDS.hinted(words.lower()) if shape.pattern.search(words)]
    for rank, shape in enumerate([*shapes, *FRAMES.hinted(lower)]):
        for match in shape.pattern.finditer(text):
            group = match.lastgroup or 0
            if shape.check(match[group]) and "[redacted:" not in match[group]:
                yield match.start(group), rank, match.end(group), shape.kind
    for start, end, kind in (*named(text, lower), *command_lines(text, lower), *tables(text, lower)):
        yield start, LAST, end, KIND.get(kind, kind)


def _lower(text: str) -> str:
    """`text` in lower case, each character in its place."""
    lower = text.lower()
    return lower if len(lower) == len(text) else re.sub("[A-Z]+", lambda match: match[0].lower(), text)
