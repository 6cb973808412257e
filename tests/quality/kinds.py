"""Questions by kind: codes, one word, typos, long ones, such whose best match was superseded, such whose answer stands
beside the match, filters of every selectivity; and what nothing on record answers.
"""

import hashlib
import random
import re
import string
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from context_retrieval.document import NOT_IN_FORCE
from context_retrieval.model import Document, Filter
from tests.quality.sets import HERE, Asked, Labelled, asked_of

MATTERS = 6  # of a task
NARROWED = ("half", "tenth", "two")  # of what is in force a filter leaves about so much, or one or two


def shouted(question: str) -> str:
    """`question` with the longest of its ordinary words in capitals."""
    word = max(re.findall(r"\b[a-z]{5,}\b", question), key=len, default="")
    return re.sub(rf"\b{word}\b", word.upper(), question, count=1) if word else question


def mistyped(question: str) -> str:
    """`question` with a mistake inside the longest of its ordinary words, always the same one."""
    word = max(re.findall(r"\b[a-z]{5,}\b", question), key=len, default="")
    if not word:
        return question
    chance = random.Random(hashlib.md5(question.encode(), usedforsecurity=False).hexdigest())
    at = chance.randrange(1, len(word) - 1)
    head, here, after = word[:at], word[at], word[at + 1 :]
    mistakes = (
        head + after,
        head + after[0] + here + after[1:],
        head + chance.choice(string.ascii_lowercase) + after,
        head + here + here + after,
    )
    return re.sub(rf"\b{word}\b", chance.choice(mistakes), question, count=1)


# What changes nothing of what is asked for.
CHANGES: Mapping[str, Callable[[str], str]] = {
    "a time in front": lambda question: f"2026-11-28T09:10:47.123Z {question}",
    "a log's time in front": lambda question: f"[2026-11-28 09:10:47,123] {question}",
    "a word in capitals": shouted,
}


def kinds(records: Labelled, own: Labelled) -> Iterator[Labelled]:
    """The sets of kinds.toml, over our records and our decisions, a set for each kind."""
    read = tomllib.loads((HERE / "kinds.toml").read_text())
    filtered, _ = read.pop("filtered"), read.pop("off_topic")
    over = {"records": records.documents, "own": own.documents}
    for name, parts in read.items():
        documents = [document for part in parts for document in over[part]]
        asked = [one for part, rows in parts.items() for one in _asked(rows, over[part])]
        yield Labelled(name, documents, asked)
        if name == "one word":
            yield Labelled("typos", documents, list(_mistyped([*asked, *records.asked])))
    yield from _filtered(filtered, records.documents)


def tasks(records: Labelled) -> list[Asked]:
    """Texts of `MATTERS` questions one after the other, as a task has several; wanted is what answers any of them."""
    asked = records.asked
    chosen = [[asked[(start + 5 * step) % len(asked)] for step in range(MATTERS)] for start in range(len(asked))]
    return [
        Asked(" ".join(one.question for one in each), frozenset().union(*(one.wanted for one in each)), each[0].within)
        for each in chosen
    ]


def passes(document: Document, within: Filter) -> bool:
    """Whether `document` may be answered: what `within` asks for, said once more without SQL."""
    return (
        (document.status in within.statuses if within.statuses else document.in_force)
        and (not within.types or document.type in within.types)
        and (not within.tags or bool(set(document.tags) & set(within.tags)))
        and (within.from_date is None or document.item_date >= within.from_date)
        and (within.to_date is None or document.item_date <= within.to_date)
    )


@dataclass(frozen=True, slots=True)
class Floor:
    """Questions about our records, and such as nothing there answers: `traps` have words of ours in another sense."""

    real: Sequence[Asked]
    off_topic: Sequence[Asked]
    traps: Sequence[Asked]

    @classmethod
    def load(cls) -> "Floor":
        """Those of floor.toml, questions.toml and kinds.toml."""
        own = tomllib.loads((HERE / "floor.toml").read_text())
        asked = tomllib.loads((HERE / "questions.toml").read_text())
        more = tomllib.loads((HERE / "kinds.toml").read_text())["off_topic"]
        real = [(question, found) for found, questions in own["real"].items() for question in questions]
        real += [(row["ask"], row["find"]) for row in asked["records"]]
        off = [question for questions in own["off_topic"].values() for question in questions]
        return cls(
            [asked_of("records", one, found) for one, found in real],
            [asked_of("records", one) for one in (*off, *asked["off_topic"]["ask"], *more["plain"])],
            [asked_of("records", one) for one in more["traps"]],
        )

    def each(self, change: Callable[[Sequence[Asked]], Sequence[Asked]]) -> "Floor":
        """The same with each part changed."""
        return Floor(change(self.real), change(self.off_topic), change(self.traps))


def _mistyped(asked: Sequence[Asked]) -> Iterator[Asked]:
    """Those of `asked` that a mistake can be made in, with it."""
    for one in asked:
        if (question := mistyped(one.question)) != one.question:
            yield replace(one, question=question)


def _asked(rows: Mapping[str, Sequence[str]], documents: Sequence[Document]) -> Iterator[Asked]:
    """Questions under the ids of what answers them; what no longer holds never does."""
    namespace = documents[0].key.namespace
    gone = [document.key.item_id for document in documents if document.status in NOT_IN_FORCE]
    for ids, questions in rows.items():
        for question in questions:
            yield asked_of(namespace, question.strip(), *ids.split(), unwanted=gone)


def _filtered(rows: Sequence[Mapping[str, Any]], documents: Sequence[Document]) -> Iterator[Labelled]:
    """The same questions without a filter, as far as they have an answer then, and with filters ever narrower."""
    namespace = documents[0].key.namespace
    plain = [asked_of(namespace, row["ask"], row["find"]) for row in rows]
    in_force = {document.key.item_id for document in documents if document.in_force}
    yield Labelled("no filter", documents, [one for one in plain if one.wanted <= in_force])
    for share in NARROWED:
        asked = []
        for one, row in zip(plain, rows, strict=True):
            within = _within(namespace, row[share])
            kept_out = frozenset(each.key.item_id for each in documents if not passes(each, within))
            asked.append(replace(one, within=within, unwanted=kept_out))
        yield Labelled(f"filter {share}", documents, asked)


def _within(namespace: str, fields: Mapping[str, Any]) -> Filter:
    lists = {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
    return Filter((namespace,), **{**fields, **lists})
