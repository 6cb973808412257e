"""The SQL that keeps receipts, finds them, and lets the old ones go."""

import uuid
from collections.abc import Sequence
from datetime import datetime

from context_common.postgres import Pool, Reach, fetch, transaction, translate_errors
from context_retrieval.model import Receipt
from context_retrieval.store.pool import EVERYWHERE

# The same one again is what a lost acknowledgement leaves behind.
KEEP = """
INSERT INTO receipts (query_id, namespace, namespaces, asked_at, principal, request_id, receipt)
VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"""
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
        rows = [
            (r.query_id, r.namespaces[0], list(r.namespaces), r.asked_at, r.principal, r.request_id, r.body)
            for r in receipts
        ]
        reach = Reach(tuple(sorted({receipt.namespaces[0] for receipt in receipts})))
        async with translate_errors(), transaction(self._pool, reach, "receipts.keep") as connection:
            await connection.cursor().executemany(KEEP, rows)

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
