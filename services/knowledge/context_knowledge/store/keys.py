"""SQL of API keys. They span namespaces, so what a caller may see of them is asked for by its namespaces."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString

from psycopg import sql

from context_common.caller import EVERY, Caller
from context_common.postgres import Row, Statements
from context_knowledge.grants import Grants, Key

COLUMNS: LiteralString = (
    "id, prefix, name, scopes, namespaces, read_namespaces, provenance, created_at, created_by,"
    " nullif(expires_at, 'infinity') AS expires_at, last_used_at, revoked_at, coalesce(replaced_by, '') AS replaced_by"
)
LIVE: LiteralString = "revoked_at IS NULL AND expires_at > clock_timestamp()"
# As grants.may_manage says it: all of a key's namespaces are the caller's, and one at least is so to write.
THEIRS: LiteralString = """
    (%(write_all)s OR namespaces <@ %(writable)s::text[])
    AND (%(read_all)s OR read_namespaces <@ %(readable)s::text[])
    AND (%(write_all)s OR namespaces || read_namespaces && %(writable)s::text[])
"""
INSERT = sql.SQL("""
    INSERT INTO keys (id, digest, prefix, name, scopes, namespaces, read_namespaces, provenance, created_by, expires_at)
    VALUES (%(id)s, %(digest)s, %(prefix)s, %(name)s, %(scopes)s, %(namespaces)s, %(read_namespaces)s, %(provenance)s,
            %(created_by)s, coalesce(%(expires_at)s::timestamptz, 'infinity'))
    RETURNING {columns}
""").format(columns=sql.SQL(COLUMNS))
AUTHENTICATE = sql.SQL("""
    SELECT {columns}, last_used_at IS NULL OR last_used_at < clock_timestamp() - %(fresh)s::interval AS unseen
      FROM keys WHERE digest = %(digest)s AND {live}
""").format(columns=sql.SQL(COLUMNS), live=sql.SQL(LIVE))
TOUCH = """
    UPDATE keys SET last_used_at = clock_timestamp() WHERE id = (
        SELECT id FROM keys WHERE id = %(id)s
           AND (last_used_at IS NULL OR last_used_at < clock_timestamp() - %(fresh)s::interval)
           FOR NO KEY UPDATE SKIP LOCKED)
"""
LOCK = sql.SQL("SELECT {columns} FROM keys WHERE id = %(id)s AND {theirs} FOR UPDATE").format(
    columns=sql.SQL(COLUMNS), theirs=sql.SQL(THEIRS)
)
REVOKE = sql.SQL("""
    UPDATE keys SET revoked_at = clock_timestamp() WHERE id = %(id)s AND revoked_at IS NULL RETURNING {columns}
""").format(columns=sql.SQL(COLUMNS))
REPLACE = sql.SQL("""
    UPDATE keys SET replaced_by = %(replaced_by)s, expires_at = least(expires_at, clock_timestamp() + %(overlap)s)
     WHERE id = %(id)s RETURNING {columns}
""").format(columns=sql.SQL(COLUMNS))
PAGE = sql.SQL("""
    SELECT {columns} FROM keys
     WHERE {theirs} AND (%(ended)s OR {live})
       AND (%(before)s::timestamptz IS NULL OR (created_at, id) < (%(before)s, %(before_id)s))
     ORDER BY created_at DESC, id DESC LIMIT %(limit)s
