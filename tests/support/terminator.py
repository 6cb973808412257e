"""TLS before a Postgres that was built without it, as a pooler in front of a database does it."""

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SSL_REQUEST = bytes.fromhex("0000000804d2162f")


class Terminator:
    """Listens on loopback; who does not ask for TLS is sent away."""

    def __init__(self, certificate: Path, key: Path, server: Path) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self._server, self.port = server, 0
        self._loop = asyncio.new_event_loop()

    @contextmanager
    def running(self) -> Iterator[int]:
        """Its port, for the block."""
        thread = threading.Thread(target=self._loop.run_forever)
        thread.start()
        listening = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, ["127.0.0.1"], 0), self._loop
        ).result(10)
        try:
            yield listening.sockets[0].getsockname()[1]
        finally:
            asyncio.run_coroutine_threadsafe(self._end(listening), self._loop).result(10)
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join(10)
            self._loop.close()

    async def _end(self, listening: asyncio.Server) -> None:
        listening.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            if await reader.readexactly(len(SSL_REQUEST)) == SSL_REQUEST:
                writer.write(b"S")
                await writer.drain()
                await writer.start_tls(self._context)
                behind, beyond = await asyncio.open_unix_connection(self._server)
                await asyncio.wait(
                    [asyncio.create_task(_pass(reader, beyond)), asyncio.create_task(_pass(behind, writer))],
                    return_when=asyncio.FIRST_COMPLETED,
                )
                beyond.close()
        writer.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
