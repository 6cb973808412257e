"""Searches the read model: one statement finds, scores, follows edges and fetches what is shown."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pgvector import HalfVector, SparseVector

from context_common.postgres import Reads, Row, Target
from context_retrieval.model import (
    Candidate,
    Counted,
    Counts,
    Expansion,
    Filter,
    Glimpse,
    Key,
    Link,
    Page,
    Place,
    Question,
    Tally,
)
from context_retrieval.store import sql, statement
from context_retrieval.store.statement import Plan, Shape, Way

# Of each kind of evidence: for a bundle, in which what is far behind the best has no place; for a list at least.
CANDIDATES = 24
CHUNKS = 2  # looked at for each candidate by meaning: some are of the same document
# How far the vector index looks at once, at least, where nothing but meaning is asked for, and behind a filter; and at
# most. docs/performance.md has the recall.
LOOK_ALONE, LOOK_NARROW, FARTHEST = 500, 200, 1000
# Microseconds, of which only counts what they are to each other: to compare one vector of a whole namespace; to see
# whether a document passes, and to look up the vectors of one that does; to begin with the index, for each vector that
# it looks at, and for each that it has to go on for. With more vectors in it they lie farther apart in memory.
COMPARE, PASS, LOOK_UP, BEGIN, LOOK, GO_ON = 1.1, 1.0, 7.0, 400.0, 8.0, 20.0
FEW_VECTORS, SPREAD = 10_000, 0.3
EVIDENCE = (
    "type", "status", "in_force", "item_date", "pinned", "severity", "access_count", "feedback", "provenance",
    "vouched", "references", "cosine", "lexical", "covered", "named", "coded", "bm25",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Size:
    """What some namespaces amount to together."""

    documents: int
    chunks: int
    everywhere: int  # chunks in all namespaces, about
    unvouched: int  # documents whose text is nobody's who vouches for it

    @property
    def prevails(self) -> bool:
        """Whether so much of everything is here that what is found anywhere is mostly found here."""
        return self.chunks * 4 > self.everywhere

    def of(self, documents: int) -> "Size":
        """What so many of the documents amount to, if all have as many chunks."""
        share = min(documents / self.documents, 1.0) if self.documents else 1.0
        return Size(documents, math.ceil(self.chunks * share), self.everywhere, 0)


@dataclass(frozen=True, slots=True)
class Passing:
    """How many documents pass a filter, and how many of them nobody vouches for; as far as they were counted."""

    documents: int
    unvouched: int


class Reader:
    """Searches the read model, in one place from the beginning of a question to its end."""

    def __init__(self, target: Target) -> None:
        self._target = target

    async def size(self, namespaces: Sequence[str]) -> Size:
        """How much there is."""
        rows = await self._target.fetch(statement.SIZE, {"namespaces": list(namespaces)}, "size")
        return Size(**rows[0])

    async def passing(self, wanted: Filter, far: int) -> Passing:
        """How many documents pass, counted up to `far`."""
        values = {**_filter_values(wanted), "far": far}
        rows = await self._target.fetch(statement.passing(Shape.of(wanted)), values, "passing")
        return Passing(**rows[0])

    async def terms(self, namespaces: Sequence[str], words: Sequence[str], wholes: Sequence[str]) -> Counted:
        """What Postgres makes of each of `words`, and how common that is, and each of `wholes` as it is."""
        values = {"namespaces": list(namespaces), "words": ["", *words], "wholes": ["", *wholes]}
        stems: dict[str, tuple[str, ...]] = dict.fromkeys(words, ())
        documents: dict[str, int] = {}
        for row in await self._target.fetch(statement.TERMS, values, "terms"):
            if row["lexeme"]:
                documents[row["lexeme"]] = row["documents"]
                if row["word"]:
                    stems[row["word"]] = (*stems[row["word"]], row["lexeme"])
        return Counted(stems, documents)

    async def in_capitals(self, namespaces: Sequence[str], words: Mapping[str, str]) -> set[str]:
        """Those of `words`, each with its lexeme as a tsquery, that every document with it has in capitals."""
        lexemes = [_marked(lexeme, namespaces) for lexeme in words.values()]
        values = {"namespaces": list(namespaces), "words": list(words), "lexemes": lexemes}
        return {row["word"] for row in await self._target.fetch(statement.IN_CAPITALS, values, "in_capitals")}

    async def search(
        self, question: Question, wanted: Filter, plan: Plan, most: int, far: int = FARTHEST
    ) -> tuple[list[Candidate], Expansion]:
        """The best `most` by all the evidence that `plan` asks for, as many again of what nobody vouches for; what
        stands beside them in the graph; and the pages of both. `far`: how far the vector index looks at once.
        """
        many = sought(most, bundle=plan.bundle)
        limits = {"most": most, "many": many, "near": many * CHUNKS}
        values = {**_filter_values(wanted), **_question_values(question, wanted, plan), **limits}
        settings: dict[str, str] = {}
        if plan.indexed:
            # One plan serves every namespace, and takes each for as large as the others: it would rather compare all
            # the vectors of what it takes for a small one than ask the index, unless it may not sort them.
            settings = {"hnsw.ef_search": str(far), "enable_sort": "off"}
        rows = await self._target.fetch(statement.search(plan, Shape.of(wanted)), values, "search", settings)
        return [_candidate(row) for row in rows if row["found"]], _expansion(rows)

    async def browse(
        self, wanted: Filter, limit: int, after: Place | None = None, *, vouched: bool = False
    ) -> list[Glimpse]:
        """The newest documents, of those that stand after a place where one is given, with the beginning of each; only
        what somebody vouches for where that is asked for.
        """
        values = {**_filter_values(wanted), "limit": limit}
        if after:
            values |= {"date": after.item_date, "at": after.updated_at}
            values |= {"id": after.key.item_id, "space": after.key.namespace}
        asked = statement.browse(Shape.of(wanted), goes_on=after is not None, vouched=vouched)
        rows = await self._target.fetch(asked, values, "browse")
        return [
            Glimpse(
                _key(row),
                row["type"],
                row["title"],
                row["status"],
                tuple(row["tags"]),
                row["item_date"],
                row["passage"] or "",
                row["provenance"],
                row["vouched"],
                row["updated_at"],
            )
            for row in rows
        ]


class Readers:
    """A reader for each question."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    def of(self, namespaces: Sequence[str]) -> Reader:
        """What reads `namespaces`, on a replica where one has all that was acknowledged by now."""
        return Reader(self._reads.target(*namespaces))


