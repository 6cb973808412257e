"""What is asked of the database: a search, put together for a plan and the conditions of its filter.

Each combination is planned for itself; every value travels as a parameter.
"""

# ruff: noqa: S608 - put together from constants

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from context_common.postgres import Numbered
from context_retrieval.model import TURNED_DOWN, Filter
from context_retrieval.store import sql


class Way(Enum):
    """How the nearest vectors are found."""

    WHOLE = "every vector of the namespaces is compared"
    PART = "every vector of what passes is compared, one document after the other"
    INDEX = "the vector index is asked"


@dataclass(frozen=True, slots=True)
class Plan:
    """How to search.

    Attributes:
        dense: By vectors; `lexical`: by words.
        way: How vectors are found.
        way_unvouched: How those of documents are that nobody vouches for; None: there are none. Else candidates are
            sought on both sides.
        marked: Words are sought among those of the namespaces, not among all.
        named: What the question names by its id is found whatever its status.
        current: What is superseded is found as well as what is in force, and brings what holds in its place; for a
            bundle also what was turned down, so that it can say so.
        bundle: The neighbours of the best come as well, and every item with its fields.
    """

    dense: bool
    lexical: bool
    way: Way = Way.WHOLE
    way_unvouched: Way | None = None
    marked: bool = True
    named: bool = False
    current: bool = True
    bundle: bool = True

    @property
    def indexed(self) -> bool:
        """Whether the vector index is asked."""
        return self.dense and Way.INDEX in (self.way, self.way_unvouched)


@dataclass(frozen=True, slots=True)
class Shape:
    """Which conditions a filter has, whatever their values."""

    several: bool  # namespaces
    types: bool
    tags: bool
    statuses: bool
    severities: bool
    since: bool
    until: bool
    history: bool
    narrow: bool

    @classmethod
    def of(cls, wanted: Filter) -> "Shape":
        """The shape of `wanted`."""
        return cls(
            several=len(wanted.namespaces) != 1,
            types=bool(wanted.types),
            tags=bool(wanted.tags),
            statuses=bool(wanted.statuses),
            severities=bool(wanted.severities),
            since=wanted.from_date is not None,
            until=wanted.to_date is not None,
            history=wanted.history,
            narrow=wanted.narrow,
        )

    @property
    def namespaces(self) -> str:
        """The condition on a namespace."""
        return "namespace = ANY(%(namespaces)s)" if self.several else "namespace = %(namespace)s"

    @property
    def documents(self) -> str:
        """Where what passes is looked for, one document after the other."""
        return sql.BY_TAGS if self.tags else "visible_documents"

    def passes(self, *, superseded: bool = True, turned_down: bool = False, any_status: bool = False) -> str:
        """The condition on `d` that it stands for.

        What is superseded passes where only what is in force is asked for, since it leads to what holds in its place;
        `superseded` false keeps it out, `turned_down` lets in what never held. `any_status` leaves the status out.
        """
        conditions = [f"d.{self.namespaces}", "NOT d.deleted"]
        if self.statuses and not any_status:
            conditions.append("d.status = ANY(%(statuses)s)")
        elif not self.history and not any_status:
            others = ["superseded"] * superseded + list(TURNED_DOWN) * turned_down
            listed = "".join(f" OR d.status = '{status}'" for status in others)
            conditions.append(f"(d.in_force{listed})" if others else "d.in_force")
        if self.severities:
            conditions.append("d.severity = ANY(%(severities)s)")
        if self.types:
            conditions.append("d.type = ANY(%(types)s)")
        if self.tags:
            conditions.append(sql.TAGGED)
        if self.since:
            conditions.append("d.item_date >= %(from_date)s")
        if self.until:
            conditions.append("d.item_date <= %(to_date)s")
        return " AND ".join(conditions)


NEAREST = {Way.WHOLE: sql.WHOLE, Way.PART: sql.PART, Way.INDEX: sql.INDEXED}
SIZE, TERMS, IN_CAPITALS = Numbered.of(sql.SIZE), Numbered.of(sql.TERMS), Numbered.of(sql.IN_CAPITALS)


@lru_cache(maxsize=1024)
def search(plan: Plan, shape: Shape) -> Numbered:
    """A search."""
    nearest = sql.NEAREST_OF if plan.dense else f"SELECT {sql.UNKNOWN}"
    found = []
    shown = [sql.BEST]
    parts = []
    for name, part in _candidates(plan, shape):
        parts.append(f"{name} AS MATERIALIZED ({part})")
        found.append(f"SELECT * FROM {name}")
    missing = nearest.format(d="found", unknown="found.distance IS NULL")
    parts.append(sql.RANKED.format(found=" UNION ALL ".join(found), nearest=missing))
    if plan.current:
        parts.append(sql.SUCCESSION.format(passes=shape.passes()))
        shown.append(sql.SUCCEEDING)
    if plan.bundle:
        parts.append(sql.NEIGHBOURHOOD.format(passes=shape.passes()))
        shown.append(sql.BESIDE)
    answer = sql.FOUND.format(
        nearest=nearest.format(d="d", unknown="shown.ordinal IS NULL"),
        weak=sql.WEAK if plan.dense else "true",
        payload="d.payload" if plan.bundle else "'{}'::jsonb",
        wordy=sql.CODED if plan.dense else "true",
        shown=sql.SHOWN.format(shown=" UNION ALL ".join(shown)),
    )
    return Numbered.of(f"WITH {', '.join(parts)} {answer}")


@lru_cache(maxsize=256)
def browse(shape: Shape, *, goes_on: bool, vouched: bool) -> Numbered:
    """A list of the newest, or of the newest that are `vouched` for; from some place on where it `goes_on`."""
    passes = shape.passes(superseded=False)
    passes += (" AND d.vouched" if vouched else "") + (f" AND {sql.AFTER}" if goes_on else "")
    return Numbered.of(sql.BROWSE.format(documents=shape.documents, passes=passes))


@lru_cache(maxsize=256)
def passing(shape: Shape) -> Numbered:
    """How many documents pass."""
    return Numbered.of(sql.PASSING.format(documents=shape.documents, passes=shape.passes()))


def _candidates(plan: Plan, shape: Shape) -> Iterator[tuple[str, str]]:
    """What finds candidates: names and texts. What nobody vouches for is sought beside the rest, not in its place."""
    turned_down = plan.current and plan.bundle
    named = shape.passes(turned_down=turned_down, any_status=plan.named)
    yield "named", sql.NAMED.format(namespaces=shape.namespaces, passes=named)
    sides = [("", "", "%(many)s", plan.way, shape.documents)]
    if plan.way_unvouched:
        few = sql.BY_TRUST.format(namespaces=shape.namespaces)
        sides = [
            ("", " AND d.vouched", "%(many)s", plan.way, shape.documents),
            ("_unvouched", " AND NOT d.vouched", str(sql.UNVOUCHED), plan.way_unvouched, few),
        ]
    for side, condition, limit, way, documents in sides:
        passes = f"{shape.passes(superseded=plan.current, turned_down=turned_down)}{condition}"
        if plan.lexical:
            yield f"worded{side}", sql.WORDED.format(passes=passes, limit=limit)
        if plan.dense:
            among = {"namespaces": shape.namespaces, "documents": documents}
            yield f"nearest{side}", NEAREST[way].format(**among, passes=passes, limit=limit)
