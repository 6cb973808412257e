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
    """A token that lets `scope.issuer` call for `who`, for LIFETIME seconds from now."""
    now = int(time.time())
    claims = {
        "iss": scope.issuer,
        "aud": scope.audience,
        "iat": now,
        "exp": now + LIFETIME,
        "method": scope.method,
        "caller": dict(who.metadata()),
    }
    return jwt.encode(claims, key, ALGORITHM)


def verify(keys: Sequence[bytes], token: str, *, audience: str, method: str) -> Caller:
    """The caller that `token` vouches for, where it was made with one of `keys` for this `method` of this service.

    Raises:
        Untrusted: It is forged, expired, or made for something else.
    """
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
    return _caller(claims)


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
