"""Who a JWT is. What is accepted follows the settings alone; a token has no say in how it is verified."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt

from context.v1 import types_pb2
from context_common.caller import EVERY, NAMESPACE, SCOPES
from context_gateway import jwks
from context_gateway.credential import Credential
from context_gateway.jwks import Jwks
from context_gateway.problems import BadCredential

LEEWAY = 30  # seconds that clocks may differ
LONGEST = 8192  # characters of a token
MOST_NAMESPACES = 200
SUBJECT = re.compile(r"[\x21-\x7e]{1,255}")
PROVENANCES = {"human": types_pb2.PROVENANCE_HUMAN, "agent": types_pb2.PROVENANCE_AGENT}
# What PyJWT raises on what is no token: its own errors, and those of numbers and nesting beyond all bounds.
MALFORMED = (jwt.PyJWTError, ValueError, TypeError, ArithmeticError, RecursionError)


@dataclass(frozen=True)
class JwtSettings:
    """How JWTs are verified: by the keys at a URL where there is one, else by the secret, else not at all."""

    secret: str = field(default="", repr=False)
    jwks_url: str = ""
    issuer: str = ""
    audience: str = ""


class Tokens:
    """Verifies JWTs."""

    def __init__(self, settings: JwtSettings) -> None:
        self._settings = settings
        self._jwks = Jwks(settings.jwks_url) if settings.jwks_url else None
        self._jwt = jwt.PyJWT({"enforce_minimum_key_length": True})

    async def credential(self, token: str) -> Credential:
        """What `token` allows.

        Raises:
            BadCredential: It is malformed, forged, expired or not for us.
            Unavailable: The keys that sign tokens could not be fetched yet.
        """
        if len(token) > LONGEST:
            raise BadCredential("the token is too long")
        key, algorithms = await self._key(token)
        settings = self._settings
        try:
            claims = self._jwt.decode(
                token,
                key,
                algorithms=algorithms,
                issuer=settings.issuer or None,
                audience=settings.audience or None,
                leeway=LEEWAY,
                options={"require": ["exp", "sub"], "verify_aud": bool(settings.audience)},
            )
        except jwt.ExpiredSignatureError as error:
            raise BadCredential("the token has expired") from error
        except MALFORMED as error:
            raise BadCredential("the token is not valid here") from error
        return credential(claims)

    async def _key(self, token: str) -> tuple[jwt.PyJWK | str, tuple[str, ...]]:
        """What verifies `token`, and by which algorithms."""
        if self._jwks is None:
            if not self._settings.secret:
                raise BadCredential("no tokens are accepted here, only API keys")
            return self._settings.secret, ("HS256",)
        try:
            kid = jwt.get_unverified_header(token).get("kid")
        except MALFORMED as error:
            raise BadCredential("the token is not valid here") from error
        key = await self._jwks.key(kid) if isinstance(kid, str) else None
        if key is None:
            raise BadCredential("the token names no key that signs tokens here")
        return key, jwks.ALGORITHMS


def credential(claims: Mapping[str, Any]) -> Credential:
    """What the claims of a verified token allow; scopes that are not ours are nobody's business here.

    Raises:
        BadCredential: A claim is not what it must be.
    """
    subject, provenance = claims["sub"], claims.get("provenance", "human")
    if not SUBJECT.fullmatch(subject):
        raise BadCredential("the token's sub must be 1 to 255 ASCII characters without spaces")
    if not isinstance(provenance, str) or provenance not in PROVENANCES:
        raise BadCredential(f"the token's provenance must be one of {', '.join(PROVENANCES)}")
    return Credential(
        f"user:{subject}",
        (_words(claims, "scope") | _words(claims, "scopes")) & SCOPES,
        _namespaces(claims, "namespaces"),
        _namespaces(claims, "read_namespaces"),
        PROVENANCES[provenance],
    )


def _words(claims: Mapping[str, Any], name: str) -> frozenset[str]:
    """A claim that is a list of texts, or a text of words."""
    given = claims.get(name, [])
    words = given.split() if isinstance(given, str) else given
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise BadCredential(f"the token's {name} must be a list of texts, or a text of words")
    return frozenset(words)


def _namespaces(claims: Mapping[str, Any], name: str) -> frozenset[str]:
    found = _words(claims, name)
    if len(found) > MOST_NAMESPACES or not all(word == EVERY or NAMESPACE.fullmatch(word) for word in found):
        raise BadCredential(f"the token's {name} must be at most {MOST_NAMESPACES} namespaces")
    return found
