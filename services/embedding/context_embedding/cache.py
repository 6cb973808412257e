"""Vectors of texts seen lately: in this process always, in Redis where there is one. Never needed, only quicker."""

import hashlib
import struct
from collections import OrderedDict
from collections.abc import Sequence
from time import monotonic
from typing import TYPE_CHECKING

import structlog

from context_embedding import metrics
from context_embedding.model import Embedding

if TYPE_CHECKING:
    from redis.asyncio import Redis

PATIENCE = 0.05  # seconds; computing a vector takes hardly longer
PAUSE = 5.0  # seconds for which a Redis that failed is not asked again
HEAD = struct.Struct("<i?")  # token count, truncated; the vector follows

log = structlog.get_logger()


class Cache:
    """Keeps the last `size` embeddings here, and all of them for `seconds` in the Redis at `url`."""

    def __init__(self, size: int, url: str = "", seconds: int = 86_400) -> None:
        self._size, self._seconds = size, seconds
        self._here: OrderedDict[bytes, Embedding] = OrderedDict()
        self._redis = _connect(url) if url else None
        self._rest_until = 0.0

    async def get(self, model_id: str, texts: Sequence[str]) -> list[Embedding | None]:
        """What is known of each text."""
        keys = [_key(model_id, text) for text in texts]
        found = [self._look(key) for key in keys]
        missing = [at for at, hit in enumerate(found) if hit is None]
        if missing:
            for at, packed in zip(missing, await self._read([keys[at] for at in missing]), strict=True):
                if packed and len(packed) > HEAD.size:
                    found[at] = _unpack(packed)
                    self._keep(keys[at], _unpack(packed))
                    metrics.CACHE.labels("redis").inc()
        metrics.CACHE.labels("process").inc(len(texts) - len(missing))
        metrics.CACHE.labels("miss").inc(found.count(None))
        return found

    async def put(self, model_id: str, texts: Sequence[str], embeddings: Sequence[Embedding]) -> None:
        """Remember the embeddings of `texts`."""
        keyed = [(_key(model_id, text), one) for text, one in zip(texts, embeddings, strict=True)]
        for key, one in keyed:
            self._keep(key, one)
        if not self._redis or monotonic() < self._rest_until:
            return
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for key, one in keyed:
                    pipeline.set(key, HEAD.pack(one.token_count, one.truncated) + one.vector, ex=self._seconds)
                await pipeline.execute()
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, it is only a cache
            self._rest(error)

    async def aclose(self) -> None:
        """Close the connection to Redis."""
        if self._redis:
            await self._redis.aclose()

    def _look(self, key: bytes) -> Embedding | None:
        hit = self._here.get(key)
        if hit:
            self._here.move_to_end(key)
        return hit

    def _keep(self, key: bytes, one: Embedding) -> None:
        self._here[key] = one
        self._here.move_to_end(key)
        while len(self._here) > self._size:
            self._here.popitem(last=False)

    async def _read(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        nothing: list[bytes | None] = [None] * len(keys)
        if not self._redis or monotonic() < self._rest_until:
            return nothing
        try:
            values = await self._redis.mget(keys)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, it is only a cache
            self._rest(error)
            return nothing
        return [value if isinstance(value, bytes) else None for value in values]

    def _rest(self, error: Exception) -> None:
        self._rest_until = monotonic() + PAUSE
        log.warning("cache_away", reason=repr(error))


def _connect(url: str) -> "Redis":
    from redis.asyncio import Redis  # costs 0.1 s, which only those pay who use it

    return Redis.from_url(url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, health_check_interval=30)


def _key(model_id: str, text: str) -> bytes:
    return b"embedding:" + hashlib.sha256(f"{model_id}\0{text}".encode()).hexdigest().encode()


def _unpack(packed: bytes) -> Embedding:
    count, truncated = HEAD.unpack_from(packed)
    return Embedding(packed[HEAD.size :], count, truncated)
