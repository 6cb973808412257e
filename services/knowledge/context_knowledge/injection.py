"""Finds text that looks like instructions to an agent, also where it was disguised.

What was meant to be overlooked is brought to light first: compatibility forms, invisible characters, letters of other
alphabets that look like Latin ones, letters set apart, base64, tag characters. It names what looks suspicious; what it
does not find is still fenced and marked wherever agents are shown it.
"""

import base64
import binascii
import codecs
import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from context_knowledge.injection_rules import NOT_SPEAKING, ORDERING, RULES, Rule

ENOUGH = 1.0
PASSAGE = 400  # characters: rules that apply this near to each other are taken together
# Characters in which a rule looks for beginnings at once, since nothing else of the process can run meanwhile; and how
# far it sees beyond.
PIECE, BEYOND = 32_768, 1_024
EXCERPT = 160  # characters
AGAIN = 0.5  # of its weight, what a rule adds when it applies to other words as well
QUOTED = 0.35  # what a rule weighs in quotation marks, where the text speaks about it

LOOKALIKES = str.maketrans(
    "аеорсхуіјѕһԁԛԝьмтнвкгАЕОРСХУІЈЅНМТВКαεορυνικτχηΑΕΟΡΥΝΙΚΤΧΗΒΜΖɡıⅼƖǀ",
    "aeopcxyijshdqwbmthbkrAEOPCXYIJSHMTBKaeopuviktxnAEOPYNIKTXHBMZgill1",
)
DIGITS = str.maketrans("013457@$", "oieastas")
WORD = re.compile(r"[^\W_]+")
LEET = re.compile(r"\b(?=\w*[a-z])(?=\w*[013457@$])[a-z013457@$]{4,20}\b")
APART = re.compile(r"\b(?:[a-z][ ._*|-]){4,40}[a-z]\b")
MARKUP = re.compile(r"(?<!\w)[*_~]{1,3}(?=\w)|(?<=\w)[*_~]{1,3}(?!\w)")
JOINED = re.compile(
    r"\b[A-Za-z]{2,20}(?:[-_][A-Za-z]{2,20}){3,8}\b|\b[A-Z]?[a-z]{2,20}(?:[A-Z][a-z]{2,20}){3,8}\b"
)  # by-hyphens, byHumps
TICKED = re.compile(r"`(\w+)`")
ENCODED = re.compile(r"(?<![\w+/=-])[A-Za-z0-9+/_-]{24,}={0,2}(?![\w+/=-])")
HEXADECIMAL = re.compile(r"(?<![\w])(?:[0-9a-fA-F]{2}){16,}(?![\w])|(?:\\x[0-9a-fA-F]{2}){8,}")
ROTATED = re.compile(r"\b(?:vtaber|cerivbhf|vafgehpgvbaf|qvfertneq)\b")
SPOKEN_OF = re.compile(
    r"inject|attack|jailbreak|malicious|adversar|such as|e\.g\.|for instance|phrase|detect|threat|saniti[sz]|hostile"
    r"|poison|red[ -]team|payload|classif|heuristic|pattern|example|corpus|regex|block"
)
HINTS = sorted({hint for rule in RULES for hint in rule.hints})
QUOTES = "\"'`“”‘’«»"


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule that applied, where, to which words, and with which weight."""

    rule: str
    weight: float
    start: int
    words: str


def look(text: str) -> list[tuple[str, str]]:
    """The rules by which `text` looks like instructions to an agent, each with the words that gave rise to it."""
    plain = reveal(text)
    found = _suspicious(plain)
    for hidden in _decoded(text, plain):
        found += [(f"encoded_{rule}", words) for rule, words in _suspicious(reveal(hidden))]
    return list(dict(reversed(found)).items())[::-1]


def reveal(text: str) -> str:
    """`text` as a reader takes it: lower case, without disguises, each run of spaces one space."""
    if not text.isascii():
        text = "".join(_visible(c) for c in unicodedata.normalize("NFKC", text))
        text = WORD.sub(_latin, text)
    text = JOINED.sub(lambda match: re.sub(r"[-_]|(?<=[a-z])(?=[A-Z])", " ", match[0]), text).lower()
    text = re.sub(r"[^\S\n]+", " ", text.replace("’", "'").replace("\r", "\n"))
    text = MARKUP.sub("", TICKED.sub(r"\1", text))
    text = APART.sub(lambda match: re.sub(r"[ ._*|-]", "", match[0]), text)
    return LEET.sub(lambda match: match[0].translate(DIGITS), text)


def _visible(character: str) -> str:
    """Tag characters are ASCII that nobody sees; other formatting characters are nothing."""
    if "\U000e0020" <= character <= "\U000e007e":
        return chr(ord(character) - 0xE0000)
    return "" if unicodedata.category(character) in ("Cf", "Mn") and not _spoken(character) else character


def _spoken(character: str) -> bool:
    """Whether a combining mark is part of how a language is written."""
    return unicodedata.name(character, "").startswith(("DEVANAGARI", "ARABIC", "HEBREW", "THAI", "BENGALI", "TAMIL"))


def _latin(match: re.Match[str]) -> str:
    """A word in Latin letters where it mixes them with others that look like them."""
    word = match[0]
    if word.isascii():
        return word
    latin = word.translate(LOOKALIKES)
    return latin if latin.isascii() else word


def _decoded(text: str, plain: str) -> Iterator[str]:
    """What was written in base64, in hexadecimal or by rotation, where that is text."""
    for match in ENCODED.finditer(text):
        yield from _text(_from_base64(match[0]))
    for match in HEXADECIMAL.finditer(text):
        yield from _text(bytes.fromhex(match[0].replace("\\x", "")))
    if ROTATED.search(plain):
        yield codecs.decode(plain, "rot13")


def _from_base64(encoded: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(
            encoded.rstrip("=").replace("+", "-").replace("/", "_") + "=" * (-len(encoded.rstrip("=")) % 4)
        )
    except (binascii.Error, ValueError):
        return b""


def _text(data: bytes) -> Iterator[str]:
    """`data` as words, where it is words."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return
    if text.isprintable() and " " in text:
        yield text


