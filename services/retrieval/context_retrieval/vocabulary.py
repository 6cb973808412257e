"""What the words of a question weigh: how rare each is in the namespaces that are asked.

How Postgres stems a word never changes, and in how many documents it stands changes slowly; so both are remembered,
and only a word that was not asked for lately costs a question of its own. What stands nowhere as far as we know is
looked for all the same: a document may have come that has it.
"""

import hashlib
import itertools
import math
import time
from collections import ChainMap
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from context_retrieval.analysis import LONGEST, Analysis
from context_retrieval.model import Counted, Weights
from context_retrieval.recent import Recent
from context_retrieval.spelling import common, near
from context_retrieval.store import Reader

TERMS = 32  # of a question, the rarest
TERMS_COUNTED = 8  # of which the weightiest make up what a document can attain
ABSENT = 0.75  # weight of a word that stands nowhere: no document can have it, but it tells what was asked
ASIDE = 0.3  # of its weight, what a word has that only says what is asked for, or is a part of a version or address,
FEW_DIGITS = 2  # and that has so many digits, at most
OTHER = 0.7  # of its weight, what others have that mean the same: who has both has said it once more
MISTYPED = 0.75  # of its weight, what a word has that was likely meant by one that stands nowhere;
MISTYPED_WORDS = 2  # of which there are, in a question, at most
PAIR = 0.5  # of the weight of two words, where they follow each other
PAIR_GAP = 3  # places between them at most: stop words stand there
REACH = 200  # documents that the words which choose candidates may stand in, all together; the others only score;
REACH_ALONE = 4000  # where nothing but words chooses
MANY, MOST = 400, 2000  # documents, about, that are few enough where words choose together; and that are too many
STEM = 4  # letters by which a part is known whatever its ending
TOGETHER = 2.0  # times as often as by chance do words of one question stand together
RARE = 3  # documents that an exact code may stand in, or
RARE_SHARE = 0.02  # of all
REMEMBERED = 30.0  # seconds for which it is remembered how many documents have a word;
REMEMBERED_ABSENT = 1.0  # that none has: the first that has it is found by it at once
STEMS = 100_000  # words
COUNTS = 100_000  # of words, of all sets of namespaces together: some 25 MiB

Value = TypeVar("Value")
Stems = Mapping[str, tuple[str, ...]]  # word → lexemes
Counts = Mapping[str, tuple[int, float]]  # lexeme → documents, and until when that holds


@dataclass(frozen=True, slots=True)
class Term:
    """A lexeme of a question."""

    lexeme: str
    documents: int
    weight: float


