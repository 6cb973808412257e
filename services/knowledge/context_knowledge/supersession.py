"""Which ADR supersedes which: edges are the truth, `supersedes`, `superseded_by` and the status follow from them.

Every function here needs `lock_supersession` to be held.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from context_common.errors import Invalid
from context_knowledge.model import (
    NOT_HOLDING,
    OUTRANKS_SUPERSEDED,
    SUPERSEDED,
    Adr,
    Change,
    Edge,
    Item,
    Origin,
    RelationshipType,
    Review,
)
from context_knowledge.store import Session


@dataclass(slots=True)
class Standing:
    """What the edges say of one ADR."""

    supersedes: set[str] = field(default_factory=set)
    superseders: set[str] = field(default_factory=set)
    live: set[str] = field(default_factory=set)  # superseders that exist and are not held for review

    def apply(self, item: Item) -> Item:
        """`item` with the fields that follow from the edges."""
        if not isinstance(item.body, Adr):
            return item
        # In the caller's order, then what others drew.
        supersedes = [target for target in item.body.supersedes if target in self.supersedes]
        supersedes += sorted(self.supersedes.difference(supersedes), key=_age)
        newest = max(self.live or self.superseders, key=_age, default="")
        return item.replace(
            {"supersedes": tuple(supersedes), "superseded_by": newest, "status": self._status(item, item.body)}
        )

    def _status(self, item: Item, body: Adr) -> str:
        if self.live and item.status not in OUTRANKS_SUPERSEDED:
            return SUPERSEDED
        # Whoever it was superseded by let go of it; what may still come to supersede it does not hold it yet.
        released = bool(body.superseded_by) and body.superseded_by not in self.superseders
        return item.kind.statuses[0] if released and item.status == SUPERSEDED else item.status


def edge(superseder: str, target: str) -> Edge:
    """The edge by which one ADR supersedes another."""
    return Edge(superseder, target, RelationshipType.SUPERSEDES, origin=Origin.FIELD)


async def standings(session: Session, ids: Collection[str]) -> dict[str, Standing]:
    """What the edges say of each of `ids`."""
    found = {item_id: Standing() for item_id in ids}
    for drawn in await session.edges.supersession(ids):
        if drawn.from_id in found:
            found[drawn.from_id].supersedes.add(drawn.to_id)
        if drawn.to_id in found and not drawn.void:
            found[drawn.to_id].superseders.add(drawn.from_id)
            if drawn.live:
                found[drawn.to_id].live.add(drawn.from_id)
    return found


async def refuse_cycle(session: Session, item_id: str, name: str) -> None:
    """Raise Invalid, naming the field, if the ADR supersedes itself by way of others."""
    if await session.edges.supersedes_itself(item_id):
        raise Invalid({name: [f"makes {item_id} supersede itself"]})


async def settle(session: Session, ids: Iterable[str], since: str = "", let_go: str = "") -> dict[str, Change]:
    """Write a version of each ADR in `ids` that its edges have changed; it counts from the day `since`.

    `let_go` is a superseder that did hold them, and is withheld now.
    """
    items = await session.items.lock(ids)
    if not items:
        return {}
    standing = await standings(session, items.keys())
    written: dict[str, Change] = {}
    follow: set[str] = set()
    for item_id, old in items.items():
        standing[item_id].superseders.discard(let_go)
        new = standing[item_id].apply(old)
        fields = changed_fields(old, new)
        if fields:
            written[item_id] = change_of(old, new)
            await session.items.update(new, written[item_id], fields, since)
        if holds(old) != holds(new):  # a proposal that is superseded is a link of a chain
            follow |= standing[item_id].supersedes
    return written | await settle(session, follow, since)


def holds(item: Item) -> bool:
    """Whether an ADR supersedes what it names, going by itself."""
    return item.status not in NOT_HOLDING and item.review not in (Review.HELD, Review.REJECTED)


def changed_fields(old: Item, new: Item) -> list[str]:
    """The names of the fields whose values differ."""
    before, after = old.values(), new.values()
    return [name for name, value in after.items() if value != before[name]]


def change_of(old: Item, new: Item) -> Change:
    """What turning `old` into `new` is called."""
    if old.status != SUPERSEDED == new.status:
        return Change.SUPERSEDED
    if old.status == SUPERSEDED and new.status == new.kind.statuses[0]:
        return Change.RESTORED
    return Change.UPDATED


def _age(item_id: str) -> tuple[int, str]:
    """Orders ids by when they were given out."""
    return len(item_id), item_id
