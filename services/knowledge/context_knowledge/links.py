"""The edges that an item's text and fields ask for, and keeping them so."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from context_knowledge import references, supersession
from context_knowledge.model import Adr, Edge, Item, Origin, Recorded, RelationshipType
from context_knowledge.store import Session

MOST_PENDING = 100  # names still awaited that an answer lists


@dataclass(frozen=True, slots=True)
class Redrawn:
    """An item after its edges were brought up to date."""

    item: Item
    drawn: list[Edge]
    changed: bool  # an edge that starts at the item came or went
    others: set[str]  # ADRs whose fields may follow


def derived(item: Item) -> list[Edge]:
    """The `references` edges that the item's text and its own list ask for."""
    fields = [name for name in references.field_references(item) if name != item.id]
    said = {*fields, *(edge.to_id for edge in superseding(item))}
    texts = [name for name in references.named_by(item) if name not in said]
    return [
        Edge(item.id, name, RelationshipType.REFERENCES, origin=origin)
        for names, origin in ((fields, Origin.FIELD), (texts, Origin.TEXT))
        for name in names
    ]


def superseding(item: Item) -> list[Edge]:
    """The edges that an ADR's `supersedes` asks for."""
    return [supersession.edge(item.id, target) for target in item.body.supersedes] if isinstance(item.body, Adr) else []


def superseded_by(item: Item) -> str:
    """The ADR that supersedes the item; empty if none does."""
    return item.body.superseded_by if isinstance(item.body, Adr) else ""


def touch_supersession(fields: Iterable[str]) -> bool:
    """Whether setting these fields of an ADR has to be measured against its supersedes edges."""
    return bool({"supersedes", "superseded_by", "status"}.intersection(fields))


def of(item: Item) -> list[Edge]:
    """Every edge that a new item asks for."""
    by = superseded_by(item)
    return [*derived(item), *superseding(item), *([supersession.edge(by, item.id)] if by else [])]


def cycle_field(body: Adr) -> str:
    """The field to blame when an ADR supersedes itself."""
    return "supersedes" if body.supersedes else "superseded_by"


async def redraw(session: Session, old: Item, new: Item, *, exact: bool) -> Redrawn:
    """Bring the edges of an item up to date with its text and fields, and its fields up to date with its edges."""
    wanted, before = derived(new), set(derived(old))
    erased = await session.edges.erase_derived(new.id, wanted)
    drawn = await session.edges.draw(edge for edge in wanted if edge not in before)  # an erased one stays so
    redrawn = Redrawn(new, drawn, erased or bool(drawn), set())
    if touch_supersession(supersession.changed_fields(old, new)) or supersession.holds(old) != supersession.holds(new):
        return await _resupersede(session, old, redrawn, exact=exact)
    return redrawn


async def _resupersede(session: Session, old: Item, redrawn: Redrawn, *, exact: bool) -> Redrawn:
    item, before, body = redrawn.item, old.body, redrawn.item.body
    if not isinstance(before, Adr) or not isinstance(body, Adr):
        return redrawn
    targets, superseders = set(body.supersedes), {body.superseded_by} - {""}
    removed: set[str] = set()
    if exact and targets != set(before.supersedes):
        removed = set(before.supersedes) - targets
        for target in removed:
            await session.edges.erase(item.id, target, RelationshipType.SUPERSEDES)
    released: set[str] = set()
    held_by = before.superseded_by  # as it was, so that losing the one that superseded it is seen
    if exact and body.superseded_by != before.superseded_by:
        standing = (await supersession.standings(session, [item.id]))[item.id]
        released = standing.superseders - superseders
        if superseders and not standing.live:
            held_by = body.superseded_by  # another name for what is still to come: a status set by hand stays
        for superseder in released:
            await session.edges.erase(superseder, item.id, RelationshipType.SUPERSEDES)
    asked = [*superseding(item), *(supersession.edge(by, item.id) for by in superseders)]
    drawn = await session.edges.draw(asked)
    if drawn:
        await supersession.refuse_cycle(session, item.id, _new_field(item.id, drawn))
    standing = (await supersession.standings(session, [item.id]))[item.id]
    settled = standing.apply(item.replace({"superseded_by": held_by}))
    others = removed | released | {end for edge in drawn for end in (edge.from_id, edge.to_id)} - {item.id}
    if supersession.holds(old) != supersession.holds(settled):
        others |= standing.supersedes  # which it lets go of, or holds again
    return Redrawn(
        settled,
        redrawn.drawn + drawn,
        redrawn.changed or bool(removed) or any(edge.from_id == item.id for edge in drawn),
        others,
    )


def _new_field(item_id: str, drawn: Iterable[Edge]) -> str:
    return "supersedes" if any(edge.from_id == item_id for edge in drawn) else "superseded_by"


async def answers(session: Session, written: Sequence[tuple[Recorded, Sequence[Edge]]]) -> list[Recorded]:
    """What was written, each with the edges drawn for it, as it is answered: with the item as it is stored, the edges
    that both ends have, and the names still awaited.
    """
    stored = await session.items.get_all([recorded.item.id for recorded, _ in written])
    ends = {end for _, drawn in written for edge in drawn for end in (edge.from_id, edge.to_id)}
    named = {end for recorded, _ in written for end in (*_named(recorded.item), superseded_by(recorded.item))}
    there = await session.items.existing(sorted((ends | named) - {""}))
    return [_answer(recorded, drawn, stored.get(recorded.item.id), there) for recorded, drawn in written]


def _named(item: Item) -> list[str]:
    return [edge.to_id for edge in of(item) if edge.from_id == item.id]


def _answer(recorded: Recorded, drawn: Sequence[Edge], item: Item | None, there: Collection[str]) -> Recorded:
    sure = {*references.field_references(recorded.item), *(edge.to_id for edge in superseding(recorded.item))}
    by = superseded_by(recorded.item)
    awaited = [name for name in [*_named(recorded.item), *([by] if by else [])] if name not in there]
    return replace(
        recorded,
        item=item or recorded.item,
        relationships_created=tuple(edge for edge in drawn if {edge.from_id, edge.to_id}.issubset(there)),
        pending_references=tuple(n for n in awaited if n in sure or n == by or references.expected(n))[:MOST_PENDING],
    )
