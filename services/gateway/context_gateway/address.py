"""Which address a request came from: the peer's, or behind trusted proxies the one that they saw."""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache
from itertools import islice
from typing import TypeAlias

from starlette.datastructures import Headers

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
MOST_HOPS = 20  # entries of X-Forwarded-For that are looked at
SUBSCRIBER = 64  # bits of an IPv6 address that one subscriber has to give away


def client_address(peer: str, headers: Headers, trusted: Sequence[Network]) -> str:
    """The rightmost address that no trusted proxy vouches for; `peer` is the other end of the connection.

    What stands further left in X-Forwarded-For was written by the caller. An entry that is no address ends the search.
    """
    found = parse(peer)
    if found is None:
        return ""
    entries = [entry for line in headers.getlist("x-forwarded-for") for entry in line.split(",")] if trusted else []
    for entry in islice(reversed(entries), MOST_HOPS):
        before = parse(_without_port(entry.strip()))
        if before is None or not _among(found, trusted):
            break
        found = before
    return str(found)


def network_of(address: str) -> str:
    """What is counted as one caller: an IPv4 address, or the network of an IPv6 one."""
    found = parse(address)
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((found, SUBSCRIBER), strict=False))
    return address


@lru_cache(maxsize=4096)
def parse(text: str) -> Address | None:
    """The address in `text`, IPv4 where it is one in IPv6 clothes; None where it is no address."""
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def _without_port(entry: str) -> str:
    if entry.startswith("["):
        return entry[1:].partition("]")[0]
    return entry.partition(":")[0] if entry.count(":") == 1 else entry


def _among(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)
