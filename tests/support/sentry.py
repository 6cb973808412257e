"""A Sentry on this machine: it takes envelopes over HTTP and keeps the events in them."""

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "0123456789abcdef0123456789abcdef"


@dataclass
class Sentry:
    """What arrived: events, and everything as it came."""

    port: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)
    items: list[str] = field(default_factory=list)  # what kinds of things came
    raw: bytes = b""

    @property
    def dsn(self) -> str:
        """What the setting holds."""
        return f"http://{KEY}@127.0.0.1:{self.port}/1"

    def of(self, service: str) -> list[dict[str, Any]]:
        """The events of one service."""
        return [event for event in self.events if event["tags"]["service"] == service]

    def take(self, body: bytes) -> None:
        """Keep one envelope: a header, then pairs of an item's header and the item."""
        self.raw += body
        lines = body.splitlines()
        for head, item in zip(lines[1::2], lines[2::2], strict=True):
            self.items.append(json.loads(head)["type"])
            if self.items[-1] == "event":
                self.events.append(json.loads(item))


@contextmanager
def taking_reports() -> Iterator[Sentry]:
    """A Sentry for the length of the block."""
    sentry = Sentry()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            sentry.take(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in the base class
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    sentry.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield sentry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
