"""Who an API key is: asked of knowledge, remembered for seconds, and for minutes while knowledge is away.

A key that is revoked is refused everywhere FRESH seconds later. Where knowledge cannot be asked, a key that it knew
less than STALE seconds ago still counts, so that questions go on being answered; any other is 503.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic, time

from context.v1 import admin_pb2
from context_common import caller
from context_common.apikey import ApiKey
from context_common.caller import SERVICE, Caller
from context_common.client import away, call
from context_common.errors import AppError, NotFound, Overloaded, Unavailable
from context_gateway.clients import Clients
from context_gateway.credential import DEFAULT_NAMESPACE, Credential
from context_gateway.problems import BadCredential

FRESH = 5.0  # seconds that an answer counts without asking again
STALE = 600.0  # seconds that it counts while knowledge is away
PAUSE = 1.0  # seconds between looks whether knowledge is back
ASK = 3.0  # seconds that knowledge has to answer
HURRY = 0.5  # seconds after which it counts as away for a key that was known before: a question need not wait for it
REMEMBERED = 10_000  # keys, and as many that are none
FLYING = 64  # questions at once: whoever makes up keys fills these, not knowledge
NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Known:
    """What knowledge said of a key, and when it was asked; no credential where there is no such key."""

    credential: Credential | None
    expires: float  # seconds of Unix time
    asked: float  # on the monotonic clock

    def younger_than(self, seconds: float) -> bool:
        """Whether it was asked less than `seconds` ago."""
        return monotonic() - self.asked < seconds


class Keys:
    """The keys that this process has met lately. `suspects`: whether an address showed too many that are none."""

    def __init__(self, clients: Clients, suspects: Callable[[str], bool]) -> None:
        self._clients, self._suspects = clients, suspects
        self._valid: OrderedDict[bytes, Known] = OrderedDict()
        self._invalid: OrderedDict[bytes, Known] = OrderedDict()  # apart, so that made-up keys push out no real one
        self._flying: dict[bytes, asyncio.Task[Known]] = {}
        self._away = False  # whether knowledge did not answer when it was last asked
        self._ask_again = 0.0

    async def credential(self, key: ApiKey, request_id: str, address: str) -> Credential:
        """What `key` allows.

        Raises:
            BadCredential: It is unknown, revoked or expired.
            Unavailable: Knowledge is away, and was too long for what is remembered of the key.
        """
        digest = key.digest
        known = self._valid.get(digest) or self._invalid.get(digest)
        if not known or not known.younger_than(FRESH):
            known = await self._renew(digest, known, request_id, address)
        if not known.credential or known.expires <= time():
            raise BadCredential("the API key is unknown, revoked or expired")
        return known.credential

    def forget(self, key_id: str) -> None:
        """Ask again about the key with that id when it is next shown."""
        principal = f"key:{key_id}"
        for digest, known in list(self._valid.items()):
            if known.credential and known.credential.principal == principal:
                del self._valid[digest]

    async def _renew(self, digest: bytes, known: Known | None, request_id: str, address: str) -> Known:
        """What knowledge says now, or said of a valid key while it cannot be asked."""
        usable = known if known and known.credential and known.younger_than(STALE) else None
        if not usable and self._suspects(address):
            raise BadCredential("too many keys from there were unknown, revoked or expired")
        if usable and self._away:
            if monotonic() >= self._ask_again:
                self._ask_again = monotonic() + PAUSE
                with suppress(Overloaded):
                    self._fly(digest, request_id, address)  # nobody waits for it
            return usable
        try:
            async with asyncio.timeout(HURRY if usable else None):
                return await asyncio.shield(self._fly(digest, request_id, address))
        except (AppError, TimeoutError) as error:
            if isinstance(error, AppError) and not away(error) and not isinstance(error, Overloaded):
                raise
            self._away, self._ask_again = True, monotonic() + PAUSE
            if usable:
                return usable
            raise Unavailable("keys cannot be checked just now") from error

    def _fly(self, digest: bytes, request_id: str, address: str) -> "asyncio.Task[Known]":
        """One question for all who show the key at the same time; it goes on where one of them leaves."""
        task = self._flying.get(digest)
        if task is None:
            if len(self._flying) >= FLYING:
                raise Overloaded("too many keys are being checked")
            task = asyncio.create_task(self._look_up(digest, request_id, address))
            self._flying[digest] = task
            task.add_done_callback(lambda done: self._landed(digest, done))
        return task

    def _landed(self, digest: bytes, task: "asyncio.Task[Known]") -> None:
        del self._flying[digest]
        if task.cancelled() or task.exception():
            return
        self._away = False
        known = task.result()
        kept, other = (self._valid, self._invalid) if known.credential else (self._invalid, self._valid)
        other.pop(digest, None)
        kept[digest] = known
        kept.move_to_end(digest)
        if len(kept) > REMEMBERED:
            kept.popitem(last=False)

    async def _look_up(self, digest: bytes, request_id: str, address: str) -> Known:
        caller.bind(Caller(DEFAULT_NAMESPACE, "service:gateway", request_id, address, frozenset({SERVICE})))
        request, asked = admin_pb2.AuthenticateKeyRequest(digest=digest), monotonic()
        try:
            key = (await call(self._clients.admin.AuthenticateKey, request, within=ASK)).key
        except NotFound:
            return Known(None, NEVER, asked)
        expires = key.expires_at.ToNanoseconds() / 1e9 if key.HasField("expires_at") else NEVER
        return Known(Credential.of_key(key), expires, asked)
