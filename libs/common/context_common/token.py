"""Short-lived tokens by which one service shows another who calls, for whom, and for which method."""

import hmac
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import jwt
from jwt.types import Options

from context_common.caller import SERVICE, Caller
from context_common.errors import Unauthenticated

ALGORITHM = "HS256"
LIFETIME = 30  # seconds: a call starts at once, however long it then takes
REUSED = (
    10  # seconds for which the same token goes with further calls for the same caller: signing costs more than asking
)
KEPT = 4096  # tokens that a process remembers, of those it made and of those it was shown
LEEWAY = 5  # seconds by which the clocks of two machines may differ
LABEL = b"context service token v1"
CLAIMS = ["iss", "aud", "iat", "exp", "method", "caller"]


class Untrusted(Unauthenticated):
    """The service token does not hold."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason  # for the metric: one word


@dataclass(frozen=True)
class Scope:
    """What a token is good for: one method of one service, asked by one other."""

    issuer: str
    audience: str
    method: str


def derive_key(secret: str) -> bytes:
    """The key for service tokens, from a secret that serves other purposes as well."""
    return hmac.digest(secret.encode(), LABEL, "sha256")


def sign(key: bytes, who: Caller, scope: Scope) -> str:
    """A token that lets `scope.issuer` call for `who`, for LIFETIME seconds from now; on whichever request."""
    now = int(time.time())
    claims = {
        "iss": scope.issuer,
        "aud": scope.audience,
        "iat": now,
        "exp": now + LIFETIME,
        "method": scope.method,
        "caller": dict(who.identity()),
    }
    return jwt.encode(claims, key, ALGORITHM)


class Signed:
    """The tokens that a process made of late, each used for a while."""

    def __init__(self) -> None:
        self._made: dict[tuple[Caller, Scope], tuple[str, float]] = {}

    def token(self, key: bytes, who: Caller, scope: Scope) -> str:
        """A token as `sign` makes it, or one that it made a moment ago."""
        now = time.monotonic()
        asked = (who, scope)
        made = self._made.get(asked)
        if made and made[1] > now:
            return made[0]
        if len(self._made) >= KEPT:
            self._made.clear()
        token = sign(key, who, scope)
        self._made[asked] = token, now + REUSED
        return token


class Verified:
    """The callers whose tokens a process has verified already, each until its token expires."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[Caller, int]] = {}

    def caller(self, keys: Sequence[bytes], token: str, *, audience: str, method: str) -> Caller:
        """The caller that `token` vouches for, where it was made with one of `keys` for this `method` of this service.

        Raises:
            Untrusted: It is forged, expired, or made for something else.
        """
        shown = (token, method)
        known = self._known.get(shown)
        if known and known[1] + LEEWAY > time.time():
            return known[0]
        who, expires = _verify(keys, token, audience, method)
        if len(self._known) >= KEPT:
            self._known.clear()
        self._known[shown] = who, expires
        return who


def _verify(keys: Sequence[bytes], token: str, audience: str, method: str) -> tuple[Caller, int]:
    """The caller, and when the token expires."""
    try:
        claims = _decode(keys, token, audience)
    except jwt.ExpiredSignatureError:
        raise Untrusted("the service token has expired", "expired") from None
    except jwt.InvalidAudienceError:
        raise Untrusted("the service token is for another service", "audience") from None
    except jwt.PyJWTError:
        raise Untrusted("the service token is not valid", "forged") from None
    if claims["method"] != method:
        raise Untrusted("the service token is for another method", "method")
    return _caller(claims), claims["exp"]


def _decode(keys: Sequence[bytes], token: str, audience: str) -> dict[str, Any]:
    options: Options = {"require": CLAIMS, "strict_aud": True}
    for key in keys[:-1]:
        with suppress(jwt.InvalidSignatureError):
            return jwt.decode(token, key, [ALGORITHM], options, audience=audience, leeway=LEEWAY)
    return jwt.decode(token, keys[-1], [ALGORITHM], options, audience=audience, leeway=LEEWAY)


def _caller(claims: dict[str, Any]) -> Caller:
    """The caller in `claims`. A service may vouch for anybody, but speak as a service only for itself."""
    given = claims["caller"]
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise Untrusted("the service token names nobody", "caller")
    who = Caller.from_metadata(given)
    if SERVICE in who.scopes and who.principal != f"service:{claims['iss']}":
        raise Untrusted("the service token speaks for another service", "issuer")
    return who
