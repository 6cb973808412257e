"""How long the certificate at an https address still holds."""

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

from context_client.doctor.findings import Finding, State

SOON = 14.0  # days
TIMEOUT = 5.0  # seconds


def certificate(url: str) -> Iterator[Finding]:
    """One line about it. SSL_CERT_FILE names the authorities, where they are not the system's."""
    parts = urlsplit(url)
    if parts.scheme != "https":
        yield Finding("certificate", State.UNKNOWN, "the address is not https", "give the public one by --url")
        return
    try:
        ends = expiry(parts.hostname or "", parts.port or 443)
    except (OSError, ssl.SSLError) as error:
        yield Finding("certificate", State.FAILED, str(error), "openssl s_client; renew it, or its chain is incomplete")
        return
    days = (ends - datetime.now(UTC)).total_seconds() / 86400
    detail = f"holds until {ends:%Y-%m-%d}, {days:.0f} days"
    yield Finding("certificate", State.WARNING if days < SOON else State.OK, detail, "renew it" if days < SOON else "")


def expiry(host: str, port: int) -> datetime:
    """When the certificate that `host` shows ends.

    Raises:
        OSError: Nobody answers, or the certificate is not valid.
    """
    context = ssl.create_default_context()
    with (
        socket.create_connection((host, port), timeout=TIMEOUT) as plain,
        context.wrap_socket(plain, server_hostname=host) as secured,
    ):
        shown = secured.getpeercert() or {}
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(shown["notAfter"])), UTC)
