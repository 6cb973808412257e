"""uvicorn's HTTP protocol with an end to everything that a client could make it wait for or keep in memory.

uvicorn limits neither the size of a request's head, nor the time in which it comes, nor how slowly a body may drip.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Any, cast

from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from context_gateway import metrics
from context_gateway.limits import Limits
from context_gateway.web import HEADERS

LONGEST_TARGET = 8 * 1024  # bytes of a request line's path and query
MOST_HEADERS = 100
LARGEST_HEAD = 64 * 1024  # bytes
OVERHEAD = 256 * 1024  # bytes of a body's framing that are always allowed, and so many times its content beside:
FRAMING = 8
LEAST_BODY = 1024  # bytes that must come in each `body_seconds`, or the rest
STREAM_SECONDS = 60.0  # in which a stream's next bytes must come
MOST_PIPELINED = 16
LINGER = 2.0  # seconds in which what is left of an answered request may still come, so that the answer arrives
SETTLED = 1.0  # seconds that a connection without a request is safe from making room for another
REASONS = {
    400: "This is not HTTP as this server speaks it.",
    408: "The request did not come in time.",
    414: "The address is too long.",
    431: "The headers are too large.",
}


class Protocol(HttpToolsProtocol):
    """One connection.

    Args:
        limits: Times and number of connections.
        streams: Paths whose bodies may pause.
        busy: Answers instead of the application where there are too many connections.
    """

    def __init__(self, limits: Limits, streams: frozenset[str], busy: ASGIApp, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self._limits, self._streams, self._busy = limits, streams, busy
        self._in_head = self._incomplete = False  # within a request's head; within it or its body
        self._raw = self._body = self._checked = 0  # bytes of this request, of its body, and of that at the last look
        self._header_count = self._head_bytes = 0
        self._refusal = 400
        self._since = monotonic()  # without a request
        self._timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Take it, if need be in the place of one that idles."""
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections and not self._make_room():
            self.app = cast("Any", self._busy)
        self._timer = self.loop.call_later(self._limits.header_seconds, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._stop_timer()
        self._stop_write_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take in what came, and mind the time if more must come."""
        super().data_received(data)
        if not self._incomplete:
            return
        self._raw += len(data)
        if self._in_head and self._raw > LARGEST_HEAD:
            self._refuse(431)
        elif self._raw - self._body > OVERHEAD + FRAMING * self._body:
            self._refuse(400)
        elif self._timer is None and not self.transport.is_closing():
            self._wait_for_more()

    def on_message_begin(self) -> None:
        """A request begins."""
        if len(self.pipeline) >= MOST_PIPELINED:
            raise ValueError("too many requests at once")
        super().on_message_begin()
        self._stop_timer()
        self._in_head = self._incomplete = True
        self._raw = self._body = self._checked = self._header_count = self._head_bytes = 0

    def on_url(self, url: bytes) -> None:
        """A part of its address."""
        super().on_url(url)
        if len(self.url) > LONGEST_TARGET:
            self._refusal = 414
            raise ValueError(REASONS[414])

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header. Those after a body are dropped: the request was let in by those before it."""
        if not self._in_head:
            return
        self._header_count += 1
        self._head_bytes += len(name) + len(value)  # of those that are whole: they may all come at once
        if self._header_count > MOST_HEADERS or self._head_bytes > LARGEST_HEAD:
            self._refusal = 431
            raise ValueError(REASONS[431])
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The application begins."""
        self._in_head = False
        self._stop_timer()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """All of it is here."""
        self._incomplete = False
        self._stop_timer()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """It is answered. What is left of its body is not waited for long."""
        self._since = monotonic()
        super().on_response_complete()
        if self._incomplete and not self._in_head and not self.transport.is_closing():
            self._stop_timer()
            self._timer = self.loop.call_later(LINGER, self._cut_off, "unread")

    def pause_writing(self) -> None:
        """The client reads more slowly than it is answered. It must not go on like that for ever."""
        super().pause_writing()
        self._abort_later()

    def resume_writing(self) -> None:
        """It has caught up."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._stop_write_timer()

    def timeout_keep_alive_handler(self) -> None:
        """No other request came."""
        self._close()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn answers to what it cannot read; `msg` is its own wording."""
        self._refuse(self._refusal)

    def _make_room(self) -> bool:
        """Close the connection that has been without a request for longest, if any was for a while."""
        idle = (one for one in self.connections if isinstance(one, Protocol) and one is not self and one.idle)
        oldest = min(idle, key=lambda one: one._since, default=None)  # noqa: SLF001 - of this class
        if oldest is None or monotonic() - oldest._since < SETTLED:  # noqa: SLF001
            return False
        oldest._cut_off("idle")  # noqa: SLF001
        return True

    @property
    def idle(self) -> bool:
        """Whether no request of it is being worked on."""
        return (self.cycle is None or self.cycle.response_complete) and not self.transport.is_closing()

    def _wait_for_more(self) -> None:
        if self._in_head:
            self._timer = self.loop.call_later(self._limits.header_seconds, self._head_is_late)
        else:
            self._checked = self._body
            streaming = self.scope["path"] in self._streams
            seconds = STREAM_SECONDS if streaming else self._limits.body_seconds
            self._timer = self.loop.call_later(seconds, self._look_at_body, 1 if streaming else LEAST_BODY)

    def _head_is_late(self) -> None:
        if self._incomplete:
            self._refuse(408)
        else:
            self._cut_off("idle")

    def _look_at_body(self, least: int) -> None:
        # Where reading is paused, or not asked for yet, it is not the client that is slow.
        ours = self.flow.read_paused or self.cycle.waiting_for_100_continue
        if ours or self._body - self._checked >= least:
            self._wait_for_more()
        else:
            self._refuse(408)

    def _refuse(self, status: int) -> None:
        """Say why, unless an answer is under way, and close."""
        answering = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        if not answering and not self.transport.is_closing():
            said = REASONS[status].encode()
            fixed = {**HEADERS, "Content-Type": "text/plain; charset=utf-8", "Connection": "close"}
            lines = [f"{name}: {value}\r\n".encode() for name, value in fixed.items()]
            length = b"Content-Length: %d\r\n\r\n" % len(said)
            self.transport.write(b"".join([STATUS_LINE[status], *lines, length, said]))
        self._cut_off(str(status))

    def _cut_off(self, reason: str) -> None:
        metrics.CUT_OFF.labels(reason).inc()
        self._close()

    def _close(self) -> None:
        """Close it when all is sent, or without that where the client does not read."""
        self._stop_timer()
        self.transport.close()
        self._abort_later()

    def _abort_later(self) -> None:
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(self._limits.drain_seconds, self._abort)

    def _abort(self) -> None:
        metrics.CUT_OFF.labels("slow_reader").inc()
        self.transport.abort()

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _stop_write_timer(self) -> None:
        if self._write_timer:
            self._write_timer.cancel()
            self._write_timer = None


def protocol(limits: Limits, streams: frozenset[str], busy: ASGIApp) -> Callable[..., asyncio.Protocol]:
    """What makes a Protocol for each connection, as uvicorn calls it."""
    return partial(Protocol, limits, streams, busy)
