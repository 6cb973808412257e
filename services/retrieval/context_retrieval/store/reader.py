"""The SQL that searches: one statement finds and scores, a second fetches what is shown and follows edges.

Statements are put together from constant parts, so that each combination of filters is planned for itself; every
value travels as a parameter.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pgvector import HalfVector
from psycopg.rows import DictRow

from context_common.postgres import Reads, Row, Target
from context_retrieval.model import Candidate, Expansion, Filter, Glimpse, Key, Link, Page, Question
from context_retrieval.store.sql import (
    BROWSE,
    CHOOSING,
    CLOSENESS,
    COSINE,
    DENSE,
    EVIDENCE,
    EVIDENCE_NAMES,
    EXACT_FOUND,
    EXPAND,
    FEW,
    FILTERED_FEW,
    INDEXED_FOUND,
    LEXICAL,
    LEXICAL_FOUND,
    NAMED_FOUND,
    NEIGHBOURHOOD,
    NO_WORDS,
    PASSAGE,
    SIZE,
    SUCCESSORS,
    UNVOUCHED,
    WEIGHTED,
    WORDS,
)

# ruff: noqa: S608 - put together from constants


@dataclass(frozen=True, slots=True)
class Plan:
    """How to search: with which evidence, and whether every vector is compared or the vector index asked."""

    dense: bool
    lexical: bool
    exhaustive: bool = True
    mixed: bool = False  # there are documents that nobody vouches for: candidates are sought on both sides
    named: bool = False  # what the question names by its id is found whatever its status


@dataclass(frozen=True, slots=True)
class Size:
    """What some namespaces amount to together."""

    chunks: int
    unvouched: bool  # some document's text is nobody's who vouches for it


class Reader:
    """Searches the read model, in one place from the beginning of a question to its end."""

    def __init__(self, target: Target) -> None:
        self._target = target

    async def size(self, namespaces: Sequence[str]) -> Size:
        """How much there is."""
        rows = await self._rows("size", SIZE, {"namespaces": list(namespaces)})
        return Size(**rows[0])

    async def few(self, wanted: Filter) -> bool:
        """Whether `wanted` leaves so few documents that comparing all their vectors is cheap, and exact."""
        statement = FEW.format(passes=_passes(wanted), limit=FILTERED_FEW)
        rows = await self._rows("few", statement, _filter_values(wanted))
        return int(rows[0]["documents"]) < FILTERED_FEW

    async def search(self, question: Question, wanted: Filter, plan: Plan) -> list[Candidate]:
        """Candidates by every kind of evidence that `plan` asks for, each with all of it."""
        passes = _passes(wanted)
        parts, sources = [WEIGHTED], ["SELECT namespace, item_id FROM named"]
        parts.append(NAMED_FOUND.format(passes=_passes(wanted, any_status=plan.named)))
        if plan.lexical:
            parts.append(CHOOSING)
        for kind, found, limit in _kinds(plan):
            for side, condition, most in _sides(plan, limit):
                name = f"{kind}{side}"
                parts.append(found.format(name=name, words=WORDS, passes=f"{passes}{condition}", limit=most))
                sources.append(f"SELECT namespace, item_id FROM {name}")
        evidence = EVIDENCE.format(cosine=COSINE if plan.dense else "NULL::float8")
        statement = (
            f"WITH {', '.join(parts)}, found AS ({' UNION '.join(sources)}) SELECT {evidence}"
            " FROM found JOIN visible_documents d USING (namespace, item_id), attainable, corpus, exact,"
            f" {WORDS if plan.lexical else NO_WORDS}"
        )
        rows = await self._rows("search", statement, {**_filter_values(wanted), **_question_values(question)})
        return [_candidate(row) for row in rows]

    async def expand(
        self, question: Question, wanted: Filter, show: Sequence[Key], leads: Sequence[Key], gone: Sequence[Key]
    ) -> Expansion:
        """Pages of `show`; what stands beside `leads` in the graph; and what holds in place of `gone`."""
        dense = question.vector is not None
        statement = EXPAND.format(
            weighted=WEIGHTED,
            successors=SUCCESSORS.format(passes=_passes(wanted)),
            neighbours=NEIGHBOURHOOD.format(passes=_passes(wanted)),
            evidence=EVIDENCE.format(cosine=COSINE if dense else "NULL::float8"),
            words=WORDS,
            passage=PASSAGE.format(closeness=CLOSENESS if dense else "0"),
        )
        values = {**_filter_values(wanted), **_question_values(question)}
        for name, keys in (("show", show), ("lead", leads), ("gone", gone)):
            values[f"{name}_namespaces"] = [key.namespace for key in keys]
            values[f"{name}_ids"] = [key.item_id for key in keys]
        rows = await self._rows("expand", statement, values)
        return _expansion(rows)

    async def browse(self, wanted: Filter, limit: int) -> list[Glimpse]:
        """The newest documents, with the beginning of each."""
        statement = BROWSE.format(passes=_passes(wanted, superseded=False))
        rows = await self._rows("browse", statement, {**_filter_values(wanted), "limit": limit})
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
            )
            for row in rows
        ]

    async def _rows(self, source: str, statement: str, values: dict[str, Any]) -> list[DictRow]:
        return await self._target.fetch(statement, values, source)


class Readers:
    """A reader for each question."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    def of(self, namespaces: Sequence[str]) -> Reader:
        """What reads `namespaces`, on a replica where one has all that was acknowledged by now."""
        return Reader(self._reads.target(*namespaces))


