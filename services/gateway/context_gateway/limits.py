"""How much one gateway takes on: rates, requests at once, connections, and how long a client may keep it waiting."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from limits import RateLimitItem, parse_many

from context_common.settings import Env
from context_gateway.address import Network

UNLIMITED = ("unlimited", "off", "none", "0")
SHARED = "default"  # the rate of every class that has none of its own
LOOPBACK = ("localhost", "127.0.0.1", "::1")
# In production, where nothing is set. A bulk call counts a line as one; failed authentication counts by address.
PROD_RATE, PROD_BULK, PROD_AUTH = "600/minute", "60000/minute", "30/minute"


@dataclass(frozen=True)
class Limits:
    """The limits of one gateway.

    Args:
        rates: How many requests in how much time, by class; a class that is missing counts with SHARED.
        redis_url: Where replicas count together; empty: each by itself.
        redis_seconds: That Redis has to count before each goes on by itself.
        trusted_proxies: Whose X-Forwarded-For is believed.
        allowed_hosts: Names that a request may be addressed to, `*.` at the front for every subdomain; empty: any.
        concurrency: Most reads, and most writes, that are worked on at once.
        queue_seconds: How long a request may wait for its turn.
        latency_target: Seconds that a read may take before fewer are let in at once.
        connections: Most connections; beyond, the one that has idled longest makes room.
        header_seconds: In which the head of a request must be in.
        body_seconds: In which at least LEAST_BODY bytes of a body must come.
        keep_alive_seconds: How long a connection may idle between requests.
        drain_seconds: In which a client must read what waits to be sent to it.
    """

    rates: Mapping[str, RateLimitItem] = field(default_factory=dict)
    redis_url: str = field(default="", repr=False)
    redis_seconds: float = 0.25
    trusted_proxies: tuple[Network, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    concurrency: int = 64
    queue_seconds: float = 0.5
    latency_target: float = 0.25
    connections: int = 1000
    header_seconds: float = 10.0
    body_seconds: float = 10.0
    keep_alive_seconds: float = 75.0
    drain_seconds: float = 60.0

    @classmethod
    def read(cls, read: Env, *, prod: bool, host: str, public: str = "") -> Self:
        """The limits in the environment; `host` is what the gateway listens on, `public` its name to the world."""
        hosts = tuple(read.text("ALLOWED_HOSTS", "").lower().replace(",", " ").split())
        return cls(
            rates=_rates(read, prod),
            redis_url=read.redis("REDIS_URL"),
            trusted_proxies=_networks(read, read.text("TRUSTED_PROXIES", "")),
            allowed_hosts=hosts or _own_names(prod, host.strip("[]"), public),
            concurrency=read.integer("MAX_CONCURRENCY", 64, least=1, most=10_000),
            queue_seconds=read.number("QUEUE_SECONDS", 0.5, least=0, most=10),
            latency_target=read.number("LATENCY_TARGET", 0.25, least=0.001, most=60),
            connections=read.integer("MAX_CONNECTIONS", 1000, least=1, most=100_000),
            header_seconds=read.number("HEADER_TIMEOUT", 10.0, least=0.1, most=600),
            body_seconds=read.number("BODY_TIMEOUT", 10.0, least=0.1, most=600),
            keep_alive_seconds=read.number("KEEP_ALIVE_TIMEOUT", 75.0, least=0, most=3600),
        )


def _own_names(prod: bool, host: str, public: str) -> tuple[str, ...]:
    """The names that are answered where nobody says which; none for any."""
    if prod:
        return (public,) if public else ()
    return (*LOOPBACK, host, public) if public else (*LOOPBACK, host)


def rate(text: str) -> RateLimitItem | None:
    """`600/minute`, `10 per 5 seconds`; None for one of UNLIMITED.

    Raises:
        ValueError: It is no rate, or several.
    """
    if text.strip().lower() in UNLIMITED:
        return None
    (item,) = parse_many(text)
    if item.amount < 1 or item.get_expiry() < 1:
        raise ValueError(text)
    return item


def _rates(read: Env, prod: bool) -> dict[str, RateLimitItem]:
    given = {
        "RATE_LIMIT": (SHARED, read.text("RATE_LIMIT", PROD_RATE if prod else "unlimited")),
        "RATE_LIMIT_READ": ("read", read.text("RATE_LIMIT_READ", "")),
        "RATE_LIMIT_WRITE": ("write", read.text("RATE_LIMIT_WRITE", "")),
        "RATE_LIMIT_ADMIN": ("admin", read.text("RATE_LIMIT_ADMIN", "")),
        "RATE_LIMIT_BULK": ("bulk", read.text("RATE_LIMIT_BULK", PROD_BULK if prod else "unlimited")),
        "RATE_LIMIT_AUTH": ("auth", read.text("RATE_LIMIT_AUTH", PROD_AUTH if prod else "unlimited")),
    }
    rates = {}
    for name, (kind, text) in given.items():
        try:
            if text and (item := rate(text)):
                rates[kind] = item
        except ValueError:
            read.reject(f"{name} must be a rate such as 600/minute, or unlimited, not {text!r}")
    return rates


def _networks(read: Env, text: str) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(entry, strict=False) for entry in text.replace(",", " ").split())
    except ValueError as error:
        read.reject(f"TRUSTED_PROXIES must be addresses or networks: {error}")
        return ()
