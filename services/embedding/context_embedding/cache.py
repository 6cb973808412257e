"""Vectors of texts seen lately: in this process always, in Redis where there is one. Never needed, only quicker."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import redis.asyncio as redis
import structlog
from redis.exceptions import RedisError

from context_embedding import metrics

TTL = 7 * 24 * 3600  # seconds in Redis
PATIENCE = 0.05  # seconds; computing a vector takes hardly longer
PAUSE = 5.0  # seconds without Redis after it failed

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Cached:
    """A vector as it goes over the wire, with what was said about its text."""

    vector: bytes
    token_count: int
    truncated: bool

    def pack(self) -> bytes:
        """As Redis keeps it: token count, whether it was cut, vector."""
        return self.token_count.to_bytes(4, "little") + bytes([self.truncated]) + self.vector

    @classmethod
    def unpack(cls, packed: bytes) -> "Cached":
        """The opposite of `pack`."""
        return cls(packed[5:], int.from_bytes(packed[:4], "little"), bool(packed[4]))


class Cache:
    """Keeps up to `size` vectors of the model `model_id` here, and all of them for a week in the Redis at `url`."""

    def __init__(self, model_id: str, size: int, url: str = "") -> None:
        self._model_id, self._size = model_id, size
        self._here: OrderedDict[bytes, Cached] = OrderedDict()
        self._redis = redis.from_url(url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE) if url else None
        self._away_until = 0.0

    async def get(self, texts: Sequence[str]) -> list[Cached | None]:
        """What is known of each text."""
        keys = [self._key(text) for text in texts]
        found = [self._here.get(key) for key in keys]
        missing = [position for position, hit in enumerate(found) if hit is None]
        if missing:
            stored = await self._read([keys[position] for position in missing])
            for position, packed in zip(missing, stored, strict=True):
                if packed:
                    found[position] = self._keep(keys[position], Cached.unpack(packed))
        for hit in found:
            metrics.CACHE.labels("miss" if hit is None else "hit").inc()
        return found

    async def put(self, texts: Sequence[str], vectors: Sequence[Cached]) -> None:
        """Remember the vectors of `texts`."""
        keys = [self._key(text) for text in texts]
        for key, vector in zip(keys, vectors, strict=True):
            self._keep(key, vector)
        if not self._redis or self._away():
            return
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for key, vector in zip(keys, vectors, strict=True):
                    pipeline.set(key, vector.pack(), ex=TTL)
                await pipeline.execute()
        except (RedisError, OSError) as error:
            self._lost(error)

    async def close(self) -> None:
        """Close the connection to Redis."""
        if self._redis:
            await self._redis.aclose()

    def _key(self, text: str) -> bytes:
        return b"embedding:" + hashlib.sha256(f"{self._model_id}\0{text}".encode()).digest()

    def _keep(self, key: bytes, vector: Cached) -> Cached:
        self._here[key] = vector
        self._here.move_to_end(key)
        while len(self._here) > self._size:
            self._here.popitem(last=False)
        return vector

    async def _read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        if not self._redis or self._away():
            return [None] * len(keys)
        try:
            stored: list[bytes | None] = await self._redis.mget(keys)
            return stored
        except (RedisError, OSError) as error:
            self._lost(error)
            return [None] * len(keys)

    def _away(self) -> bool:
        return asyncio.get_running_loop().time() < self._away_until

    def _lost(self, error: Exception) -> None:
        self._away_until = asyncio.get_running_loop().time() + PAUSE
        log.warning("cache_away", reason=str(error))
