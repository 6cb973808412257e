"""Whose credentials a run calls with. Everything else asks for headers by namespace only."""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import aiohttp
import jwt

NAMESPACE_HEADER = "X-Context-Namespace"
EVERY_SCOPE = ("context:read", "knowledge:write", "admin")
UNLIMITED = "100000000/minute"
LASTS = 6 * 3600  # seconds; longer than any run

Headers = Callable[[str], Mapping[str, str]]
"""Gives the headers of a call that works in a namespace."""


def development(namespace: str) -> Mapping[str, str]:
    """Those of the development mode, where nobody asks for a credential."""
    return {NAMESPACE_HEADER: namespace}


def bearer(credential: str) -> Headers:
    """Those of a key or a JWT."""

    def headers(namespace: str) -> Mapping[str, str]:
        return {NAMESPACE_HEADER: namespace, "Authorization": f"Bearer {credential}"}

    return headers


@dataclass(frozen=True)
class Production:
    """An engine that lets nobody in without a credential, and the secret by which we make some.

    Args:
        rate_limit: What one credential may do; the runs measure the engine and not this limit, unless they say so.
    """

    secret: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    rate_limit: str = UNLIMITED

    @property
    def environ(self) -> dict[str, str]:
        """What the processes are started with."""
        return {"APP_ENV": "prod", "SECRET_KEY_BASE": self.secret, "RATE_LIMIT": self.rate_limit}

    def token(self, scopes: Sequence[str] = EVERY_SCOPE, namespaces: Sequence[str] = ("*",), lasts: int = LASTS) -> str:
        """A JWT of a person."""
        claims = {
            "sub": "chaos",
            "exp": int(time.time()) + lasts,
            "scope": " ".join(scopes),
            "namespaces": list(namespaces),
            "provenance": "human",
        }
        return jwt.encode(claims, self.secret, algorithm="HS256")

    async def key(self, url: str, scopes: Sequence[str] = EVERY_SCOPE, namespaces: Sequence[str] = ("*",)) -> str:
        """A new API key."""
        body = {"name": "chaos", "scopes": list(scopes), "namespaces": list(namespaces), "provenance": "human"}
        headers = bearer(self.token())("default")
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(f"{url}/api/admin/keys", json=body) as made,
        ):
            answer = await made.json()
            if made.status != 201:
                raise RuntimeError(f"no key was made: {answer}")
            return str(answer["key"])
