"""The connection to one engine, as every caller here opens it."""

import ssl
from urllib.parse import urlsplit

import httpx2

from context_client.settings import Settings

TIMEOUT = httpx2.Timeout(60.0, connect=5.0)
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def open_http(settings: Settings, transport: httpx2.BaseTransport | None = None) -> httpx2.Client:
    """A client that shows the credential and the namespace. Close it."""
    return httpx2.Client(
        base_url=settings.url.rstrip("/"),
        headers=headers(settings),
        timeout=TIMEOUT,
        transport=transport,
        trust_env=trusts_environment(settings.url),
        verify=authorities(),
    )


def headers(settings: Settings) -> dict[str, str]:
    """What goes with every request."""
    found = {"Accept": "application/json"}
    if settings.token:
        found["Authorization"] = f"Bearer {settings.token}"
    if settings.namespace:
        found["X-Context-Namespace"] = settings.namespace
    return found


def authorities() -> ssl.SSLContext:
    """Whom servers may be vouched for by: SSL_CERT_FILE, also for this machine's own address, else the usual ones."""
    return httpx2.create_ssl_context()


def trusts_environment(url: str) -> bool:
    """Whether the environment's proxy is asked: one for the outside must not be, for this machine's own address."""
    return urlsplit(url).hostname not in LOOPBACK
