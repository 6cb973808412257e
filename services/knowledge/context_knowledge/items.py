"""The rules of writing items: each write is one transaction, from its id to its place on the feed."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeAlias

from context_common.caller import Caller
from context_common.errors import Conflict, Invalid, NotFound, Stale
from context_knowledge import defaults, holding, links, metrics, references, supersession
from context_knowledge.apart import apart, length
from context_knowledge.checks import check, check_texts
from context_knowledge.model import (
    Adr,
    Change,
    Edge,
    Item,
    ItemType,
    Outcome,
    Recorded,
    Redaction,
    RelationshipType,
    Review,
    Snapshot,
    public_name,
)
from context_knowledge.store import Session, Store
from context_knowledge.tags import Vocabulary

# What happens to an item in the transaction that it shares with whatever else has to happen or not at all.
Work: TypeAlias = Callable[[Session], Awaitable[Recorded]]


@dataclass(frozen=True, slots=True)
class Patch:
    """New values for some fields of an item; `expected_version` 0 takes whatever version stands."""

    id: str
    values: Mapping[str, Any]
    expected_version: int = 0
    provenance: str = "human"  # of who changes it


class Items:
    """Writes items."""

    def __init__(self, store: Store, vocabulary: Vocabulary, now: Callable[[], datetime]) -> None:
        self._store, self._vocabulary, self._now = store, vocabulary, now

    async def create(self, item: Item) -> Work:
        """What stores a new item, in a transaction; of a snapshot whose commit is known, what it says of that anew.

        Raises:
            Invalid: Names every field that is wrong.
            Conflict: In the transaction: the id or the source_uri belongs to another item.
        """
        given = canonical(item)
        whole = await self._looked_at(given)
        return lambda session: self._create(session, given, whole)

    def record(self, item: Item) -> Work:
        """What stores a new item, or brings up to date the one with its source_uri, commit_hash or id; `item` is in its
        canonical form.

        Of a standing item those fields change that `item` gives a value; `supersedes` only grows, a status gives way to
        the edge that supersedes the item, and what a commit is stays. So the same import again changes nothing.

        Raises:
            Invalid: Names every field that is wrong.
            Conflict: In the transaction: the id, the source_uri and the commit_hash belong to different items; or what
                was recorded from there was deleted, and `item` has no id of its own.
        """
        check_texts(item)
        return lambda session: self._record(session, item)

    async def record_new(self, items: Sequence[Item]) -> Callable[[Session], Awaitable[list[Recorded]]]:
        """What stores items that are new, none of which supersedes or is superseded, all or none of them; they are in
        their canonical form.

        Raises:
            Invalid: Something is wrong with one of them.
            Conflict: In the transaction: one of them is not new.
        """
        for item in items:
            check_texts(item)
        whole: list[Item] = []
        for item in items:
            whole.append(await self._looked_at(item))
            await asyncio.sleep(0)  # so that others get a word in between

        async def store(session: Session) -> list[Recorded]:
            session.feed.in_bulk()
            return await self._store_new(session, await _with_new_ids(session, whole))

        return store

    async def update(self, who: Caller, patch: Patch) -> Recorded:
        """Give the fields of an item new values.

        Raises:
            NotFound: There is no such item.
            Stale: Its version is not the expected one.
            Invalid: Names every field that is wrong.
        """
        return counted(await self._store.write(who, lambda session: self._update(session, patch)))

    async def delete(self, who: Caller, item_id: str, expected_version: int) -> int:
        """Remove an item and its edges for good; answers the change id of its tombstone.

        Raises:
            NotFound: There is no such item.
            Stale: Its version is not the expected one.
        """
        change_id, kind = await self._store.write(who, lambda s: self._delete(s, item_id, expected_version))
        metrics.ITEMS_CHANGED.labels(kind, Change.DELETED).inc()
        return change_id

    async def _looked_at(self, item: Item) -> Item:
        """A new item, which is in its canonical form, complete, and held where its text looks like instructions."""
        return await apart(length(item), lambda: holding.first_look(self._complete(item)))

    async def _looked_at_again(self, old: Item, changed: Item, by: str) -> Item:
        """The same of a standing one that was changed, in whatever form, by a hand of the provenance `by`."""
        return await apart(
            length(changed), lambda: holding.second_look(old, self._complete(defaults.canonical(changed)), by)
        )

    def _complete(self, item: Item) -> Item:
        whole = defaults.fill(item, self._now(), self._vocabulary)
        check(whole)
        return whole

    async def _create(self, session: Session, given: Item, item: Item) -> Recorded:
        commit = item.body.commit_hash if isinstance(item.body, Snapshot) else ""
        known = await session.items.find_commit(commit) if commit else None
        if known and (old := (await session.items.lock([known])).get(known)):  # not deleted meanwhile
            return await self._bring_up_to_date(session, old, given)
        await _refuse_taken_source(session, item)
        return await self._insert(session, item)

    async def _insert(self, session: Session, item: Item) -> Recorded:
        (recorded,) = await self._store_new(session, [replace(item, id=await _new_id(session, item))])
        return recorded

    async def _store_new(self, session: Session, items: Sequence[Item]) -> list[Recorded]:
        """Store items that have their ids, and what follows from them."""
        asked = [links.of(item) for item in items]
        drawn = await session.edges.draw(edge for edges in asked for edge in edges)
        standing = await _standings_of_new(session, items)
        new = [replace(standing[item.id].apply(item) if item.id in standing else item, version=1) for item in items]
        await session.items.insert(new)
        ids = {item.id for item in new}
        for item in new:
            if item.id in standing:
                ids |= set(await supersession.settle(session, standing[item.id].supersedes, item.date))
                ids |= set(await supersession.settle(session, standing[item.id].live))
            if item.review is Review.HELD:
                await _tell(session, item, item.version)
        changes = await session.feed.mark(ids)
        recorded = [Recorded(item, Outcome.CREATED, changes[item.id]) for item in new]
        return await links.answers(session, list(zip(recorded, _shared_out(drawn, asked), strict=True)))

    async def _record(self, session: Session, given: Item) -> Recorded:
        session.feed.in_bulk()
        held = await _holder(session, given)
        if held is None:
            await _refuse_deleted(session, given)
            return await self._insert(session, await self._looked_at(given))
        if isinstance(given.body, Adr):
            await session.items.lock_supersession()
        old = (await session.items.lock([held])).get(held)
        if old is None:  # deleted meanwhile: look again
            return await self._record(session, given)
        return await self._bring_up_to_date(session, old, given)

    async def _bring_up_to_date(self, session: Session, old: Item, given: Item) -> Recorded:
        if given.id not in ("", old.id):
            raise Conflict(f"{old.id} has that source_uri or commit_hash, not {given.id}")
        if given.id and old.source_uri and given.source_uri != old.source_uri:
            raise Conflict(f"{old.id} was recorded from another source_uri: {old.source_uri}")
        changed = defaults.rederive(old, defaults.merge(old, given))
        new = await self._looked_at_again(old, changed, given.provenance or "human")
        return await self._rewrite(session, old, new)

    async def _update(self, session: Session, patch: Patch) -> Recorded:
        if references.type_of(patch.id) is ItemType.ADR:
            await session.items.lock_supersession()
        old = await _lock(session, patch.id, patch.expected_version)
        changed = defaults.rederive(old, old.replace(patch.values), patch.values)
        new = await self._looked_at_again(old, changed, patch.provenance)
        recorded = await self._rewrite(session, old, new, exact=True)
        if recorded.item.status == old.status != new.status:
            by = links.superseded_by(recorded.item)
            raise Invalid({"status": [f"is superseded for as long as {by} supersedes it"]})
        return recorded

    async def _rewrite(self, session: Session, old: Item, new: Item, *, exact: bool = False) -> Recorded:
        """Store `new` in the place of `old`, and what follows from it; `exact` also takes supersedes edges away."""
        if not supersession.changed_fields(old, new):
            return await _unchanged(session, await session.items.get(old.id) or old)
        if new.source_uri != old.source_uri:
            await _refuse_taken_source(session, new)
        redrawn = await links.redraw(session, old, new, exact=exact)
        new = redrawn.item
        fields = supersession.changed_fields(old, new)
        if fields:
            await session.items.update(new, supersession.change_of(old, new), fields)
            if new.review is Review.HELD:
                await _tell(session, new, old.version + 1)
        let_go = new.id if supersession.holds(old) and not supersession.holds(new) else ""
        ids = set(await supersession.settle(session, redrawn.others, let_go=let_go))
        if fields or redrawn.changed:
            ids.add(new.id)
        changes = await session.feed.mark(ids) if ids else {}
        recorded = Recorded(
            new,
            Outcome.UPDATED if fields else Outcome.UNCHANGED,
            changes.get(new.id) or await session.feed.pending(new.id),
            updated_fields=tuple(public_name(new.type, name) for name in fields),
        )
        (answered,) = await links.answers(session, [(recorded, redrawn.drawn)])
        return answered

    async def _delete(self, session: Session, item_id: str, expected_version: int) -> tuple[int, ItemType]:
        if references.type_of(item_id) is ItemType.ADR:
            await session.items.lock_supersession()
        old = await _lock(session, item_id, expected_version)
        erased = await session.edges.erase_all(item_id)
        await session.items.delete(old)
        await session.feedback.forget(item_id)
        ids = {item_id} | await session.items.existing([edge.from_id for edge in erased])
        if isinstance(old.body, Adr):
            ends = {end for edge in erased for end in (edge.from_id, edge.to_id)}
            ids |= set(await supersession.settle(session, ends))
        return (await session.feed.mark(ids))[item_id], old.type


def canonical(item: Item) -> Item:
    """`item` as it would be stored, its id too.

    Raises:
        Invalid: The id is not one of its type, or its number is too large to count on from.
    """
    return defaults.canonical(_with_canonical_id(item))


def _with_canonical_id(item: Item) -> Item:
    """`item` with the id it asks for in canonical form.

    Raises:
        Invalid: The id is not one of its type, or its number is too large to count on from.
    """
    if not item.id:
        return item
    found = references.canonical(item.id)
    prefix = item.kind.prefix
    if found is None or not found.startswith(f"{prefix}-"):
        raise Invalid({"id": [f"must be {prefix}- and up to 61 letters, digits, dots, hyphens or underscores"]})
    if references.number_of(found) >= 10**references.LARGEST_TAIL:
        raise Invalid({"id": [f"has a number of more than {references.LARGEST_TAIL} digits"]})
    return replace(item, id=found)


async def _with_new_ids(session: Session, items: Sequence[Item]) -> list[Item]:
    """New items, each with the id that it would have if they came one by one.

    Counters are locked in one order, that of ADRs first: who locks it and others after it meets nobody half-way.
    """
    last = {kind: await session.items.claim(kind, 0) for kind in ItemType if any(item.type is kind for item in items)}
    numbered: list[Item] = []
    for item in items:
        number = references.number_of(item.id) if item.id else last[item.type] + 1
        last[item.type] = max(last[item.type], number)
        numbered.append(replace(item, id=item.id or references.numbered(item.kind.prefix, number)))
    if len({item.id for item in numbered}) < len(numbered):
        raise Conflict("two of them ask for one id")
    for kind, number in last.items():
        await session.items.claim(kind, number)
    return numbered


async def _standings_of_new(session: Session, items: Sequence[Item]) -> dict[str, supersession.Standing]:
    """What edges say of those of them that are ADRs.

    Raises:
        Invalid: One supersedes itself by way of others.
    """
    ids = [item.id for item in items if isinstance(item.body, Adr)]
    standing = await supersession.standings(session, ids) if ids else {}
    for item in items:
        if isinstance(item.body, Adr) and standing[item.id].supersedes:
            await supersession.refuse_cycle(session, item.id, links.cycle_field(item.body))
    return standing


def _shared_out(drawn: Iterable[Edge], asked: Iterable[Iterable[Edge]]) -> list[list[Edge]]:
    """Of the edges drawn those that each item asked for."""
    by_name = {_name(edge): edge for edge in drawn}
    return [[by_name[_name(edge)] for edge in edges if _name(edge) in by_name] for edges in asked]


def _name(edge: Edge) -> tuple[str, str, RelationshipType]:
    return edge.from_id, edge.to_id, edge.type


async def _new_id(session: Session, item: Item) -> str:
    """The id of a new item, the one it asks for if that is free."""
    if not item.id:
        return await session.items.allocate(item.type, item.kind.prefix)
    await session.items.claim(item.type, references.number_of(item.id))
    if await session.items.ever_used(item.id):
        stands = await session.items.existing([item.id])
        raise Conflict(f"{item.id} is taken" if stands else f"{item.id} was deleted; ids are not used again")
    return item.id


async def _holder(session: Session, given: Item) -> str | None:
    """The id of the standing item that `given` is a newer state of."""
    held = await session.items.find_source(given.type, given.source_uri) if given.source_uri else None
    if held is None and isinstance(given.body, Snapshot) and given.body.commit_hash:
        held = await session.items.find_commit(given.body.commit_hash)
    if held is None and given.id:
        held = given.id if await session.items.existing([given.id]) else None
    return held


async def _refuse_deleted(session: Session, given: Item) -> None:
    """Raise Conflict where what an import brings again was deleted, so that it does not undo what somebody decided.

    Who gives it an id of its own means a new item.
    """
    commit = given.body.commit_hash if isinstance(given.body, Snapshot) else ""
    origin = given.source_uri or commit
    if origin and not given.id and (deleted := await session.items.find_deleted(given.type, origin)):
        raise Conflict(
            f"{origin} was deleted as {deleted}: leave it out of the import, or give it a new id to record it again"
        )


async def _refuse_taken_source(session: Session, item: Item) -> None:
    if item.source_uri and (holder := await session.items.find_source(item.type, item.source_uri)):
        raise Conflict(f"{holder} has that source_uri already")


async def _lock(session: Session, item_id: str, expected_version: int = 0) -> Item:
    item = (await session.items.lock([item_id])).get(item_id)
    if item is None:
        raise NotFound(f"there is no {item_id}")
    if expected_version and item.version != expected_version:
        raise Stale(f"{item_id} is at version {item.version}, not {expected_version}")
    return item


async def _tell(session: Session, item: Item, version: int) -> None:
    """Write into the audit trail that an item is held, and by which rules."""
    rules = " ".join(dict.fromkeys(suspicion.rule for suspicion in item.suspicions))
    await session.audit.write("hold", item.id, version=version, detail=rules)


async def _unchanged(session: Session, item: Item) -> Recorded:
    """The item as it stands. An earlier try whose answer was lost may have written it, and the index not have it."""
    return Recorded(item, Outcome.UNCHANGED, await session.feed.pending(item.id))


def noting(work: Work, redactions: tuple[Redaction, ...]) -> Work:
    """`work`, its answer saying which secrets were taken out before."""

    async def noted(session: Session) -> Recorded:
        return replace(await work(session), redactions=redactions)

    return noted


def counted(recorded: Recorded) -> Recorded:
    """`recorded`, now that it is committed, in the metrics."""
    if recorded.outcome is Outcome.CREATED:
        metrics.ITEMS_CREATED.labels(recorded.item.type).inc()
    elif recorded.outcome is Outcome.UPDATED:
        metrics.ITEMS_CHANGED.labels(recorded.item.type, Change.UPDATED).inc()
    metrics.RELATIONSHIPS_CREATED.inc(len(recorded.relationships_created))
    return recorded
