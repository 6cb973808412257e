"""What happens around every request: its id, the name it is addressed to, headers, metrics and log line."""

import asyncio
from collections.abc import Mapping
from time import perf_counter

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from context_common import tracing
from context_gateway import metrics
from context_gateway.address import client_address
from context_gateway.exchange import Exchange
from context_gateway.lanes import Busy
from context_gateway.limits import Limits
from context_gateway.web import HEADERS, check_host

CALLER_LEFT = 499  # as nginx logs it; nobody sees it
SERVER_ERROR = 500
# Asked for every few seconds: neither traced nor, at `info`, logged.
PROBES = frozenset({"/health", "/livez", "/readyz", "/metrics"})

log = structlog.get_logger()


class RequestMiddleware:
    """Gives each request to `app`, and answers for whatever `app` raises.

    Args:
        app: What is around.
        limits: Whose word is taken for an address, and which names are ours.
        said: What every answer says.
        logged: Whether every request has a log line.
    """

    def __init__(self, app: ASGIApp, limits: Limits, said: Mapping[str, str], *, logged: bool = True) -> None:
        self._app, self._limits, self._said, self._logged = app, limits, said, logged

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = perf_counter()
        if scope["method"] == "HEAD":  # a GET whose body the server keeps to itself: it looks at the scope that it made
            scope = {**scope, "method": "GET"}
        exchange = Exchange(scope, receive, send, self._said)
        with _span(exchange) as span:
            try:
                await self._serve(exchange)
            finally:
                self._record(exchange, span, perf_counter() - start)

    async def _serve(self, exchange: Exchange) -> None:
        scope = exchange.scope
        try:
            peer = scope.get("client")
            exchange.address = client_address(peer[0] if peer else "", exchange.headers, self._limits.trusted_proxies)
            check_host(exchange.headers, self._limits.allowed_hosts, scope.get("server"))
            await self._app(scope, exchange.receive, exchange.send)
        except asyncio.CancelledError:
            if not exchange.left:
                raise
            exchange.status = CALLER_LEFT
            exchange.task.uncancel()
        except Exception as error:  # noqa: BLE001 - the border: whatever it is, the caller gets a problem
            await exchange.fail(error)
        finally:
            exchange.close()

    def _record(self, exchange: Exchange, span: tracing.Span, seconds: float) -> None:
        scope, status = exchange.scope, exchange.status
        route = getattr(scope.get("route"), "path", "")
        metrics.observe(scope["method"], route, status, seconds)
        span.rename(f"{metrics.method(scope['method'])} {route}".strip())
        span.set("http.route", route)
        span.set("http.response.status_code", status)
        if status >= SERVER_ERROR:
            span.fail(str(status))
        if self._logged:
            write = log.debug if scope["path"] in PROBES else log.info
            ms = round(seconds * 1000, 2)
            write("request", method=scope["method"], route=route, path=scope["path"], status=status, ms=ms)


async def refuse_connection(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer the requests of a connection for which there is no room."""
    metrics.SHED.labels("connections").inc()
    exchange = Exchange(scope, receive, send, {**HEADERS, "Connection": "close"})
    try:
        await exchange.fail(Busy("too many connections"))
    finally:
        exchange.close()


def _span(exchange: Exchange) -> tracing.Span:
    scope = exchange.scope
    if scope["path"] in PROBES:
        return tracing.NOTHING
    method = metrics.method(scope["method"])
    return tracing.begin(method, exchange.headers, {"http.request.method": method})
