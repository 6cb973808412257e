"""Finds tags in text, for items whose author gave none: whole words of a vocabulary, never parts of words."""

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path

WORD = re.compile(r"[a-z0-9]+")
SHIPPED = files("context_knowledge") / "data" / "vocabulary.toml"
LONGEST = 3  # words in a term
MOST = 8  # tags for one item
TITLE_WEIGHT = 3
SHORTEST_PLURAL = 4  # letters; `dns` and `aws` are no plurals


class Vocabulary:
    """Tags and the terms that stand for each.

    A term also matches its plural, and one of several words with a hyphen, a blank or nothing between them.
    """

    def __init__(self, terms: Mapping[str, Iterable[str]]) -> None:
        self._tags: dict[tuple[str, ...], set[str]] = {}
        for tag, words in terms.items():
            for term in {tag, *words}:
                for form in _forms(tuple(WORD.findall(term.lower()))):
                    self._tags.setdefault(form, set()).add(tag)

    @classmethod
    def load(cls, path: str = "") -> "Vocabulary":
        """The vocabulary in the TOML file at `path` (`tag = ["term", …]`), or the one that is shipped.

        Raises:
            ValueError: The file is not such a table.
        """
        table = tomllib.loads(Path(path).read_text("utf-8") if path else SHIPPED.read_text("utf-8"))
        if not all(isinstance(terms, list) and all(isinstance(t, str) for t in terms) for terms in table.values()):
            raise ValueError(f'{path}: every line must be `tag = ["term", …]`')
        return cls(table)

    def find(self, title: str, texts: Iterable[str]) -> tuple[str, ...]:
        """The tags that stand in `title` and `texts`, most frequent first, `MOST` at most."""
        counts = Counter(list(self._matches(title)) * TITLE_WEIGHT)
        for text in texts:
            counts.update(self._matches(text))
        return tuple(sorted(counts, key=lambda tag: (-counts[tag], tag))[:MOST])

    def _matches(self, text: str) -> Iterator[str]:
        words = WORD.findall(text.lower())
        for start in range(len(words)):
            for length in range(1, LONGEST + 1):
                phrase = words[start : start + length]
                if len(phrase) == length:
                    yield from self._look_up(tuple(phrase))

    def _look_up(self, phrase: tuple[str, ...]) -> set[str]:
        for last in _singulars(phrase[-1]):
            if found := self._tags.get((*phrase[:-1], last)):
                return found
        return set()


def _forms(words: tuple[str, ...]) -> set[tuple[str, ...]]:
    """A term as it may be written: its words apart or as one, as it stands or in the singular."""
    if not words:
        return set()
    singulars = {(*words[:-1], last) for last in _singulars(words[-1])}
    return singulars | {("".join(form),) for form in singulars}


def _singulars(word: str) -> tuple[str, ...]:
    """`word` and what it may be the plural of."""
    if len(word) < SHORTEST_PLURAL or not word.endswith("s") or word.endswith("ss"):
        return (word,)
    if word.endswith("ies"):
        return (word, word[:-3] + "y")
    return (word, word[:-1], word[:-2]) if word.endswith("es") else (word, word[:-1])