""").format(columns=sql.SQL(COLUMNS), theirs=sql.SQL(THEIRS), live=sql.SQL(LIVE))
# Every process that makes the first key waits here for the one before it.
SOLE_FIRST = "SELECT pg_advisory_xact_lock(hashtextextended('context:first-key', 0))"
ANY_ADMIN = sql.SQL(
    "SELECT 1 FROM keys WHERE {live} AND 'admin' = ANY(scopes) AND '*' = ANY(namespaces) LIMIT 1"
).format(live=sql.SQL(LIVE))
NOW = "SELECT clock_timestamp() AS now"


@dataclass(frozen=True, slots=True)
class NewKey:
    """What is kept of a key that was just made."""

    id: str
    digest: bytes
    prefix: str
    name: str
    grants: Grants
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Found:
    """A key that holds; `unseen`: nobody wrote down lately that it is in use."""

    key: Key
    unseen: bool


class Keys:
    """The keys. All but `authenticate`, `touch` and the first one see only those whose namespaces are the caller's."""

    def __init__(self, connection: Statements, who: Caller) -> None:
        self._connection, self._who = connection, who

    async def now(self) -> datetime:
        """The time by the one clock that keys begin and end by."""
        return _sure(await self._one(NOW))["now"]  # type: ignore[no-any-return]

    async def insert(self, new: NewKey) -> Key:
        """Keep a key."""
        params = {
            "id": new.id,
            "digest": new.digest,
            "prefix": new.prefix,
            "name": new.name,
            "scopes": list(new.grants.scopes),
            "namespaces": list(new.grants.namespaces),
            "read_namespaces": list(new.grants.read_namespaces),
            "provenance": new.grants.provenance,
            "created_by": self._who.principal,
            "expires_at": new.expires_at,
        }
        return _to_key(_sure(await self._one(INSERT, **params)))

    async def authenticate(self, digest: bytes, fresh: timedelta) -> Found | None:
        """The key with that digest, if it holds; `unseen` where its last use is older than `fresh`."""
        row = await self._one(AUTHENTICATE, digest=digest, fresh=fresh)
        return Found(_to_key(row), row["unseen"]) if row else None

    async def touch(self, key_id: str, fresh: timedelta) -> None:
        """Write down that a key is in use, unless that is known to within `fresh` or somebody is writing it."""
        await self._connection.execute(TOUCH, {"id": key_id, "fresh": fresh})

    async def lock(self, key_id: str) -> Key | None:
        """The key, held until the transaction ends."""
        row = await self._one(LOCK, id=key_id, **self._theirs())
        return _to_key(row) if row else None

    async def revoke(self, key_id: str) -> Key | None:
        """End a key, held before, now; None where it was revoked already."""
        row = await self._one(REVOKE, id=key_id)
        return _to_key(row) if row else None

    async def replace(self, key_id: str, replaced_by: str, overlap: timedelta) -> Key:
        """Let a key, held before, end after `overlap`."""
        return _to_key(_sure(await self._one(REPLACE, id=key_id, replaced_by=replaced_by, overlap=overlap)))

    async def page(self, before: tuple[datetime, str] | None, limit: int, *, ended: bool) -> list[Key]:
        """The `limit` newest keys older than a position."""
        created_at, key_id = before or (None, "")
        params = {"before": created_at, "before_id": key_id, "limit": limit, "ended": ended, **self._theirs()}
        rows = await (await self._connection.execute(PAGE, params)).fetchall()
        return [_to_key(row) for row in rows]

    async def lacks_admin(self) -> bool:
        """Whether no key for everything stands; whoever asks does so alone until the transaction ends."""
        await self._connection.execute(SOLE_FIRST)
        return await self._one(ANY_ADMIN) is None

    def _theirs(self) -> dict[str, Any]:
        who = self._who
        return {
            "write_all": EVERY in who.writable,
            "read_all": EVERY in who.readable or EVERY in who.writable,
            "writable": sorted(who.writable),
            "readable": sorted({*who.readable, *who.writable, who.namespace}),
        }

    async def _one(self, query: Any, **params: Any) -> Row | None:
        return await (await self._connection.execute(query, params)).fetchone()


def _sure(row: Row | None) -> Row:
    if row is None:
        raise RuntimeError("a row that was written is not there")
    return row


def _to_key(row: Row) -> Key:
    scopes, namespaces, reading = (tuple(row[name]) for name in ("scopes", "namespaces", "read_namespaces"))
    grants = Grants(scopes, namespaces, reading, row["provenance"])
    plain = ("id", "prefix", "name", "created_at", "created_by", "expires_at", "last_used_at", "revoked_at")
    return Key(**{name: row[name] for name in plain}, grants=grants, replaced_by=row["replaced_by"])