def sought(most: int, *, bundle: bool) -> int:
    """How many candidates of each kind of evidence are looked for where at most so many documents are shown."""
    return CANDIDATES if bundle else max(CANDIDATES, most)


def way(size: Size, documents: int, among: int, many: int, *, lexical: bool, whole: bool = False) -> Way:
    """How the best `many` by meaning among so many of the documents are found soonest.

    To compare is exact besides. The index knows neither namespaces nor filters: of few among many it finds little that
    is wanted. `among`: how many documents have to be looked at to find these; `whole`: no filter stands against
    comparing the vectors of all.
    """
    some = size.of(documents)
    far = look(some, many, lexical=lexical)
    asking = BEGIN + LOOK * far + GO_ON * max(_given(some, many) - far, 0)
    takes = {
        Way.PART: among * PASS + documents * LOOK_UP,
        Way.INDEX: asking * max(size.everywhere / FEW_VECTORS, 1.0) ** SPREAD,
    }
    if whole:
        takes[Way.WHOLE] = size.chunks * COMPARE
    return min(takes, key=lambda way: takes[way])


def look(size: Size, many: int, *, lexical: bool, narrow: bool = False) -> int:
    """How far the vector index looks at once for the best `many` documents.

    As far as it has to for so many to be of these, since to go on looking takes longer, and the farther the more it has
    to miss. What it misses is mostly found by words, where they are asked as well; what passes a filter (`narrow`) lies
    farther away.
    """
    far = _given(size, many)
    if not lexical:
        far = max(far * 2, LOOK_ALONE)
    if narrow:
        far = max(far, LOOK_NARROW)
    return int(min(far * (1 + math.log10(max(size.everywhere / FEW_VECTORS, 1.0))), FARTHEST))


