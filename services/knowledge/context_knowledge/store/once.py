"""SQL of requests that may be sent again: the first answer of each, for as long as it is kept."""

from dataclasses import dataclass
from datetime import timedelta

from context_common.caller import Caller
from context_common.postgres import Statements

# Of two at once the second waits here until the first is committed, and then finds it. One that is past its time
# counts for nothing, whether or not it was purged already.
CLAIM = """
    INSERT INTO idempotency (namespace, principal, key, digest)
    VALUES (%(namespace)s, %(principal)s, %(key)s, %(digest)s)
    ON CONFLICT (namespace, principal, key) DO UPDATE
       SET digest = excluded.digest, answer = '', at = clock_timestamp()
     WHERE idempotency.at < clock_timestamp() - %(kept)s::interval
    RETURNING 1
"""
FIRST = """
    SELECT digest, answer FROM idempotency
     WHERE namespace = %(namespace)s AND principal = %(principal)s AND key = %(key)s
"""
KEEP = """
    UPDATE idempotency SET answer = %(answer)s
     WHERE namespace = %(namespace)s AND principal = %(principal)s AND key = %(key)s
"""
PURGE = """
    DELETE FROM idempotency WHERE (namespace, principal, key) IN (
        SELECT namespace, principal, key FROM idempotency WHERE at < clock_timestamp() - %(kept)s::interval
         ORDER BY at LIMIT %(most)s FOR UPDATE SKIP LOCKED)
"""


@dataclass(frozen=True, slots=True)
class First:
    """What a request asked for when it came first, and what it was answered."""

    digest: bytes
    answer: bytes


class Once:
    """The requests of one principal in one namespace; `purge` spans them."""

    def __init__(self, connection: Statements, who: Caller) -> None:
        self._connection, self._who = connection, who

    async def claim(self, key: str, digest: bytes, kept: timedelta) -> First | None:
        """Be the first with `key`: None; or what the first one within `kept` was and got."""
        params = {**self._key(key), "digest": digest, "kept": kept}
        if await (await self._connection.execute(CLAIM, params)).fetchone():
            return None
        row = await (await self._connection.execute(FIRST, self._key(key))).fetchone()
        return First(row["digest"], row["answer"]) if row else None

    async def keep(self, key: str, answer: bytes) -> None:
        """Keep the answer to the request that has `key`."""
        await self._connection.execute(KEEP, {**self._key(key), "answer": answer})

    async def purge(self, kept: timedelta, most: int) -> int:
        """Forget up to `most` requests older than `kept`, of everybody; answers how many went."""
        return (await self._connection.execute(PURGE, {"kept": kept, "most": most})).rowcount

    def _key(self, key: str) -> dict[str, str]:
        return {"namespace": self._who.namespace, "principal": self._who.principal, "key": key}
