"""SQL of relationships. An edge whose item is missing stays, and is seen once the item is there."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from context_common.caller import Caller
from context_common.postgres import Row, Statements
from context_knowledge.model import NOT_HOLDING, Edge, ItemType, Origin, RelationshipType

# A text's edge becomes a field's where both name it, and the other way round; an explicit one stays explicit.
DRAW = """
    INSERT INTO relationships (namespace, from_id, to_id, type, strength, origin)
    SELECT %(namespace)s, * FROM unnest(%(froms)s::text[], %(tos)s::text[], %(types)s::text[],
                                        %(strengths)s::float8[], %(origins)s::text[]) AS wanted
    ORDER BY 2, 3, 4
    ON CONFLICT (namespace, from_id, to_id, type) DO UPDATE SET origin = excluded.origin
     WHERE relationships.origin <> 'explicit' AND relationships.origin <> excluded.origin
    RETURNING from_id, to_id, type, strength, origin, xmax = 0 AS created
"""
DRAW_EXPLICIT = """
    INSERT INTO relationships (namespace, from_id, to_id, type, strength, origin)
    VALUES (%(namespace)s, %(from_id)s, %(to_id)s, %(type)s, %(strength)s, %(origin)s)
    ON CONFLICT (namespace, from_id, to_id, type) DO UPDATE
       SET strength = excluded.strength, origin = excluded.origin
     WHERE (relationships.strength, relationships.origin) <> (excluded.strength, excluded.origin)
    RETURNING xmax = 0 AS created
"""
# What an item's text and fields no longer say; supersedes edges are kept by name, not here.
ERASE_DERIVED = """
    DELETE FROM relationships
     WHERE namespace = %(namespace)s AND from_id = %(from_id)s AND origin <> 'explicit' AND type <> 'supersedes'
       AND (to_id, type) NOT IN (SELECT * FROM unnest(%(tos)s::text[], %(types)s::text[]))
    RETURNING to_id
"""
ERASE = """
    DELETE FROM relationships
     WHERE namespace = %(namespace)s AND from_id = %(from_id)s AND to_id = %(to_id)s AND type = %(type)s
    RETURNING origin
"""
ERASE_ALL = """
    DELETE FROM relationships WHERE namespace = %(namespace)s AND (from_id = %(id)s OR to_id = %(id)s)
    RETURNING from_id, to_id, type, strength, origin
"""
SUPERSESSION = """
    SELECT r.from_id, r.to_id, i.id IS NOT NULL AND i.review NOT IN ('held', 'rejected')
               AND i.status <> ALL(%(not_holding)s) AS live,
           coalesce(i.review = 'rejected' OR i.status = ANY(%(not_holding)s), false) AS void
      FROM relationships r LEFT JOIN items i ON i.namespace = r.namespace AND i.id = r.from_id
     WHERE r.namespace = %(namespace)s AND r.type = 'supersedes'
       AND (r.from_id = ANY(%(ids)s) OR r.to_id = ANY(%(ids)s))
"""
SUPERSEDES_ITSELF = """
    WITH RECURSIVE below AS (
        SELECT to_id FROM relationships
         WHERE namespace = %(namespace)s AND from_id = %(id)s AND type = 'supersedes'
        UNION
        SELECT r.to_id FROM below
          JOIN relationships r ON r.namespace = %(namespace)s AND r.from_id = below.to_id AND r.type = 'supersedes'
    )
    SELECT 1 FROM below WHERE to_id = %(id)s
"""
# Both ends joined: what is not there yet, or is withheld, is not seen. One row per edge and side, nearest first.
AROUND = """
    SELECT near.here, near.outgoing, near.type AS relationship, i.id, i.type, i.title, i.status
      FROM (SELECT from_id AS here, to_id AS there, type, strength, true AS outgoing FROM relationships
             WHERE %(out)s AND namespace = %(namespace)s AND from_id = ANY(%(ids)s)
            UNION ALL
            SELECT to_id, from_id, type, strength, false FROM relationships
             WHERE %(in)s AND namespace = %(namespace)s AND to_id = ANY(%(ids)s)) near
      JOIN items i ON i.namespace = %(namespace)s AND i.id = near.there
     WHERE i.review NOT IN ('held', 'rejected') AND (cardinality(%(types)s::text[]) = 0 OR near.type = ANY(%(types)s))
     ORDER BY near.type = 'references', near.strength DESC, near.type, near.outgoing DESC,
              length(i.id), i.id, length(near.here), near.here
     LIMIT %(most)s