def _given(size: Size, many: int) -> float:
    """How many chunks of all namespaces the index gives until there are enough of these."""
    return many * CHUNKS * max(size.everywhere, size.chunks) / max(size.chunks, 1)


def _filter_values(wanted: Filter) -> dict[str, Any]:
    return {
        "namespace": wanted.namespaces[0],
        "namespaces": list(wanted.namespaces),
        "types": list(wanted.types),
        "tags": list(wanted.tags),
        "within": [f"{namespace}/{tag}" for namespace in wanted.namespaces for tag in wanted.tags],
        "statuses": list(wanted.statuses),
        "severities": list(wanted.severities),
        "from_date": wanted.from_date,
        "to_date": wanted.to_date,
    }


def _question_values(question: Question, wanted: Filter, plan: Plan) -> dict[str, Any]:
    """Lists are never empty: an empty one has no type, and the statement would be prepared once more for that."""
    weights = question.weights
    chosen = weights.chosen[not plan.dense]
    if chosen and plan.marked:
        chosen = _marked(chosen, wanted.namespaces)
    return {
        "words": SparseVector(dict(weights.impacts), sql.PLACES),
        "coding": bool(weights.codes),
        "codes": SparseVector(dict.fromkeys(weights.codes, 1.0), sql.PLACES),
        "attainable": weights.attainable,
        "lexemes": ["", *weights.lexemes],
        "numbers": [0, *(number for number, _ in weights.lexemes.values())],
        "weights": [0.0, *(weight for _, weight in weights.lexemes.values())],
        "chosen": chosen,
        "ids": ["", *question.ids],
        "vector": None if question.vector is None else HalfVector(question.vector),
        "model": question.model_id,
    }


def _marked(chosen: str, namespaces: Sequence[str]) -> str:
    """The tsquery `chosen`, among the words of `namespaces`."""
    marks = " | ".join(f"'@{namespace}'" for namespace in namespaces)
    return f"({marks}) & ({chosen})"


def _key(row: Row) -> Key:
    return Key(row["namespace"], row["item_id"])


def _candidate(row: Row) -> Candidate:
    return Candidate(_key(row), *[row[name] for name in EVIDENCE])


def _expansion(rows: Sequence[Row]) -> Expansion:
    pages: dict[Key, Page] = {}
    reached: dict[Key, Candidate] = {}
    successors: list[Link] = []
    neighbours: list[Link] = []
    elsewhere: dict[Key, str] = {}
    for row in rows:
        key = _key(row)
        pages[key] = Page(
            key,
            row["version"],
            row["title"],
            tuple(row["tags"]),
            row["payload"],
            row["passage"] or "",
            row["updated_at"],
            Counts(
                fields=Tally(row["tokens"], row["tokens_of"]),
                frame=Tally(row["frame_tokens"], row["frame_tokens_of"]),
                passage=Tally(row["passage_tokens"], row["passage_tokens_of"]),
            ),
        )
        for origin, passes in row["succeeds"] or ():
            if passes:
                successors.append(Link(Key(key.namespace, origin), key, "supersedes", 1.0))
            else:
                elsewhere[Key(key.namespace, origin)] = key.item_id
        for origin, kind, strength in row["neighbours"] or ():
            neighbours.append(Link(Key(key.namespace, origin), key, kind, strength))
        if row["succeeds"] or row["neighbours"]:
            reached[key] = _candidate(row)
    return Expansion(pages, reached, successors, neighbours, elsewhere)
