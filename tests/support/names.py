"""A name server that knows one name, whose addresses a test may change."""

import socket
import threading
from types import TracebackType
from typing import Self

IPV4, TTL = 1, 1


class Names:
    """Answers every question for an IPv4 address with `addresses`, over UDP."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                question, sender = self._socket.recvfrom(512)
                self._socket.sendto(self._answer(question), sender)
            except OSError:  # closed
                return

    def _answer(self, question: bytes) -> bytes:
        """RFC 1035: the question again, and a record for each address that points back to its name."""
        end = question.index(b"\0", 12) + 1
        kind = int.from_bytes(question[end : end + 2], "big")
        found = self.addresses if kind == IPV4 else []
        record = b"\xc0\x0c\x00\x01\x00\x01" + TTL.to_bytes(4, "big") + b"\x00\x04"
        records = b"".join(record + socket.inet_aton(address) for address in found)
        counts = b"\x00\x01" + len(found).to_bytes(2, "big") + b"\x00\x00\x00\x00"
        return question[:2] + b"\x81\x80" + counts + question[12 : end + 4] + records
