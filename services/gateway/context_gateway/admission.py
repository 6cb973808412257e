"""Who is let in, and how many: their credential, their rate, a place among the requests under way, and their time."""

import asyncio
from collections.abc import Collection
from functools import partial

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from context_common import caller, deadline, topic
from context_common.errors import TooLate, Unauthenticated
from context_gateway.address import network_of
from context_gateway.exchange import STREAMS, Exchange, check_length, check_query, whole
from context_gateway.identity import Gate, Identity
from context_gateway.lanes import Party, Streams, lanes
from context_gateway.rates import Limiter, TooMany
from context_gateway.settings import Settings
from context_gateway.web import check_origin

UNCOUNTED = ("GET /health", "GET /livez", "GET /readyz")  # probes


class Admission:
    """Gives `app` the requests that may be served now."""

    def __init__(self, app: ASGIApp, settings: Settings, gate: Gate, limiter: Limiter) -> None:
        self._app, self._gate, self._limiter = app, gate, limiter
        self._seconds = settings.request_timeout
        self._origins: Collection[str] = settings.cors_origins
        self._lanes = lanes(settings.limits)
        self._streams = Streams(settings.limits.queue_seconds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or say why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange: Exchange = scope["state"]["exchange"]
        try:
            check_query(scope["query_string"])
            check_length(exchange)
            check_origin(scope["method"], exchange.headers, self._origins)
            who = await self._identify(exchange)
            await self._count(exchange, who)
            await self._serve(who, scope, receive, send)
        except Exception as error:  # noqa: BLE001 - a page that may call may also read why it was refused
            self._gate.denials.note(scope, exchange.address, error)
            await exchange.fail(error, send)

    async def _identify(self, exchange: Exchange) -> Identity:
        scope = exchange.scope
        try:
            who = await self._gate.identify(scope, exchange.request_id, exchange.address)
        except Unauthenticated as error:
            standing = await self._limiter.failed(exchange.address)
            if standing and standing.over:
                raise TooMany(standing) from error
            raise
        scope["state"]["identity"] = who
        structlog.contextvars.bind_contextvars(namespace=who.caller.namespace, user_id=who.caller.principal)
        caller.bind(who.caller)
        if who.operation.topic:
            topic.bind(who.operation.topic)
        return who

    async def _count(self, exchange: Exchange, who: Identity) -> None:
        """Hold the caller to their rate, by address where there is no credential."""
        if who.operation.name in UNCOUNTED:
            return
        counted_as = who.shown or network_of(exchange.address)
        exchange.scope["state"]["charge"] = partial(self._limiter.count, "bulk", counted_as)
        standing = await self._limiter.count(who.operation.rate, counted_as)
        if standing:
            exchange.said.update(standing.headers())
            if standing.over:
                raise TooMany(standing)

    async def _serve(self, who: Identity, scope: Scope, receive: Receive, send: Send) -> None:
        exchange: Exchange = scope["state"]["exchange"]
        operation, lane = who.operation, self._lanes[who.operation.lane or who.operation.rate]
        if scope["path"] in STREAMS:
            async with self._streams.place(who.caller.principal), lane.place(operation.name):
                await self._app(scope, receive, send)
            return
        try:
            # A body that comes slowly takes nobody's place meanwhile.
            async with asyncio.timeout(self._seconds):
                receive = await whole(scope, receive)
            async with lane.place(operation.name, Party(who.shown, network_of(exchange.address))):
                deadline.bind(self._seconds)
                async with asyncio.timeout(self._seconds):
                    await self._app(scope, receive, send)
        except TimeoutError as error:
            raise TooLate from error
