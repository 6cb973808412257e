"""Which ports are free, and whether somebody answers on one."""

import contextlib
import fcntl
import os
import socket
import tempfile
from collections import deque
from http import HTTPStatus
from pathlib import Path
from random import SystemRandom
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

LOOPBACK = "127.0.0.1"
PORTS = range(20000, 30000)  # below what the kernel gives to outgoing connections, which could take one meanwhile
MOST_CLAIMS = 100  # of the last ports given; who got earlier ones listens on them by now

_claims: deque[int] = deque()


class PortTakenError(Exception):
    """Somebody listens there already."""


def free_ports(count: int) -> list[int]:
    """Different ports on which nobody listens, and that no other process was given just now."""
    found: list[socket.socket] = []
    for port in SystemRandom().sample(PORTS, len(PORTS)):
        if len(found) == count:
            break
        with contextlib.suppress(OSError):
            _claim(port)
            found.append(socket.create_server((LOOPBACK, port)))
    ports = [int(server.getsockname()[1]) for server in found]
    for server in found:
        server.close()
    return ports


def _claim(port: int) -> None:
    """Keep others who ask at the same moment from `port`, by a lock that goes with this process.

    Raises:
        OSError: Another has it.
    """
    folder = Path(tempfile.gettempdir()) / f"context-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    file = os.open(folder / str(port), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise
    _claims.append(file)
    while len(_claims) > MOST_CLAIMS:
        os.close(_claims.popleft())


def check_free(port: int) -> None:
    """Raise PortTakenError unless `port` can be listened on."""
    try:
        socket.create_server((LOOPBACK, port)).close()
    except OSError as error:
        raise PortTakenError(f"port {port} cannot be used ({error.strerror}); set PORT to another") from error


def listens(port: int) -> bool:
    """Whether somebody listens on `port`."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=0.5).close()
    except OSError:
        return False
    return True


def answers(url: str) -> bool:
    """Whether a GET of `url` is answered by 200, without any proxy that the environment names."""
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=3) as response:
            return bool(response.status == HTTPStatus.OK)
    except (URLError, OSError):
        return False
