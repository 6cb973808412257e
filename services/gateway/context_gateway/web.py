"""Keeps browsers from being used against us: which names and origins are answered, and what pages do with answers."""

import ipaddress
from collections.abc import Collection, Sequence
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from context_gateway.address import parse
from context_gateway.problems import Refused

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
HSTS = {"Strict-Transport-Security": "max-age=31536000"}
SAFE = ("GET", "HEAD", "OPTIONS")
OWN_SITES = ("same-origin", "none")  # of Sec-Fetch-Site; none: typed by a person


def check_host(headers: Headers, allowed: Sequence[str], server: tuple[str, int | None] | None) -> None:
    """Refuse a request that is addressed to another name, as a page does whose name was rebound to our address.

    The address that the connection came in on is no name and so never rebound: probes may use it.

    Raises:
        Refused: 400, there is no host or more than one; 421, it is not ours.
    """
    given = headers.getlist("host")
    host = _host(given[0]) if len(given) == 1 else ""
    if not host:
        raise Refused(400, {"Host": ["must name one host"]})
    if not allowed or (server and (address := parse(host)) and address == parse(server[0])):
        return
    if not any(_matches(host, name) for name in allowed):
        raise Refused(421, detail="This gateway does not answer for that host; see ALLOWED_HOSTS.")


def check_origin(method: str, headers: Headers, allowed: Collection[str]) -> None:
    """Refuse a change that another site's page asks for without a credential: the browser sends it, not a person.

    Raises:
        Refused: 403.
    """
    if method in SAFE or "authorization" in headers:
        return
    origin = headers.get("origin")
    if origin is not None and origin in allowed:
        return
    foreign = origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
    if foreign or headers.get("sec-fetch-site", "none") not in OWN_SITES:
        raise Refused(403, detail="A page of another origin may not do this; see CORS_ORIGINS.")


@lru_cache(maxsize=256)
def _host(value: str) -> str:
    """The name or address in a Host header, without its port; empty where there is none."""
    value = value.strip().lower()
    if value.startswith("["):
        host, bracket, port = value[1:].partition("]")
        valid = bracket and (not port or (port.startswith(":") and port[1:].isdecimal()))
        return host if valid and _is_address(host) else ""
    host, colon, port = value.partition(":")
    named = host.rstrip(".").replace("-", "").replace(".", "").replace("_", "")
    return host.rstrip(".") if named.isascii() and named.isalnum() and (not colon or port.isdecimal()) else ""


def _is_address(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _matches(host: str, name: str) -> bool:
    return host.endswith(name[1:]) if name.startswith("*.") else host == name
