"""Requests that their callers may send again: the first answer counts for a day, in the transaction of what it did."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from context_common.errors import Conflict, Invalid
from context_knowledge.store import Session

KEPT = timedelta(hours=24)
LONGEST = 255  # characters of a key
PURGED = 500  # rows in one go, so that nobody waits for the purge


@dataclass(frozen=True, slots=True)
class Request:
    """What a caller sent: the key that it gave the request, and the digest of what it asked for."""

    key: str
    digest: bytes

    def __post_init__(self) -> None:
        """Refuse a key that cannot be.

        Raises:
            Invalid: It is longer than 255 characters or has others than printable ASCII.
        """
        if not (0 < len(self.key) <= LONGEST and self.key.isascii() and self.key.isprintable()):
            raise Invalid({"idempotency_key": [f"must be 1 to {LONGEST} printable ASCII characters"]})


async def answer(session: Session, request: Request, work: Callable[[Session], Awaitable[bytes]]) -> bytes:
    """What `work` answers, or answered when the request came first; of two at once the second waits for the first.

    Raises:
        Conflict: The key was another request's.
    """
    first = await session.once.claim(request.key, request.digest, KEPT)
    if first is None:
        answered = await work(session)
        await session.once.keep(request.key, answered)
        return answered
    if first.digest != request.digest:
        raise Conflict("that idempotency key was used for another request")
    return first.answer
