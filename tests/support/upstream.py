"""A small HTTP server behind a proxy: remembers what reached it and answers as the path says."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

# What the gateway says of itself, and nginx must not say a second time.
GATEWAYS_OWN = {
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Request-Id": "its-own",
}


@dataclass(frozen=True)
class Seen:
    """One request that came through."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass
class Upstream:
    """Listens on `host`; port 0 takes a free one."""

    host: str = "127.0.0.1"
    port: int = 0
    seen: list[Seen] = field(default_factory=list)

    def __enter__(self) -> Self:
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer()

            def do_POST(self) -> None:
                self._answer()

            def _answer(self) -> None:
                upstream.seen.append(Seen(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
                if self.path.startswith("/api/bulk"):
                    self._echo()
                    return
                self.rfile.read(int(self.headers.get("content-length", 0)))
                status = int(self.path.rpartition("/status/")[2]) if "/status/" in self.path else 200
                self.send_response(status)
                self._say_own()
                if status == 429:
                    self.send_header("Retry-After", "17")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def _say_own(self) -> None:
                for name, value in GATEWAYS_OWN.items():
                    self.send_header(name, value)

            def _echo(self) -> None:
                """Send each part back as soon as it is there, as the bulk route does with lines."""
                self.send_response(200)
                self._say_own()
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for part in self._parts():
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
                    self.wfile.flush()
                self.wfile.write(b"0\r\n\r\n")

            def _parts(self) -> Iterable[bytes]:
                if "transfer-encoding" not in self.headers:
                    body = self.rfile.read(int(self.headers.get("content-length", 0)))
                    return [b"%d" % len(body)]
                return map(self._chunk, iter(lambda: int(self.rfile.readline(), 16), 0))

            def _chunk(self, size: int) -> bytes:
                data = self.rfile.read(size)
                self.rfile.readline()
                return data

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer((self.host, self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
