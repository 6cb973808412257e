"""A small TCP balancer that looks at /readyz, as the one in front of real gateways does."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiohttp

from context_local.health import LOOPBACK, free_ports

LOOK_EVERY = 0.2  # seconds
PATIENCE = 2.0  # seconds for one look
CHUNK = 65536


class Balancer:
    """Gives each new connection to a gateway that was ready when it last looked; open ones it leaves alone."""

    def __init__(self, urls: Sequence[str], port: int) -> None:
        self._ready = dict.fromkeys(urls, False)
        self._turn = 0
        self.url = f"http://{LOOPBACK}:{port}"

    async def watch(self) -> None:
        """Look at every gateway, for ever."""
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                found = await asyncio.gather(*(self._look(session, url) for url in self._ready))
                self._ready = dict(zip(self._ready, found, strict=True))
                await asyncio.sleep(LOOK_EVERY)

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection; it is closed where no gateway is ready."""
        ready = [url for url, well in self._ready.items() if well]
        far: asyncio.StreamWriter | None = None
        try:
            if ready:
                self._turn += 1
                chosen = urlsplit(ready[self._turn % len(ready)])
                far_reader, far = await asyncio.open_connection(chosen.hostname, chosen.port)
                await asyncio.gather(_pump(reader, far), _pump(far_reader, writer))
        except OSError:
            pass  # it became away after the last look: so is this connection
        finally:
            for end in (writer, far):
                if end:
                    end.close()

    @staticmethod
    async def _look(session: aiohttp.ClientSession, url: str) -> bool:
        try:
            async with session.get(f"{url}/readyz") as answer:
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False


@asynccontextmanager
async def balancing(urls: Sequence[str]) -> AsyncIterator[str]:
    """The address of a balancer over the gateways at `urls`, for the block."""
    (port,) = free_ports(1)
    balancer = Balancer(urls, port)
    watching = asyncio.create_task(balancer.watch())
    server = await asyncio.start_server(balancer.carry, LOOPBACK, port)
    await asyncio.sleep(2 * LOOK_EVERY)
    try:
        yield balancer.url
    finally:
        server.close()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes, and the end of it."""
    with contextlib.suppress(OSError):
        while chunk := await reader.read(CHUNK):
            writer.write(chunk)
            await writer.drain()
        writer.write_eof()
