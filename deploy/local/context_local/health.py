"""Which ports are free, and whether somebody answers on one."""

import socket
from http import HTTPStatus
from random import SystemRandom
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

LOOPBACK = "127.0.0.1"
PORTS = range(20000, 30000)  # below what the kernel gives to outgoing connections, which could take one meanwhile


class PortTakenError(Exception):
    """Somebody listens there already."""


def free_ports(count: int) -> list[int]:
    """Different ports on which nobody listens."""
    found: list[socket.socket] = []
    for port in SystemRandom().sample(PORTS, len(PORTS)):
        if len(found) == count:
            break
        try:
            found.append(socket.create_server((LOOPBACK, port)))
        except OSError:
            continue
    ports = [int(server.getsockname()[1]) for server in found]
    for server in found:
        server.close()
    return ports


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
