"""Labelled texts: read from a file, one a line, what is drawn at random filled in when the tests run."""

import base64
import codecs
import random
import re
import string
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "quality" / "text"
MARKED = re.compile("⟦(.*?)⟧", re.DOTALL)
DRAWN = re.compile(r"\{(uuid|PASSWORD|BASIC|[a-z0-9]+:\d+)\}")
DISGUISED = re.compile("⟪([a-z0-9]+):(.*?)⟫")
DISGUISES: dict[str, Callable[[str], str]] = {
    "base64": lambda words: base64.b64encode(words.encode()).decode(),
    "hex": lambda words: words.encode().hex(),
    "rot13": lambda words: codecs.encode(words, "rot13"),
    "wide": lambda words: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in words),
    "tags": lambda words: "".join(chr(ord(c) + 0xE0000) for c in words),
    "zero": lambda words: "\u200b".join(words),
    "lookalike": lambda words: _lookalike(words),
    "spaced": lambda words: " ".join(words),
    "leet": lambda words: words.translate(str.maketrans("oieas", "01345")),
}
ALPHABETS = {
    "alnum": string.ascii_letters + string.digits,
    "word": string.ascii_letters + string.digits + "_-",
    "letter": string.ascii_letters,
    "upper": string.ascii_uppercase + "234567",
    "digit": string.digits,
    "hex": "0123456789abcdef",
    "hexupper": "0123456789ABCDEF",
    "base32": string.ascii_uppercase + "234567",
    "base64": string.ascii_letters + string.digits + "+/",
    "crypt": string.ascii_letters + string.digits + "./",
}


@dataclass(frozen=True, slots=True)
class Sample:
    """A text, the family it belongs to, and the parts of it that its label marks."""

    family: str
    text: str
    marked: tuple[str, ...] = ()


def read(name: str, seed: int = 1) -> list[Sample]:
    """The samples in a file; the same seed draws the same."""
    draw, family, found = random.Random(seed), "", []
    for line in (FOLDER / name).read_text().splitlines():
        if line.startswith("== "):
            family = line.removeprefix("== ")
        elif line and not line.startswith("# "):
            line = disguise(line).replace("\\u00ad", "\u00ad")
            text = re.sub(r"(?<!\\)\\n", "\n", DRAWN.sub(lambda match: _fill(draw, match[1]), line)).replace(
                "\\\\", "\\"
            )
            found.append(Sample(family, MARKED.sub(r"\1", text), tuple(MARKED.findall(text))))
    return found


def disguise(text: str) -> str:
    """`text` with its `⟪how:words⟫` made hard to see."""
    return DISGUISED.sub(lambda match: DISGUISES[match[1]](match[2]), text)


def _lookalike(words: str) -> str:
    return words.translate(str.maketrans("aeopcxi", "аеорсхі"))


def _fill(draw: random.Random, asked: str) -> str:
    name, _, count = asked.partition(":")
    if name == "uuid":
        return str(uuid.UUID(int=draw.getrandbits(128), version=4))
    if name == "PASSWORD":
        return (
            "".join(draw.sample(string.ascii_letters, 7)) + "".join(draw.sample(string.digits, 3)) + draw.choice("!xQ_")
        )
    if name == "BASIC":
        return base64.b64encode(f"ada:{_fill(draw, 'PASSWORD')}".encode()).decode()
    return "".join(draw.choices(ALPHABETS[name], k=int(count)))
