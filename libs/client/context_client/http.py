"""The connection to one engine, as every caller here opens it."""

import ssl
from typing import Any
from urllib.parse import urlsplit

import httpx2

from context_client.settings import Settings

TIMEOUT = httpx2.Timeout(60.0, connect=5.0)
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def open_http(settings: Settings, transport: httpx2.BaseTransport | None = None) -> httpx2.Client:
    """A client that shows the credential and the namespace. Close it."""
    return httpx2.Client(**_to(settings), timeout=TIMEOUT, transport=transport)


def open_async(settings: Settings, *, connections: int, timeout: float) -> httpx2.AsyncClient:
    """The same for many requests at once, over as many as `connections`. Close it."""
    limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
    return httpx2.AsyncClient(**_to(settings), timeout=timeout, limits=limits)


def trust(url: str) -> dict[str, Any]:
    """How a client is to reach `url`: whose certificates it believes, and whether by the environment's proxy.

    SSL_CERT_FILE counts for this machine's own address too, a proxy for the outside must not. In the clear it believes
    nobody's: to read all that there are takes longer than to ask.
    """
    address = urlsplit(url)
    encrypted = address.scheme == "https"
    return {
        "verify": httpx2.create_ssl_context() if encrypted else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        "trust_env": address.hostname not in LOOPBACK,
    }


def _to(settings: Settings) -> dict[str, Any]:
    headers = {"Accept": "application/json"}
    if settings.token:
        headers["Authorization"] = f"Bearer {settings.token}"
    if settings.namespace:
        headers["X-Context-Namespace"] = settings.namespace
    return {"base_url": settings.url.rstrip("/"), "headers": headers, **trust(settings.url)}
