"""Reading items with what surrounds them, and edges that somebody asks for."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from context_common.caller import Caller
from context_common.errors import Invalid, NotFound
from context_knowledge import metrics, supersession
from context_knowledge.checks import check_edge
from context_knowledge.model import Change, Edge, Item, ItemType, Origin, RelationshipType, Snapshot
from context_knowledge.once import Request, claim
from context_knowledge.store import Session, Store

DEPTH = 2
DEEPEST = 5
LIMIT = 50
MOST = 200
MOST_RELATED = 1_000  # neighbours answered with one item
MOST_WALKED = 5_000  # edges followed from one level of a walk to the next


@dataclass(frozen=True, slots=True)
class Related:
    """An item found by way of edges; `outgoing` as seen from the item before it on `path`."""

    id: str
    type: ItemType
    title: str
    status: str
    relationship: RelationshipType
    outgoing: bool
    depth: int
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Walk:
    """How to go from an item to those around it; 0 is the default of `depth` and `limit`."""

    depth: int = 0
    outgoing: bool = True
    incoming: bool = True
    types: Sequence[RelationshipType] = ()
    limit: int = 0


class Graph:
    """Items and the edges between them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get(self, who: Caller, item_id: str) -> tuple[Item, list[Related]]:
        """An item and its neighbours, one entry for each edge.

        Raises:
            NotFound: There is no such item.
        """

        async def work(session: Session) -> tuple[Item, list[Related]]:
            item = await _get(session, item_id)
            near = await session.edges.around([item_id], MOST_RELATED, outgoing=True, incoming=True)
            return item, [
                Related(n.id, n.type, n.title, n.status, n.relationship, n.outgoing, 1, (item_id, n.id)) for n in near
            ]

        return await self._store.read(who, work)

    async def related(self, who: Caller, item_id: str, walk: Walk) -> tuple[Item, list[Related], int]:
        """An item, those around it nearest first, each once at its least depth, and their number before the limit.

        Raises:
            NotFound: There is no such item.
            Invalid: The depth is not from 1 to 5, or the limit not from 1 to 200.
        """
        depth, limit = walk.depth or DEPTH, walk.limit or LIMIT
        wrong = {}
        if not 1 <= depth <= DEEPEST:
            wrong["depth"] = [f"must be from 1 to {DEEPEST}"]
        if not 1 <= limit <= MOST:
            wrong["limit"] = [f"must be from 1 to {MOST}"]
        if wrong:
            raise Invalid(wrong)

        async def work(session: Session) -> tuple[Item, list[Related]]:
            return await _get(session, item_id), await _reach(session, item_id, walk, depth)

        item, found = await self._store.read(who, work)
        return item, found[:limit], len(found)

    async def create(self, who: Caller, edge: Edge, request: Request | None = None) -> tuple[bool, int]:
        """Draw an edge; answers whether it is new, and the change id (0 where it stood just so already).

        Raises:
            NotFound: One of its ends does not exist.
            Invalid: It joins an item with itself, an ADR would supersede itself, or the strength is out of range.
            Conflict: The key of `request` was another request's.
        """
        check_edge(edge)
        drawn = False

        async def work(session: Session) -> tuple[bool, int]:
            nonlocal drawn
            drawn = False
            if request and (first := await claim(session, request)):
                created, change_id = json.loads(first)
                return created, change_id
            drawn, change_id = await _create(session, edge)
            if request:
                await session.once.keep(request.key, json.dumps([drawn, change_id]).encode())
            return drawn, change_id

        answered = await self._store.write(who, work)
        metrics.RELATIONSHIPS_CREATED.inc(drawn)
        return answered

    async def delete(self, who: Caller, edge: Edge) -> int:
        """Remove an edge; answers the change id.

        Raises:
            NotFound: There is no such edge.
        """
        return await self._store.write(who, lambda session: _delete(session, edge))


async def _reach(session: Session, root: str, walk: Walk, depth: int) -> list[Related]:
    """Breadth first, one query for each level; a cycle ends where it meets an item seen before.

    Where a level has more edges than anybody looks at, the closest are followed.
    """
    paths: dict[str, tuple[str, ...]] = {root: (root,)}
    found: list[Related] = []
    frontier = [root]
    for level in range(1, depth + 1):
        near = await session.edges.around(
            frontier, MOST_WALKED, outgoing=walk.outgoing, incoming=walk.incoming, types=walk.types
        )
        frontier = []
        for n in near:
            if n.id not in paths:
                paths[n.id] = (*paths[n.here], n.id)
                frontier.append(n.id)
                found.append(Related(n.id, n.type, n.title, n.status, n.relationship, n.outgoing, level, paths[n.id]))
        if not frontier:
            break
    return found


async def _create(session: Session, edge: Edge) -> tuple[bool, int]:
    supersedes = edge.type is RelationshipType.SUPERSEDES
    await session.items.lock_supersession()  # as everybody does who locks several items
    ends = await session.items.lock([edge.from_id, edge.to_id])  # or one could be deleted before its edge is drawn
    for end in (edge.from_id, edge.to_id):
        if end not in ends:
            raise NotFound(f"there is no {end}")
    origin = Origin.FIELD if supersedes else Origin.EXPLICIT
    created = await session.edges.draw_explicit(Edge(edge.from_id, edge.to_id, edge.type, edge.strength, origin))
    if created is None:
        return False, 0
    ids = {edge.from_id}
    if supersedes:
        await supersession.refuse_cycle(session, edge.from_id, "to")
        ids |= set(await supersession.settle(session, (edge.from_id, edge.to_id)))
    await _audit(session, "relate", edge, f" {edge.strength:g}")
    return created, (await session.feed.mark(ids))[edge.from_id]


async def _delete(session: Session, edge: Edge) -> int:
    supersedes = edge.type is RelationshipType.SUPERSEDES
    if supersedes:
        await session.items.lock_supersession()
    source = None if supersedes else (await session.items.lock([edge.from_id])).get(edge.from_id)
    if await session.edges.erase(edge.from_id, edge.to_id, edge.type) is None:
        raise NotFound(f"there is no {edge.type} from {edge.from_id} to {edge.to_id}")
    ids = {edge.from_id}
    if supersedes:
        ids |= set(await supersession.settle(session, (edge.from_id, edge.to_id)))
    elif source and edge.type is RelationshipType.REFERENCES:
        await _unlist(session, source, edge.to_id)
    await _audit(session, "unrelate", edge)
    return (await session.feed.mark(ids))[edge.from_id]


async def _unlist(session: Session, source: Item, target: str) -> None:
    """Take `target` out of a snapshot's own list, so that the edge does not come back with the next change."""
    if isinstance(source.body, Snapshot) and target in source.body.references:
        kept = tuple(name for name in source.body.references if name != target)
        await session.items.update(source.replace({"references": kept}), Change.UPDATED, ["references"])


async def _audit(session: Session, action: str, edge: Edge, more: str = "") -> None:
    """Write down what somebody did to an edge, with the item that it starts from."""
    await session.audit.write(action, edge.from_id, detail=f"{edge.from_id} {edge.type} {edge.to_id}{more}")


async def _get(session: Session, item_id: str) -> Item:
    item = await session.items.get(item_id)
    if item is None:
        raise NotFound(f"there is no {item_id}")
    return item