def _suspicious(plain: str) -> list[tuple[str, str]]:
    pieces = range(0, len(plain), PIECE)
    hits = sorted((hit for piece in pieces for hit in _hits(plain, piece)), key=lambda hit: hit.start)
    starts = [hit.start for hit in hits]
    found = []
    for hit in hits:
        near = hits[bisect_left(starts, hit.start - PASSAGE) : bisect_right(starts, hit.start + PASSAGE)]
        if _weight(near) >= ENOUGH:
            found.append((hit.rule, hit.words))
    return found


def _weight(hits: list[Hit]) -> float:
    """What hits near to each other weigh; a rule that applies to other words as well counts half more."""
    rules: dict[str, dict[str, float]] = {}
    for hit in hits:
        rules.setdefault(hit.rule, {})[hit.words] = hit.weight
    if rules.keys() <= NOT_SPEAKING:
        rules = {rule: words for rule, words in rules.items() if rule not in ORDERING}
    weights = (sorted(words.values(), reverse=True) for words in rules.values())
    return round(sum(first + (AGAIN * others[0] if others else 0) for first, *others in weights), 3)


def _hits(plain: str, piece: int) -> Iterator[Hit]:
    """Where rules apply to what begins in the piece of the text that starts there."""
    start, end = max(piece - BEYOND, 0), piece + PIECE + BEYOND
    around = plain[start:end]
    hints = {hint for hint in HINTS if hint in around}
    for rule in RULES:
        if hints.isdisjoint(rule.hints):
            continue
        for match in rule.pattern.finditer(plain, start, end):
            if piece <= match.start() < piece + PIECE:
                yield _hit(rule, plain, match)


def _hit(rule: Rule, plain: str, match: re.Match[str]) -> Hit:
    spoken_of = _quoted(plain, *match.span()) and _spoken_of(plain, *match.span())
    weight = rule.weight * QUOTED if spoken_of else rule.weight
    return Hit(rule.name, weight, match.start(), " ".join(match[0].split())[:EXCERPT])


def _spoken_of(plain: str, start: int, end: int) -> bool:
    """Whether the text around is about such words."""
    return SPOKEN_OF.search(f"{plain[max(0, start - 300) : start]} {plain[end : end + 200]}") is not None


def _quoted(plain: str, start: int, end: int) -> bool:
    """Whether a quotation mark opens shortly before and one closes shortly after, on the same lines."""
    before = plain[max(0, start - 60) : start].rpartition("\n")[2]
    after = plain[end : end + 160].partition("\n")[0]
    return any(mark in before for mark in QUOTES) and any(mark in after for mark in QUOTES)