class Vocabulary:
    """One per process."""

    def __init__(self) -> None:
        self._stems: dict[str, tuple[str, ...]] = {}
        self._counts = Recent[tuple[str, ...], str, tuple[int, float]](REMEMBERED, COUNTS)
        self._absent = Recent[tuple[str, ...], str, tuple[int, float]](REMEMBERED_ABSENT, COUNTS // 10)
        self._written = Recent[tuple[str, ...], str, bool](REMEMBERED, COUNTS // 10)
        self._meant = Recent[tuple[str, ...], str, tuple[str, int] | None](REMEMBERED, COUNTS // 10)

    async def weigh(
        self,
        reader: Reader,
        namespaces: tuple[str, ...],
        documents: int,
        said: Analysis,
        codes: Iterable[str],
    ) -> Weights:
        """What the words of a question weigh.

        Args:
            reader: Where to ask for what is not known.
            namespaces: Those that are asked.
            documents: How many they have.
            said: The question's words and identifiers.
            codes: Those of the identifiers that stand for one exact thing.
        """
        plain, others = said.plain.split(), list(itertools.chain.from_iterable(said.alike.values()))
        identifiers = list(dict.fromkeys(said.identifiers))
        known, counts = await self._known(reader, namespaces, plain, identifiers, others)
        meant = await self._likely(reader, namespaces, _nowhere(said, known, counts))
        counts = counts.new_child({lexeme: (having, 0.0) for lexeme, having in meant.values()})
        stems = [known[word] if word not in meant else (meant[word][0],) for word in plain]
        lexemes = dict.fromkeys(lexeme for stem in stems for lexeme in stem)
        # An identifier that stands nowhere says nothing, since its parts are asked for as well.
        lexemes |= dict.fromkeys(whole for whole in identifiers if counts[whole][0])
        written = {lexeme for word in plain if word not in meant for lexeme in known[word]}
        shares = {lexeme: MISTYPED for lexeme, _ in meant.values() if lexeme not in written}
        shares |= dict.fromkeys(_parts_of_numbers(plain).union(*(known[word] for word in said.asking)), ASIDE)
        every = {one: _term(one, counts[one][0], documents, shares.get(one, 1.0)) for one in lexemes}
        every, beside = _alike(said.alike, known, counts, every, documents)
        # A document may have come that has what is mistyped here.
        beside |= {one: _term(one, 0, documents) for word in meant for one in known[word]}
        terms = sorted(every.values(), key=_rarest)[:TERMS]
        codes = [*codes, *await self._own_codes(reader, namespaces, _rare_in_capitals(said, known, counts))]
        exact = {lexeme for code in codes for lexeme in (code, *known.get(code, ()))}
        most = max(RARE, RARE_SHARE * documents)
        both = sorted([*terms, *beside.values()], key=_rarest)
        impacts = {_number(term.lexeme): term.weight for term in both}
        return Weights(
            impacts=_pairs(stems, {term.lexeme: term for term in terms if term.documents}) | impacts,
            # What stands nowhere as far as we know may stand in a document that has just come.
            codes=tuple(
                _number(one) for one in lexemes | dict.fromkeys(identifiers) if one in exact and counts[one][0] <= most
            ),
            attainable=max(sum(sorted((term.weight for term in terms), reverse=True)[:TERMS_COUNTED]), 1e-9),
            lexemes={term.lexeme: (_number(term.lexeme), term.weight) for term in both if term.documents},
            chosen=(
                _chosen(both, beside, documents, REACH, MOST),
                _chosen(both, beside, documents, REACH_ALONE, math.inf),
            ),
        )

    async def _known(
        self,
        reader: Reader,
        namespaces: tuple[str, ...],
        plain: Sequence[str],
        identifiers: Sequence[str],
        others: Sequence[str],
    ) -> tuple[Stems, ChainMap[str, tuple[int, float]]]:
        """The lexemes of each word, and in how many documents each lexeme of the question stands; more as well.

        `others` are what means the same as some of its words. They may be known from longer ago, so that one that
        stands nowhere is no reason to ask again each second.
        """
        now = time.monotonic()
        stems = ChainMap(self._stems)
        counts = ChainMap(*self._counts.of(namespaces, now).maps, *self._absent.of(namespaces, now).maps)
        unknown = [word for word in plain if not _holds(counts, stems.get(word), now)]
        wholes = [whole for whole in identifiers if not _holds(counts, (whole,), now)]
        for other in others:
            if not _holds(counts, stems.get(other) if other.isalnum() else (other,), now - REMEMBERED):
                (unknown if other.isalnum() else wholes).append(other)
        if unknown or wholes:
            found = await reader.terms(namespaces, list(dict.fromkeys(unknown)), wholes)
            fresh = {lexeme: (having, now + _lasts(having)) for lexeme, having in found.documents.items()}
            lasting = {lexeme for other in others for lexeme in found.stems.get(other, (other,))}
            self._keep(namespaces, found.stems, fresh, lasting, now)
            stems, counts = stems.new_child(dict(found.stems)), counts.new_child(fresh)
        return stems, counts

    async def _likely(
        self, reader: Reader, namespaces: tuple[str, ...], words: Sequence[str]
    ) -> Mapping[str, tuple[str, int]]:
        """What was likely meant by some of `words`, which stand nowhere: a lexeme, and how many documents have it."""

        async def look(new: Sequence[str]) -> Mapping[str, tuple[str, int] | None]:
            edits = {word: dict.fromkeys(near(word)) for word in new}
            found = await reader.terms(namespaces, list(dict.fromkeys(itertools.chain(*edits.values()))), ())
            return {word: _only(found, edits[word]) for word in new}

        held = await _remembered(self._meant, namespaces, words, look)
        return {word: one for word in words if (one := held[word])}

    async def _own_codes(self, reader: Reader, namespaces: tuple[str, ...], words: Mapping[str, str]) -> list[str]:
        """Those of `words`, small, that nobody writes but in capitals; each comes with its lexeme."""

        async def look(new: Sequence[str]) -> Mapping[str, bool]:
            found = await reader.in_capitals(namespaces, {word: _quoted(words[word]) for word in new})
            return {word: word in found for word in new}

        held = await _remembered(self._written, namespaces, words, look)
        return [word.lower() for word in words if held[word]]

    def _keep(
        self, namespaces: tuple[str, ...], stems: Stems, counts: Counts, lasting: Container[str], now: float
    ) -> None:
        """Remember what was found, but not of words so long that nobody asks for them again; of what stands nowhere
        only what is `lasting` for as long as the rest.
        """
        if len(self._stems) > STEMS:
            self._stems = {}
        self._stems |= {word: stem for word, stem in stems.items() if len(word) <= LONGEST}
        for kept, here in ((self._counts, True), (self._absent, False)):
            found = {
                one: count
                for one, count in counts.items()
                if bool(count[0] or one in lasting) is here and len(one) <= LONGEST
            }
            kept.keep(namespaces, found, now)


async def _remembered(
    kept: Recent[tuple[str, ...], str, Value],
    namespaces: tuple[str, ...],
    words: Iterable[str],
    look: Callable[[Sequence[str]], Awaitable[Mapping[str, Value]]],
) -> Mapping[str, Value]:
    """What is known of each of `words`, and more as well; `look` finds out what is not, which is kept."""
    now = time.monotonic()
    held = kept.of(namespaces, now)
    if new := [word for word in words if word not in held]:
        fresh = await look(new)
        kept.keep(namespaces, fresh, now)
        held = held.new_child(dict(fresh))
    return held


def _nowhere(said: Analysis, known: Stems, counts: Counts) -> list[str]:
    """The words of a question that are likely mistyped, since they stand nowhere."""
    words = set(said.plain.split()).difference(said.alike)
    nowhere = (word for word in said.doubtful if word in words and not any(counts[one][0] for one in known[word]))
    return list(itertools.islice(itertools.filterfalse(common, nowhere), MISTYPED_WORDS))


def _rare_in_capitals(said: Analysis, known: Stems, counts: Counts) -> dict[str, str]:
    """The words in capitals that stand in few documents, each with its lexeme."""
    words = set(said.plain.split())
    found = {}
    for word in said.capitals:
        stem = known[word.lower()] if word.lower() in words else ()
        if len(stem) == 1 and 0 < counts[stem[0]][0] <= RARE and not common(word.lower()):
            found[word] = stem[0]
    return found


def _only(found: Counted, words: Iterable[str]) -> tuple[str, int] | None:
    """The one lexeme of `words` that stands somewhere. None of several: nobody knows which was meant; and none where a
    word that says nothing may have been.
    """
    stems = [found.stems[word] for word in words]
    having = {one: found.documents[one] for stem in stems for one in stem if found.documents[one]}
    return next(iter(having.items())) if len(having) == 1 and all(stems) else None


def _holds(counts: Counts, lexemes: tuple[str, ...] | None, now: float) -> bool:
    """Whether it is known in how many documents each of `lexemes` stands; None: not even what they are."""
    return lexemes is not None and all(lexeme in counts and counts[lexeme][1] > now for lexeme in lexemes)


def _lasts(documents: int) -> float:
    return REMEMBERED if documents else REMEMBERED_ABSENT


def _term(lexeme: str, documents: int, corpus: int, share: float = 1.0) -> Term:
    return Term(lexeme, documents, share * _rarity(documents, corpus) * (1.0 if documents else ABSENT))


def _rarity(documents: int, corpus: int) -> float:
    return math.log(1 + (max(corpus - documents, 0) + 0.5) / (documents + 0.5))


def _alike(
    alike: Mapping[str, Sequence[str]], known: Stems, counts: Counts, every: Mapping[str, Term], corpus: int
) -> tuple[dict[str, Term], dict[str, Term]]:
    """The terms of a question, and those beside them that mean the same as one.

    What is asked stands for all of them or, where it stands nowhere, the one that most documents have: it weighs as
    much as all of them together would, and counts alone in what a document can attain.
    """
    terms, beside = dict(every), dict[str, Term]()
    for word, same in alike.items():
        having = {one: counts[one][0] for other in same for one in known.get(other, (other,)) if counts[one][0]}
        others = [one for one in having if one not in terms and one not in beside]
        if not others:
            continue
        asked = {one: counts[one][0] for one in known.get(word, (word,))}
        having |= asked
        first = next((one for one in asked if asked[one]), max(others, key=having.__getitem__))
        weight = _rarity(max(having.values()), corpus)
        for one in {*asked, *others} - {first}:
            terms.pop(one, None)
            beside[one] = Term(one, having[one], OTHER * weight)
        terms[first] = Term(first, having[first], weight)
    return terms, beside


def _rarest(term: Term) -> tuple[bool, int, str]:
    """Orders terms: those that stand somewhere first, the rarest of them before all."""
    return not term.documents, term.documents, term.lexeme


def _parts_of_numbers(plain: Sequence[str]) -> set[str]:
    """The numbers of few digits that stand beside another, as those of versions and addresses do: they are looked for
    whole as well, and each by itself may stand for anything.
    """
    beside = (pair for pair in itertools.pairwise(plain) if all(map(str.isdecimal, pair)))
    return {one for pair in beside for one in pair if len(one) <= FEW_DIGITS}


def _pairs(stems: Sequence[tuple[str, ...]], terms: Mapping[str, Term]) -> dict[int, float]:
    """The weights of pairs of words that follow each other; two numbers are a part of a version, address or date."""
    places = [(place, lexeme) for place, stem in enumerate(stems) for lexeme in stem]
    return {
        _number(f"{one} {other}"): PAIR * (terms[one].weight + terms[other].weight) / 2
        for (here, one), (there, other) in itertools.pairwise(places)
        if 1 <= there - here <= PAIR_GAP
        and one in terms
        and other in terms
        and not (one.isdecimal() and other.isdecimal())
    }


def _chosen(terms: Sequence[Term], beside: Container[str], documents: int, reach: int, most: float) -> str:
    """The condition on candidates, as the text of a tsquery: the question's rarer words; where none is rare, so many of
    them together as are; nothing where more than `most` documents may have all of them. Those `beside` only mean the
    same as others: no document has to have both.
    """
    known = [term for term in terms if term.documents]
    chosen = [_quoted(term.lexeme) for term in terms if not term.documents]
    if not known:
        return " | ".join(chosen)
    if known[0].documents <= reach:
        having = itertools.accumulate(term.documents for term in known)
        chosen += [_quoted(term.lexeme) for term, all_ in zip(known, having, strict=True) if all_ <= reach]
        return " | ".join(chosen)
    first, *rest = [term for term in known if term.lexeme not in beside]
    together, expected = [first], float(first.documents)
    for term in rest:
        if len(together) > 1 and expected <= MANY:
            break
        if any(term.lexeme[:STEM] in one.lexeme for one in together):
            continue  # a part of an identifier stands wherever that does
        together.append(term)
        expected *= min(TOGETHER * term.documents / max(documents, 1), 1.0)
    if expected <= most:
        chosen.append("(" + " & ".join(_quoted(term.lexeme) for term in together) + ")")
    return " | ".join(chosen)


def _quoted(lexeme: str) -> str:
    doubled = lexeme.replace("\\", "\\\\").replace("'", "''")
    return f"'{doubled}'"


@lru_cache(maxsize=50_000)
def _number(term: str) -> int:
    """The place of a term among a document's impacts, from 0: as `term_number` in the database has it, from 1."""
    return int(hashlib.md5(term.encode(), usedforsecurity=False).hexdigest()[:7], 16)
