"""A proxy for each pair of processes, so that the network between any two can fail: `python -m tests.chaos.links`.

It is a process of its own, since what it carries must not wait for the load generator. It reads `name mode` lines.
"""

import asyncio
import contextlib
import socket
import struct
import sys
from dataclasses import dataclass, field

import uvloop

PASS, REFUSE, BLACKHOLE, RESET, DELAY = "pass", "refuse", "blackhole", "reset", "delay"
FAULTS = (REFUSE, BLACKHOLE, RESET, DELAY)
DELAYED = 0.4  # seconds that each chunk waits under DELAY
RESET_EVERY = 0.3  # seconds
CHUNK = 65536
AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: close by RST

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Route:
    """Where a link listens on loopback and where it leads: `host:port`, or the path of a socket."""

    name: str
    port: int
    target: str

    @classmethod
    def parse(cls, text: str) -> "Route":
        """The route that `str(route)` wrote."""
        name, port, target = text.split("=", 2)
        return cls(name, int(port), target)

    def __str__(self) -> str:
        return f"{self.name}={self.port}={self.target}"


@dataclass
class Link:
    """One route and what is wrong with it just now."""

    route: Route
    mode: str = PASS
    open: set[asyncio.StreamWriter] = field(default_factory=set)
    flowing: asyncio.Event = field(default_factory=asyncio.Event)
    server: asyncio.Server | None = None
    resetting: asyncio.Task[None] | None = None

    async def set(self, mode: str) -> None:
        """Break the link in the way that `mode` says, or mend it with PASS."""
        self.mode = mode
        if self.resetting:
            self.resetting.cancel()
            self.resetting = None
        if mode == REFUSE:
            await self._stop_listening()
            self._reset_all()
        elif self.server is None:
            self.server = await asyncio.start_server(self._carry, "127.0.0.1", self.route.port, backlog=512)
        if mode == RESET:
            self.resetting = asyncio.create_task(self._keep_resetting())
        if mode == BLACKHOLE:
            self.flowing.clear()
        else:
            self.flowing.set()

    async def _stop_listening(self) -> None:
        if self.server:
            self.server.close()
            self.server = None

    async def _keep_resetting(self) -> None:
        while True:
            self._reset_all()
            await asyncio.sleep(RESET_EVERY)

    def _reset_all(self) -> None:
        for writer in list(self.open):
            end: socket.socket = writer.get_extra_info("socket")
            if end.family != socket.AF_UNIX:
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open.add(writer)
        far: asyncio.StreamWriter | None = None
        try:
            await self.flowing.wait()
            far_reader, far = await self._connect()
            self.open.add(far)
            pumps = [asyncio.create_task(self._pump(*ends)) for ends in ((reader, far), (far_reader, writer))]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
        except OSError:
            pass  # the far end is away: so is this connection
        finally:
            for end in (writer, far):
                if end:
                    self.open.discard(end)
                    end.transport.abort() if end.transport.is_closing() else end.close()

    async def _connect(self) -> Streams:
        if self.route.target.startswith("/"):
            return await asyncio.open_unix_connection(self.route.target)
        host, _, port = self.route.target.rpartition(":")
        return await asyncio.open_connection(host, int(port))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(CHUNK):
                if self.mode == DELAY:
                    await asyncio.sleep(DELAYED)
                await self.flowing.wait()
                writer.write(chunk)
                await writer.drain()


async def main(routes: list[Route]) -> None:
    """Carry what comes until standard input ends; each line of it is answered by `done`."""
    links = {route.name: Link(route) for route in routes}
    for link in links.values():
        await link.set(PASS)
    print("done", flush=True)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        name, mode = line.decode().split()
        await links[name].set(mode)
        print("done", flush=True)


if __name__ == "__main__":
    uvloop.run(main([Route.parse(text) for text in sys.argv[1:]]))
