"""The SQL that keeps receipts, finds them, and lets the old ones go."""

import uuid
from collections.abc import Sequence
from datetime import datetime

from context_common.postgres import Numbered, Pool, Reach, fetch, transaction, translate_errors
from context_retrieval.model import Receipt
from context_retrieval.store.pool import EVERYWHERE

BETWEEN = "/"  # namespaces: none has one
# All of them in one round trip. The same one again is what a lost acknowledgement leaves behind.
KEEP = Numbered.of("""
INSERT INTO receipts (query_id, namespace, namespaces, asked_at, principal, request_id, receipt)
SELECT query_id, asked[1], asked, asked_at, principal, request_id, receipt
FROM unnest(%(ids)s::uuid[], %(namespaces)s::text[], %(times)s::timestamptz[], %(principals)s::text[],
        %(requests)s::text[], %(bodies)s::bytea[])
    AS kept (query_id, namespaces, asked_at, principal, request_id, receipt),
    string_to_array(namespaces, %(between)s) AS asked
ON CONFLICT DO NOTHING RETURNING query_id""")
FIND = """
SELECT query_id, namespaces, asked_at, principal, request_id, receipt FROM receipts WHERE query_id = %(query_id)s"""
PURGE = """
DELETE FROM receipts WHERE query_id IN (
    SELECT query_id FROM receipts WHERE query_id < %(oldest)s ORDER BY query_id LIMIT %(limit)s)"""


class Receipts:
    """Receipts, by the id of their query."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def keep(self, receipts: Sequence[Receipt]) -> None:
        """Store `receipts` in one transaction; those that are stored already stay as they are.

        Raises:
            Unavailable: The database is away, or takes no writes.
        """
        columns = {
            "ids": [one.query_id for one in receipts],
            "between": BETWEEN,
            "namespaces": [BETWEEN.join(one.namespaces) for one in receipts],
            "times": [one.asked_at for one in receipts],
            "principals": [one.principal for one in receipts],
            "requests": [one.request_id for one in receipts],
            "bodies": [one.body for one in receipts],
        }
        reach = Reach(tuple(sorted({receipt.namespaces[0] for receipt in receipts})))
        await fetch(self._pool, reach, KEEP, columns, "receipts.keep")

    async def find(self, query_id: uuid.UUID, namespaces: Sequence[str] | None) -> Receipt | None:
        """The receipt of that query, where its first namespace is among `namespaces`; None: whatever it is."""
        reach = EVERYWHERE if namespaces is None else Reach(tuple(namespaces))
        for row in await fetch(self._pool, reach, FIND, {"query_id": query_id}, "receipts.find"):
            return Receipt(
                query_id=row["query_id"],
                namespaces=tuple(row["namespaces"]),
                asked_at=row["asked_at"],
                principal=row["principal"],
                request_id=row["request_id"],
                body=row["receipt"],
            )
        return None

    async def purge(self, before: datetime, limit: int) -> int:
        """Drop at most `limit` receipts of queries asked before that time; answers how many there were."""
        values = {"oldest": _first(before), "limit": limit}
        async with translate_errors(), transaction(self._pool, EVERYWHERE, "receipts.purge") as connection:
            return (await connection.execute(PURGE, values)).rowcount


def _first(moment: datetime) -> uuid.UUID:
    """The least id that a query of that moment can have."""
    return uuid.UUID(int=int(moment.timestamp() * 1000) << 80)
