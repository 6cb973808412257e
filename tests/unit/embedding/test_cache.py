"""The cache: what it gives back, what it forgets, and that a Redis which is away or strange is only slower."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress

from context_embedding.cache import Cache
from context_embedding.model import Embedding

ONE = Embedding(struct.pack("<2f", 0.6, 0.8), 7, truncated=True)
OTHER = Embedding(struct.pack("<2f", 1.0, 0.0), 3, truncated=False)


class Redis:
    """A server that speaks enough of Redis' protocol to set and get."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.expiries: list[bytes] = []
        self.asked = 0
        self._open: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                count = int((await reader.readuntil(b"\r\n"))[1:])
                words = [await self._word(reader) for _ in range(count)]
                writer.write(self._answer(words))
                await writer.drain()
        self._open.discard(writer)
        writer.close()

    async def hang_up(self) -> None:
        for writer in set(self._open):
            writer.close()
        while self._open:
            await asyncio.sleep(0)

    async def _word(self, reader: asyncio.StreamReader) -> bytes:
        size = int((await reader.readuntil(b"\r\n"))[1:])
        return (await reader.readexactly(size + 2))[:-2]

    def _answer(self, words: list[bytes]) -> bytes:
        match words[0].upper():
            case b"HELLO":
                return b"%1\r\n$5\r\nproto\r\n:3\r\n"
            case b"SET":
                self.values[words[1]] = words[2]
                self.expiries.append(words[4])
                return b"+OK\r\n"
            case b"MGET":
                self.asked += 1
                found = [self.values.get(key) for key in words[1:]]
                bulk = (b"_\r\n" if one is None else b"$%d\r\n%s\r\n" % (len(one), one) for one in found)
                return b"*%d\r\n" % len(found) + b"".join(bulk)
            case b"PING":
                return b"+PONG\r\n"
            case _:
                return b"+OK\r\n"


@asynccontextmanager
async def serving(redis: Redis, port: int = 0) -> AsyncIterator[int]:
    server = await asyncio.start_server(redis.serve, "127.0.0.1", port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        await redis.hang_up()
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def cached(port: int, size: int = 10) -> AsyncIterator[Cache]:
    async with aclosing(Cache(size, f"redis://127.0.0.1:{port}", seconds=60)) as cache:
        yield cache


async def test_it_gives_back_what_it_was_given_for_the_same_model_and_text() -> None:
    cache = Cache(10)
    await cache.put("a", ["one", "two"], [ONE, OTHER])
    assert await cache.get("a", ["two", "three", "one"]) == [OTHER, None, ONE]
    assert await cache.get("b", ["one"]) == [None]


async def test_it_forgets_what_was_used_longest_ago() -> None:
    cache = Cache(2)
    await cache.put("a", ["one", "two"], [ONE, OTHER])
    await cache.get("a", ["one"])
    await cache.put("a", ["three"], [OTHER])
    assert await cache.get("a", ["one", "two", "three"]) == [ONE, None, OTHER]


async def test_what_one_process_embedded_another_finds_in_redis() -> None:
    redis = Redis()
    async with serving(redis) as port, cached(port) as first, cached(port) as second:
        await first.put("a", ["one"], [ONE])
        assert await second.get("a", ["none", "one"]) == [None, ONE]
        assert await second.get("a", ["one"]) == [ONE]
    assert redis.asked == 1  # the second time it came from the process
    assert redis.expiries == [b"60"]
    assert [ONE.vector in value for value in redis.values.values()] == [True]


async def test_a_redis_that_is_away_is_a_miss() -> None:
    async with serving(Redis()) as port:
        pass
    async with cached(port) as cache:
        assert await cache.get("a", ["one"]) == [None]
        await cache.put("a", ["one"], [ONE])
        assert await cache.get("a", ["one"]) == [ONE]


async def test_a_redis_that_comes_back_is_asked_again() -> None:
    redis = Redis()
    async with serving(redis) as port, cached(port, size=0) as cache:
        await cache.put("a", ["one"], [ONE])
    async with cached(port, size=0) as cache:
        assert await cache.get("a", ["one"]) == [None]
        cache._rest_until = 0
        async with serving(redis, port):
            assert await cache.get("a", ["one"]) == [ONE]
            await cache.aclose()


async def test_a_value_that_is_not_ours_is_a_miss() -> None:
    redis = Redis()
    async with serving(redis) as port, cached(port, size=0) as cache:
        await cache.put("a", ["one"], [ONE])
        redis.values = dict.fromkeys(redis.values, b"abc")
        assert await cache.get("a", ["one"]) == [None]
