"""Requests that their callers may send again: the first answer counts for a day, in the transaction of what it did."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from google.protobuf.message import Message

from context.v1 import knowledge_pb2 as pb
from context_common.caller import Caller
from context_common.errors import Conflict, Invalid
from context_knowledge import wire
from context_knowledge.items import Work, counted
from context_knowledge.model import Recorded
from context_knowledge.store import Session, Store

KEPT = timedelta(hours=24)
LONGEST = 255  # characters of a key
PURGED = 500  # rows in one go, so that nobody waits for the purge


@dataclass(frozen=True, slots=True)
class Request:
    """What a caller sent: the key that it gave the request, and the digest of what it asked for."""

    key: str
    digest: bytes

    @classmethod
    def of(cls, key: str, asked: Message) -> Self | None:
        """The request for what `asked` says; None where it has no key.

        Raises:
            Invalid: The key is longer than 255 characters or has others than printable ASCII.
        """
        if not key:
            return None
        if len(key) > LONGEST or not (key.isascii() and key.isprintable()):
            raise Invalid({"idempotency_key": [f"must be 1 to {LONGEST} printable ASCII characters"]})
        name = asked.DESCRIPTOR.full_name.encode()
        return cls(key, hashlib.sha256(name + b"\0" + asked.SerializeToString(deterministic=True)).digest())


async def claim(session: Session, request: Request) -> bytes | None:
    """The answer to the same request before; None where this is the first, whose answer is to be kept.

    Raises:
        Conflict: The key was another request's, or what it recorded was erased by the database's owner.
    """
    first = await session.once.claim(request.key, request.digest, KEPT)
    if first and first.digest != request.digest:
        raise Conflict("that idempotency key was used for another request")
    if first and not first.answer:
        # Neither the first answer, which had the text, nor a second item, which would have it again.
        raise Conflict("what was recorded with that idempotency key was erased")
    return first.answer if first else None


class Once:
    """Does what a request asks for once, however often it comes."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def write(self, who: Caller, work: Work, request: Request | None) -> pb.Recorded:
        """What `work` did, or what it did when the request came first; of two at once the second waits for the first.

        Raises:
            Conflict: The key was another request's.
        """
        if request is None:
            return wire.write_recorded(counted(await self._store.write(who, work)))
        done: Recorded | None = None

        async def once(session: Session) -> bytes:
            nonlocal done
            done = None
            first = await claim(session, request)
            if first is None:
                done = await work(session)
                first = wire.write_recorded(done).SerializeToString()
                await session.once.keep(request.key, first)
            return first

        answered = await self._store.write(who, once)
        if done:
            counted(done)
        return pb.Recorded.FromString(answered)

    async def purge(self, who: Caller, batch: int = PURGED) -> int:
        """Forget what is older than a day, `batch` by `batch`; answers how much went."""
        gone = forgotten = await self._forget(who, batch)
        while forgotten == batch:
            forgotten = await self._forget(who, batch)
            gone += forgotten
        return gone

    async def _forget(self, who: Caller, most: int) -> int:
        return await self._store.run(who, lambda session: session.once.purge(KEPT, most), everywhere=True)
