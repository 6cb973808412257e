"""A client of the gateway that costs next to nothing, since it shares the cores with what it measures."""

import json
import socket
from typing import Any, Self
from urllib.parse import urlsplit


class Connection:
    """One kept-alive connection, used by one thread at a time."""

    def __init__(self, url: str) -> None:
        at = urlsplit(url)
        self._host = at.netloc
        self._socket = socket.create_connection((at.hostname, at.port or 80), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._lines = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self._socket.close()

    def post(self, path: str, body: dict[str, Any]) -> bytes:
        """The body of the answer.

        Raises:
            RuntimeError: It is no success.
        """
        content = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/json\r\n"
        self._socket.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        status = self._lines.readline().split()[1]
        length = 0
        while (line := self._lines.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        answer = self._lines.read(length)
        if status != b"200":
            raise RuntimeError(f"{path}: {status.decode()} {answer[:300].decode(errors='replace')}")
        return answer
