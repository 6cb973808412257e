"""One request and what becomes of it: its id, its address, how much of its body may come, and its one answer."""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

import structlog
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from context_gateway import identity, problems
from context_gateway.problems import Refused

MIB = 1024 * 1024
LARGEST_BODY = MIB
STREAMS = {"/api/bulk": 64 * MIB}  # bodies that are streamed: their size limit; time does not limit them
WATCH_AFTER = 0.05  # seconds; what is answered sooner need not know that its caller left

log = structlog.get_logger()


class Exchange:
    """One request and what has become of it so far.

    Attributes:
        said: The headers that its answer has; what the answer sets itself goes before them.
        address: Where it comes from; empty until that is found out.
        left: Whether its caller gave up.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, said: Mapping[str, str]) -> None:
        self.scope, self._receive, self._send = scope, receive, send
        self.headers = Headers(scope=scope)
        self.request_id = identity.request_id(self.headers)
        self.said = {**said, "X-Request-Id": self.request_id}
        self.address = ""
        self.limit = STREAMS.get(scope["path"], LARGEST_BODY)
        self.status = 500
        self.left = False
        self.task: asyncio.Task[Any] = asyncio.current_task()  # type: ignore[assignment]  # a request is a task
        self._read = 0
        self._started = self._done = False
        self._timer: asyncio.TimerHandle | None = None
        self._watcher: asyncio.Task[None] | None = None
        state = scope.setdefault("state", {})
        state["request_id"], state["exchange"] = self.request_id, self
        structlog.contextvars.bind_contextvars(request_id=self.request_id)
        if scope["method"] == "GET":
            self._watch_soon()

    async def receive(self) -> Message:
        """The next part of the body; refuses the one that passes the limit."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._read += len(message.get("body", b""))
            if self._read > self.limit:
                raise too_large(self.limit)
            if not message.get("more_body", False):
                self._watch_soon()
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the answer, with the headers that every answer has."""
        if message["type"] == "http.response.start":
            self._started, self.status = True, message["status"]
            headers = list(message["headers"])
            own = {name for name, _ in headers}
            for name, value in self.said.items():
                raw = name.lower().encode()
                if raw not in own:
                    headers.append((raw, value.encode("latin-1")))
            message = {**message, "headers": headers}
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            self._done = True
        await self._send(message)

    async def fail(self, error: Exception, send: Send | None = None) -> None:
        """Answer with the problem that `error` is, unless an answer is on its way already."""
        if self._started:
            log.error("answer_broken_off", exc_info=error)
            raise error
        response = problems.respond(error, self.request_id, reading=self.scope["method"] == "GET")
        await response(self.scope, self.receive, send or self.send)

    def close(self) -> None:
        """Stop watching the caller."""
        if self._timer:
            self._timer.cancel()
        if self._watcher:
            self._watcher.cancel()

    def _watch_soon(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(WATCH_AFTER, self._watch)

    def _watch(self) -> None:
        self._watcher = asyncio.create_task(self._wait_for_leaving())

    async def _wait_for_leaving(self) -> None:
        """Stop the work when nobody waits for it any more. The body was read, so nothing else can come in."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if not self._done:
            self.left = True
            self.task.cancel()


async def whole(scope: Scope, receive: Receive) -> Receive:
    """What gives the body that `receive` gives, all of which has come."""
    if not {b"content-length", b"transfer-encoding"}.intersection(name for name, _ in scope["headers"]):
        return receive
    body = bytearray()
    while (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body", False):
            message = {"type": "http.request", "body": bytes(body), "more_body": False}
            break
    kept: list[Message] = [message]

    async def again() -> Message:
        return kept.pop() if kept else await receive()

    return again


def too_large(limit: int) -> Refused:
    """The refusal of a body, or a line, of more than `limit` bytes."""
    return Refused(413, detail=f"the limit is {limit // MIB} MiB")


def check_length(exchange: Exchange) -> None:
    """Refuse a body that announces itself as too large before any of it is read."""
    declared = exchange.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > exchange.limit:
        raise too_large(exchange.limit)


def check_query(query: bytes) -> None:
    """Refuse a query that is not UTF-8, which would otherwise be mended silently."""
    if b"%" in query or not query.isascii():
        try:
            unquote_to_bytes(query).decode()
        except UnicodeDecodeError as error:
            raise Refused(400, detail="the query string is not UTF-8") from error
        if not query.isascii():
            raise Refused(400, detail="the query string must be percent-encoded")
