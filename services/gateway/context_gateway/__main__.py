"""Wires the gateway together and serves it until SIGTERM or SIGINT."""

from context_common.signals import exit_on_sigterm

if __name__ == "__main__":
    exit_on_sigterm()  # before the imports, which take a while

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import structlog
import uvicorn
import uvloop
from fastapi import FastAPI
from starlette.types import ASGIApp

from context_common.settings import SettingsError
from context_common.telemetry import vitals
from context_common.telemetry.start import telemetry
from context_gateway.app import create_app
from context_gateway.clients import open_clients
from context_gateway.exchange import STREAMS
from context_gateway.middleware import refuse_connection
from context_gateway.protocol import protocol
from context_gateway.rates import open_limiter
from context_gateway.settings import Settings

GRACE = 10  # seconds that requests under way may still take after SIGTERM
CLOSE = (b"connection", b"close")
BACKLOG = 512  # connections that wait to be accepted

log = structlog.get_logger()


async def main() -> None:
    """One gateway process."""
    settings = Settings.from_env(os.environ)
    async with telemetry(settings.process):
        if not settings.auth_required:
            log.warning("development_mode", reason="this machine needs no credential", host=settings.host)
        if settings.public_certificate:
            vitals.show_certificate("public", settings.public_certificate)
        await serve(settings)


async def serve(settings: Settings) -> None:
    """Serve until told to stop."""
    async with open_clients(settings) as clients, open_limiter(settings.limits) as limiter:
        app = create_app(clients, settings, limiter)
        async with app.state.gate.denials:
            vitals.started("ready")
            log.info("listening", host=settings.host, port=settings.port)
            await Server(app, settings).serve()
    log.info("stopped")


class Server(uvicorn.Server):
    """uvicorn, which at its end would raise the signal again and so die of it instead of closing what is open."""

    def __init__(self, app: FastAPI, settings: Settings) -> None:
        super().__init__(server_config(app, settings))
        self._state, self._seconds = app.state, settings.process.drain

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Drain on SIGTERM and SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self.drain, number)
        yield

    def drain(self, number: int) -> None:
        """Be not ready at once, send callers elsewhere after their next answer, and close a while later."""
        if getattr(self._state, "draining", False) or not self._seconds:
            self.handle_exit(number, None)
            return
        log.info("draining", seconds=self._seconds)
        self._state.draining = True
        # The first is what the second is made from, once a second.
        self.config.encoded_headers = [*self.config.encoded_headers, CLOSE]
        self.server_state.default_headers = [*self.server_state.default_headers, CLOSE]
        asyncio.get_running_loop().call_later(self._seconds, self.handle_exit, number, None)


def server_config(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    """How uvicorn serves `app`: one process, no log of its own, no word about itself."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=cast("Any", protocol(settings.limits, frozenset(STREAMS), refuse_connection)),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        reset_contextvars=True,
        backlog=BACKLOG,
        timeout_keep_alive=cast("int", settings.limits.keep_alive_seconds),
        timeout_graceful_shutdown=GRACE,
    )


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.exit("usage: python -m context_gateway")
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
    except SettingsError as error:
        sys.exit(f"context-gateway: {error}")
