"""Counts requests against their rates: in Redis, where replicas share one, else here; here too while Redis is away."""

import asyncio
import hashlib
import math
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from time import time
from typing import TYPE_CHECKING, Any, TypeAlias

import structlog
from limits import RateLimitItem
from limits.aio.storage import MemoryStorage, RedisStorage

from context_common.errors import Overloaded
from context_gateway import metrics
from context_gateway.address import network_of
from context_gateway.limits import SHARED, Limits

if TYPE_CHECKING:
    from redis.asyncio import BlockingConnectionPool

PAUSE = 2.0  # seconds between attempts to reach a Redis that is away; no request waits for them
CONNECTIONS = 32  # to Redis
SUSPECTS = 10_000  # addresses
OWN_WINDOWS = ("bulk", "auth")  # classes that never count with the others, rate or no rate

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Standing:
    """How a caller stands after a request was counted."""

    policy: str  # a class of route, or SHARED
    rate: RateLimitItem
    over: int  # how much of what was counted is beyond the rate
    left: int
    seconds: int  # until the count starts anew

    def headers(self) -> dict[str, str]:
        """What an answer says about it: the usual names, and the fields of the IETF draft."""
        amount, window = self.rate.amount, self.rate.get_expiry()
        return {
            "X-RateLimit-Limit": str(amount),
            "X-RateLimit-Remaining": str(self.left),
            "X-RateLimit-Reset": str(self.seconds),
            "RateLimit-Policy": f'"{self.policy}";q={amount};w={window}',
            "RateLimit": f'"{self.policy}";r={self.left};t={self.seconds}',
        }


Charge: TypeAlias = Callable[[int], Awaitable[Standing | None]]  # counts so many items of one caller


class TooMany(Overloaded):
    """More requests than the rate allows."""

    def __init__(self, standing: Standing) -> None:
        rate = f"{standing.rate.amount} in {standing.rate.get_expiry()} seconds"
        super().__init__(f"the limit is {rate}", retry_after=max(1, standing.seconds))


class Limiter:
    """Counts by class and caller, in windows that begin with the first request."""

    def __init__(self, limits: Limits) -> None:
        self._rates = limits.rates
        self._here = MemoryStorage()
        self._patience = limits.redis_seconds
        self._pool = _pool(limits.redis_url, self._patience) if limits.redis_url else None
        self._shared = _storage(self._pool) if self._pool else None
        self._away: asyncio.Task[None] | None = None
        self._suspects: OrderedDict[str, float] = OrderedDict()  # until when, in Unix time

    async def connect(self) -> None:
        """Reach Redis before a request has to: what connecting takes is no part of a first request's patience."""
        if self._shared and not await self._reached(self._shared):
            self._leave_alone(self._shared, "not reached at the start")

    async def failed(self, address: str) -> Standing | None:
        """Count a failed authentication."""
        who = network_of(address)
        standing = await self.count("auth", who)
        if standing and standing.over:
            self._suspects[who] = time() + standing.seconds
            self._suspects.move_to_end(who)
            if len(self._suspects) > SUSPECTS:
                self._suspects.popitem(last=False)
        return standing

    def suspects(self, address: str) -> bool:
        """Whether so many authentications failed there that it is not worth looking up another unknown key."""
        return self._suspects.get(network_of(address), 0.0) > time()

    async def count(self, kind: str, who: str, cost: int = 1) -> Standing | None:
        """Count a request of class `kind` by `who`; None where there is no limit."""
        policy = kind if kind in self._rates or kind in OWN_WINDOWS else SHARED
        rate = self._rates.get(policy)
        if rate is None:
            return None
        # Digests, so that Redis holds no names and a key no more than it must.
        key = rate.key_for(policy, hashlib.blake2b(who.encode(), digest_size=16).hexdigest())
        counted, ends = await self._add(key, rate.get_expiry(), cost)
        over, left = max(0, counted - rate.amount), max(0, rate.amount - counted)
        if over:
            metrics.RATE_LIMITED.labels(policy).inc()
        return Standing(policy, rate, min(over, cost), left, max(0, math.ceil(ends - time())))

    async def aclose(self) -> None:
        """Close the connections to Redis."""
        if self._away:
            self._away.cancel()
        if self._pool:
            await self._pool.aclose()

    async def _add(self, key: str, window: int, cost: int) -> tuple[int, float]:
        """The count after adding `cost`, and when its window ends, in Unix time."""
        if self._shared and not self._away:
            try:
                async with asyncio.timeout(self._patience):
                    return await self._shared.incr(key, window, cost), await self._shared.get_expiry(key)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with it, requests are served
                self._leave_alone(self._shared, type(error).__name__)
        return await self._here.incr(key, window, cost), await self._here.get_expiry(key)

    def _leave_alone(self, shared: RedisStorage, reason: str) -> None:
        """Count here until Redis answers again."""
        if not self._away:
            log.warning("rate_limit_store_away", reason=reason)
            metrics.RATE_STORE_AWAY.set(1)
            self._away = asyncio.create_task(self._return(shared))

    async def _return(self, shared: RedisStorage) -> None:
        while True:
            await asyncio.sleep(PAUSE)
            if await self._reached(shared):
                break
        log.info("rate_limit_store_back")
        metrics.RATE_STORE_AWAY.set(0)
        self._away = None

    async def _reached(self, shared: RedisStorage) -> bool:
        with suppress(Exception):  # it is away, for whatever reason
            async with asyncio.timeout(self._patience):
                return await shared.check()
        return False


@asynccontextmanager
async def open_limiter(limits: Limits) -> AsyncIterator[Limiter]:
    """A limiter, closed when the block ends."""
    limiter = Limiter(limits)
    try:
        await limiter.connect()
        yield limiter
    finally:
        await limiter.aclose()


def _pool(url: str, patience: float) -> "BlockingConnectionPool":
    from redis.asyncio import BlockingConnectionPool  # costs 0.1 s, which only those pay who use it
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    return BlockingConnectionPool.from_url(
        url,
        max_connections=CONNECTIONS,
        timeout=patience,
        socket_timeout=patience,
        socket_connect_timeout=patience,
        retry=Retry(NoBackoff(), 0),
    )


def _storage(pool: "BlockingConnectionPool") -> RedisStorage:
    options: dict[str, Any] = {"connection_pool": pool}
    return RedisStorage("async+redis://", implementation="redispy", **options)