def _kinds(plan: Plan) -> Iterator[tuple[str, str, int]]:
    """What documents are found by: its name, its statement, and how many it finds at most."""
    if plan.lexical:
        yield "worded", LEXICAL_FOUND, LEXICAL
    if plan.dense:
        yield "nearest", EXACT_FOUND if plan.exhaustive else INDEXED_FOUND, DENSE


def _sides(plan: Plan, most: int) -> Iterator[tuple[str, str, int]]:
    """Where they are sought: the end of its name, its condition, and how many are found there at most.

    What nobody vouches for is sought beside the rest, so that it cannot crowd it out.
    """
    if not plan.mixed:
        yield "", "", most
        return
    yield "", " AND d.vouched", most
    yield "_unvouched", " AND NOT d.vouched", UNVOUCHED


def _passes(wanted: Filter, *, superseded: bool = True, any_status: bool = False) -> str:
    """The condition on `d` that `wanted` stands for.

    What is superseded passes where only what is in force is asked for, since it leads to what holds in its place;
    `superseded` false keeps it out. `any_status` leaves the status out of it.
    """
    conditions = ["d.namespace = ANY(%(namespaces)s)", "NOT d.deleted"]
    if wanted.statuses and not any_status:
        conditions.append("d.status = ANY(%(statuses)s)")
    elif not wanted.history and not any_status:
        conditions.append("(d.in_force OR d.status = 'superseded')" if superseded else "d.in_force")
    if wanted.types:
        conditions.append("d.type = ANY(%(types)s)")
    if wanted.tags:
        conditions.append("d.tags && %(tags)s::text[]")
    if wanted.from_date:
        conditions.append("d.item_date >= %(from_date)s")
    if wanted.to_date:
        conditions.append("d.item_date <= %(to_date)s")
    return " AND ".join(conditions)


def _filter_values(wanted: Filter) -> dict[str, Any]:
    return {
        "namespaces": list(wanted.namespaces),
        "marks": "(" + " | ".join(f"'@{namespace}'" for namespace in wanted.namespaces) + ")",
        "types": list(wanted.types),
        "tags": list(wanted.tags),
        "statuses": list(wanted.statuses),
        "from_date": wanted.from_date,
        "to_date": wanted.to_date,
    }


def _question_values(question: Question) -> dict[str, Any]:
    return {
        "plain": question.plain,
        "identifiers": list(question.identifiers),
        "ids": list(question.ids),
        "codes": list(question.codes),
        "vector": None if question.vector is None else HalfVector(question.vector),
        "model": question.model_id,
    }


def _key(row: Row) -> Key:
    return Key(row["namespace"], row["item_id"])


def _candidate(row: Row) -> Candidate:
    return Candidate(
        key=_key(row),
        **{name: row[name] for name in EVIDENCE_NAMES},
    )


def _expansion(rows: Sequence[Row]) -> Expansion:
    pages: dict[Key, Page] = {}
    reached: dict[Key, Candidate] = {}
    successors: list[Link] = []
    neighbours: list[Link] = []
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
        )
        for origin, strength in row["succeeds"] or ():
            successors.append(Link(Key(key.namespace, origin), key, "supersedes", strength))
        for origin, kind, strength in row["neighbours"] or ():
            neighbours.append(Link(Key(key.namespace, origin), key, kind, strength))
        if row["succeeds"] or row["neighbours"]:
            reached[key] = _candidate(row)
    return Expansion(pages, reached, successors, neighbours)
