"""A service token holds for one method of one service, for half a minute, and nobody makes one without the key."""

import base64
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jwt
import pytest

from context_common.caller import ADMIN, EVERY, Caller
from context_common.errors import Unauthenticated
from context_common.token import LEEWAY, LIFETIME, Scope, Untrusted, Verified, derive_key, sign
from tests.support.trust import admin, service

KEY = derive_key("a secret of which there is no other, 1234")
METHOD = "/context.v1.KnowledgeService/GetItem"
SCOPE = Scope("gateway", "knowledge", METHOD)
WHO = Caller(
    "web", "user:ada@müller", "r-1", "10.0.0.7", frozenset({ADMIN}), frozenset({"a", EVERY}), frozenset({"web"})
)


def verify(keys: Sequence[bytes], token: str, *, audience: str, method: str) -> Caller:
    """By a service that has seen no token yet."""
    return Verified().caller(keys, token, audience=audience, method=method)


def claims(**changed: Any) -> dict[str, Any]:
    """Those of a good token, but for what is `changed`; None leaves one out."""
    now = int(time.time())
    good = {"iss": "gateway", "aud": "knowledge", "iat": now, "exp": now + 30, "method": METHOD}
    whole = {**good, "caller": dict(admin().metadata()), **changed}
    return {name: value for name, value in whole.items() if value is not None}


def refused(token: str) -> str:
    """Why `token` is refused."""
    with pytest.raises(Untrusted) as caught:
        verify([KEY], token, audience="knowledge", method=METHOD)
    assert isinstance(caught.value, Unauthenticated)
    return caught.value.reason


def test_the_whole_caller_comes_out_as_it_went_in() -> None:
    assert verify([KEY], sign(KEY, WHO, SCOPE), audience="knowledge", method=METHOD) == WHO


def test_a_token_is_good_for_its_method_and_its_service_only() -> None:
    assert refused(sign(KEY, WHO, replace(SCOPE, audience="retrieval"))) == "audience"
    assert refused(sign(KEY, WHO, replace(SCOPE, method="/context.v1.KnowledgeService/DeleteItem"))) == "method"


def test_a_token_is_good_for_half_a_minute() -> None:
    made = int(time.time()) - LIFETIME
    late = claims(iat=made - LEEWAY - 2, exp=made + LIFETIME - LEEWAY - 2)
    assert refused(jwt.encode(late, KEY)) == "expired"
    assert jwt.decode(sign(KEY, WHO, SCOPE), options={"verify_signature": False})["exp"] - time.time() <= LIFETIME
    assert refused(jwt.encode(claims(iat=int(time.time()) + 3600, exp=int(time.time()) + 3700), KEY)) == "forged"


def unsigned(header: dict[str, str], payload: dict[str, Any]) -> str:
    """A token without a signature."""
    parts = (json.dumps(part).encode() for part in (header, payload))
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."


def test_only_the_key_makes_a_token() -> None:
    good = sign(KEY, WHO, SCOPE)
    head, body, signature = good.split(".")
    stolen = head + "." + base64.urlsafe_b64encode(json.dumps(claims()).encode()).decode().rstrip("=") + "." + signature
    forgeries = [
        stolen,
        f"{head}.{body}.",
        f"{head}.{body}",
        unsigned({"alg": "none", "typ": "JWT"}, claims()),
        unsigned({"alg": "HS256", "typ": "JWT"}, claims()),
        jwt.encode(claims(), derive_key("another secret of 40 characters, 12345678")),
        unsigned({"alg": "HS512", "typ": "JWT"}, claims()),
        "",
        "a.b.c",
        "x" * 7000,
        "\0.\0.\0",
    ]
    assert [refused(token) for token in forgeries] == ["forged"] * len(forgeries)


def test_the_secret_can_be_changed_while_services_run() -> None:
    old, new = KEY, derive_key("the secret that comes after the other one")
    for keys in ([old, new], [new, old]):
        for key in keys:
            assert verify(keys, sign(key, WHO, SCOPE), audience="knowledge", method=METHOD) == WHO
    with pytest.raises(Untrusted):
        verify([new], sign(old, WHO, SCOPE), audience="knowledge", method=METHOD)


def test_the_key_is_not_the_secret() -> None:
    secret = "a secret of which there is no other, 1234"
    assert refused(jwt.encode(claims(), secret)) == "forged"


@pytest.mark.parametrize("claim", ["iss", "aud", "iat", "exp", "method", "caller"])
def test_a_token_without_a_claim_is_refused(claim: str) -> None:
    assert refused(jwt.encode(claims(**{claim: None}), KEY)) in {"forged", "audience"}


@pytest.mark.parametrize("given", ["ada", 7, [], {"x-context-namespace": 7}, {}])
def test_a_token_that_names_nobody_is_refused(given: object) -> None:
    with pytest.raises(Unauthenticated):
        verify([KEY], jwt.encode(claims(caller=given), KEY), audience="knowledge", method=METHOD)


def test_a_list_of_audiences_is_no_audience() -> None:
    assert refused(jwt.encode(claims(aud=["knowledge", "retrieval"]), KEY)) == "audience"


def test_a_service_speaks_as_a_service_for_itself_only() -> None:
    assert refused(sign(KEY, service("retrieval"), SCOPE)) == "issuer"
    who = service("gateway")
    assert verify([KEY], sign(KEY, who, SCOPE), audience="knowledge", method=METHOD) == who
    pretender = replace(admin(), scopes=service("gateway").scopes)
    assert refused(sign(KEY, pretender, SCOPE)) == "issuer"
