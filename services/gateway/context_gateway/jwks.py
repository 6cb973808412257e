"""The public keys of whoever issues JWTs, fetched from their URL without keeping anybody waiting who need not."""

import asyncio
from time import monotonic
from urllib.parse import urlsplit

import httpx2
import jwt
import structlog

from context_common.errors import Unavailable
from context_common.settings import is_loopback

ALGORITHMS = ("RS256", "ES256")
KINDS = {"RSA": "RS256", "EC": "ES256"}
LIFETIME = 600.0  # seconds after which a set is fetched again, while the old one serves
COOLDOWN = 30.0  # seconds between two fetches, however many unknown key ids come in
TIMEOUT = 5.0  # seconds
LARGEST = 1024 * 1024  # bytes
FEWEST_BITS = 2048  # of an RSA key

log = structlog.get_logger()


class Jwks:
    """The key set at `url`. The last good set stays while the URL is away."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = self._tried = -LIFETIME
        self._fetching: asyncio.Task[None] | None = None

    async def key(self, kid: str) -> jwt.PyJWK | None:
        """The key with the id `kid`; None where the set has none.

        Raises:
            Unavailable: No set could be fetched yet.
        """
        found = self._keys.get(kid)
        if found is None or monotonic() - self._fetched >= LIFETIME:
            fetching = self._fetch_soon()
            if found is None and fetching:
                await asyncio.shield(fetching)
                found = self._keys.get(kid)
        if found is None and not self._keys:
            raise Unavailable("the keys that sign tokens cannot be fetched just now", COOLDOWN)
        return found

    def _fetch_soon(self) -> "asyncio.Task[None] | None":
        """The fetch under way, one that begins now, or None where the last one was a moment ago."""
        if self._fetching is None or self._fetching.done():
            if monotonic() - self._tried < COOLDOWN:
                return None
            self._tried = monotonic()
            self._fetching = asyncio.create_task(self._fetch())
        return self._fetching

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(TIMEOUT):
                keys = read_keys(await _download(self._url))
        except (httpx2.HTTPError, TimeoutError, ValueError) as error:
            log.warning("jwks_not_fetched", reason=str(error) or type(error).__name__, kept=len(self._keys))
            return
        self._keys, self._fetched = keys, monotonic()
        log.info("jwks_fetched", keys=len(keys))


async def _download(url: str) -> bytes:
    """What stands at `url`.

    Raises:
        httpx2.HTTPError: It cannot be had.
        ValueError: It is too large.
    """
    # A proxy for the outside must not be asked for this machine's own address.
    outside = not is_loopback(urlsplit(url).hostname or "")
    async with httpx2.AsyncClient(timeout=TIMEOUT, trust_env=outside) as http, http.stream("GET", url) as response:
        response.raise_for_status()
        body = b""
        async for part in response.aiter_bytes():
            body += part
            if len(body) > LARGEST:
                raise ValueError(f"the key set has more than {LARGEST} bytes")
    return body


def read_keys(body: bytes) -> dict[str, jwt.PyJWK]:
    """The keys of a JSON Web Key Set that can verify our ALGORITHMS, by their ids.

    Raises:
        ValueError: It is no key set, or there is no such key in it.
    """
    try:
        entries = jwt.PyJWKSet.from_json(body.decode()).keys
    except (jwt.PyJWTError, AttributeError, TypeError, RecursionError) as error:
        raise ValueError(f"no key set: {error}") from error
    keys = {key.key_id: key for key in entries if isinstance(key.key_id, str) and _verifies(key)}
    if not keys:
        raise ValueError(f"the key set has no key for {' or '.join(ALGORITHMS)}")
    return keys


def _verifies(key: jwt.PyJWK) -> bool:
    """Whether `key` is public, for signatures, and strong: no shared secret passes for one."""
    if key.algorithm_name != KINDS.get(key.key_type or "") or key.public_key_use not in (None, "sig"):
        return False
    return key.key_type == "EC" or key.key.key_size >= FEWEST_BITS