"""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An item at the other end of an edge of the item `here`."""

    here: str
    outgoing: bool
    relationship: RelationshipType
    id: str
    type: ItemType
    title: str
    status: str


@dataclass(frozen=True, slots=True)
class Superseding:
    """A supersedes edge.

    Attributes:
        live: The item that it starts from exists, is not withheld, and holds or once did.
        void: That item was turned down or is only proposed, by its review or by its own status.
    """

    from_id: str
    to_id: str
    live: bool
    void: bool


class Edges:
    """The relationships of the caller's namespace."""

    def __init__(self, connection: Statements, who: Caller) -> None:
        self._connection, self._who = connection, who

    async def draw(self, edges: Iterable[Edge]) -> list[Edge]:
        """Draw those that do not stand yet and answer them."""
        wanted = list(edges)
        if not wanted:
            return []
        params = self._params(
            froms=[edge.from_id for edge in wanted],
            tos=[edge.to_id for edge in wanted],
            types=[edge.type.value for edge in wanted],
            strengths=[edge.strength for edge in wanted],
            origins=[edge.origin.value for edge in wanted],
        )
        rows = await (await self._connection.execute(DRAW, params)).fetchall()
        return [_to_edge(row) for row in rows if row["created"]]

    async def draw_explicit(self, edge: Edge) -> bool | None:
        """Draw an edge somebody asked for: True if it is new, False if it was changed, None if it stood so already."""
        params = self._params(
            from_id=edge.from_id, to_id=edge.to_id, type=edge.type, strength=edge.strength, origin=edge.origin
        )
        row = await (await self._connection.execute(DRAW_EXPLICIT, params)).fetchone()
        return bool(row["created"]) if row else None

    async def erase_derived(self, from_id: str, keep: Collection[Edge]) -> bool:
        """Remove the item's edges that came from its text and fields, but for `keep`; whether there were any."""
        params = self._params(
            from_id=from_id, tos=[edge.to_id for edge in keep], types=[edge.type.value for edge in keep]
        )
        return bool(await (await self._connection.execute(ERASE_DERIVED, params)).fetchall())

    async def erase(self, from_id: str, to_id: str, kind: RelationshipType) -> Origin | None:
        """Remove one edge and answer where it came from; None where there is none."""
        params = self._params(from_id=from_id, to_id=to_id, type=kind)
        row = await (await self._connection.execute(ERASE, params)).fetchone()
        return Origin(row["origin"]) if row else None

    async def erase_all(self, item_id: str) -> list[Edge]:
        """Remove every edge at the item and answer them."""
        rows = await (await self._connection.execute(ERASE_ALL, self._params(id=item_id))).fetchall()
        return [_to_edge(row) for row in rows]

    async def supersession(self, ids: Collection[str]) -> list[Superseding]:
        """The supersedes edges at `ids`."""
        params = self._params(ids=sorted(ids), not_holding=list(NOT_HOLDING))
        rows = await (await self._connection.execute(SUPERSESSION, params)).fetchall()
        return [Superseding(**row) for row in rows]

    async def supersedes_itself(self, item_id: str) -> bool:
        """Whether the supersedes edges lead from the item back to it."""
        row = await (await self._connection.execute(SUPERSEDES_ITSELF, self._params(id=item_id))).fetchone()
        return row is not None

    async def around(
        self, ids: Sequence[str], most: int, *, outgoing: bool, incoming: bool, types: Sequence[RelationshipType] = ()
    ) -> list[Neighbour]:
        """The items at the end of at most `most` edges of `ids`, closest relationships first; no type is every type."""
        params = self._params(ids=list(ids), out=outgoing, types=[kind.value for kind in types], most=most)
        rows = await (await self._connection.execute(AROUND, {**params, "in": incoming})).fetchall()
        return [
            Neighbour(
                row["here"],
                row["outgoing"],
                RelationshipType(row["relationship"]),
                row["id"],
                ItemType(row["type"]),
                row["title"],
                row["status"],
            )
            for row in rows
        ]

    def _params(self, **params: Any) -> dict[str, Any]:
        return {"namespace": self._who.namespace, **params}


def _to_edge(row: Row) -> Edge:
    kind, origin = RelationshipType(row["type"]), Origin(row["origin"])
    return Edge(row["from_id"], row["to_id"], kind, row["strength"], origin)
