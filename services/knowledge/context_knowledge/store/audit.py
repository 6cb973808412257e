"""SQL of the audit trail, which only grows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

from psycopg import sql

from context_common.caller import Caller
from context_common.postgres import Statements

DENIED = "denied"
WRITE = """
    INSERT INTO audit (namespace, principal, request_id, address, action, item_id, version, detail)
    VALUES (%(namespace)s, %(principal)s, %(request_id)s, %(address)s, %(action)s, %(item_id)s, %(version)s, %(detail)s)
"""
WRITE_DENIALS = """
    INSERT INTO audit (namespace, principal, request_id, address, action, item_id, detail, at)
    SELECT namespace, principal, request_id, address, 'denied', '', detail, coalesce(at, clock_timestamp())
      FROM unnest(%(namespaces)s::text[], %(principals)s::text[], %(request_ids)s::text[], %(addresses)s::text[],
                  %(details)s::text[], %(times)s::timestamptz[])
           AS denial (namespace, principal, request_id, address, detail, at)
"""
# Each filter, and the condition that it adds when it is set.
CONDITIONS: dict[str, LiteralString] = {
    "principal": "principal = %(principal)s",
    "action": "action = %(action)s",
    "item_id": "item_id = %(item_id)s",
    "request_id": "request_id = %(request_id)s",
    "since": "at >= %(since)s",
    "until": "at < %(until)s",
    "before": "entry < %(before)s",
}
# One ordered look for each namespace, so that none has to be sorted whole.
PAGE = sql.SQL("""
    SELECT line.entry, line.at, line.principal, line.action, line.item_id, line.version, line.detail, line.address,
           line.request_id
      FROM unnest(%(namespaces)s::text[]) AS wanted (name), LATERAL (
           SELECT entry, at, principal, action, item_id, coalesce(version, 0) AS version, detail, address, request_id
             FROM audit WHERE namespace = wanted.name AND {conditions}
            ORDER BY entry DESC LIMIT %(limit)s) AS line
     ORDER BY line.entry DESC LIMIT %(limit)s
""")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: who did what to which item or key, in which version, from where. Version 0 is none."""

    entry: int
    at: datetime
    principal: str
    action: str
    item_id: str
    version: int
    detail: str
    address: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines to list; what is empty does not narrow. `since` is inclusive, `until` is not."""

    principal: str = ""
    action: str = ""
    item_id: str = ""
    request_id: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Denial:
    """A call that was refused; no namespace: none could be told. No time: now."""

    namespace: str
    principal: str
    request_id: str
    address: str
    detail: str
    at: datetime | None


class Audit:
    """The trail. It is written in the transaction of what it tells of."""

    def __init__(self, connection: Statements, who: Caller) -> None:
        self._connection, self._who = connection, who

    async def write(
        self, action: str, item_id: str = "", *, detail: str = "", namespace: str | None = None, version: int = 0
    ) -> None:
        """Write down what the caller did, in its namespace unless another is named; the empty one is nobody's."""
        row = {
            "namespace": self._who.namespace if namespace is None else namespace,
            "principal": self._who.principal,
            "request_id": self._who.request_id,
            "address": self._who.address,
            "action": action,
            "item_id": item_id,
            "version": version or None,
            "detail": detail,
        }
        await self._connection.execute(WRITE, row)

    async def write_denials(self, denials: Sequence[Denial]) -> None:
        """Write down what was refused to others."""
        params = {
            "namespaces": [denial.namespace for denial in denials],
            "principals": [denial.principal for denial in denials],
            "request_ids": [denial.request_id for denial in denials],
            "addresses": [denial.address for denial in denials],
            "details": [denial.detail for denial in denials],
            "times": [denial.at for denial in denials],
        }
        await self._connection.execute(WRITE_DENIALS, params)

    async def page(self, namespaces: Sequence[str], wanted: Wanted, before: int, limit: int) -> list[Entry]:
        """The `limit` newest lines of `namespaces` that pass the filter and stand before an entry (0: any)."""
        values: dict[str, Any] = {
            "principal": wanted.principal,
            "action": wanted.action,
            "item_id": wanted.item_id,
            "request_id": wanted.request_id,
            "since": wanted.since,
            "until": wanted.until,
            "before": before,
        }
        conditions: list[LiteralString] = [CONDITIONS[name] for name, value in values.items() if value]
        joined = sql.SQL(" AND ").join(map(sql.SQL, conditions)) if conditions else sql.SQL("true")
        params = {**values, "namespaces": list(namespaces), "limit": limit}
        rows = await (await self._connection.execute(PAGE.format(conditions=joined), params)).fetchall()
        return [Entry(**row) for row in rows]
