"""JWTs: only what the settings say verifies them, whatever a token says of itself."""

import asyncio
import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from context.v1 import types_pb2
from context_common.errors import Unavailable
from context_gateway import jwks
from context_gateway.credential import Credential
from context_gateway.problems import BadCredential
from context_gateway.tokens import JwtSettings, Tokens

SECRET = "a secret of at least thirty-two characters"
ISSUER, AUDIENCE = "https://id.example", "context"
# Fixed, so that tests have the same names in every process, and hold however long after their collection they run.
PAST, AHEAD = 1_600_000_000, 4_102_444_800
CLAIMS = {"sub": "ada", "exp": AHEAD, "scope": "context:read openid", "namespaces": "web shop"}
OURS = CLAIMS | {"iss": ISSUER, "aud": AUDIENCE}


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module")
def issuer(rsa_key: rsa.RSAPrivateKey, ec_key: ec.EllipticCurvePrivateKey) -> Iterator["Issuer"]:
    with issuing() as one:
        one.keys = [public("r1", rsa_key), public("e1", ec_key)]
        yield one


class Issuer:
    """Serves a key set; `status` and `pause` make it ill."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.keys: list[dict[str, Any]] = []
        self.status, self.pause, self.asked = 200, 0.0, 0

    def tokens(self) -> Tokens:
        """A verifier that has not fetched anything yet."""
        return Tokens(JwtSettings(SECRET, self.url, ISSUER, AUDIENCE))


@contextmanager
def issuing() -> Iterator[Issuer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            one.asked += 1
            time.sleep(one.pause)
            self.send_response(one.status)
            self.end_headers()
            self.wfile.write(json.dumps({"keys": one.keys}).encode())

        def log_message(self, *arguments: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    one = Issuer(f"http://127.0.0.1:{server.server_port}/keys")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield one
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def public(kid: str, key: Any, **more: Any) -> dict[str, Any]:
    """The public half of a key, as it stands in a set."""
    kind = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    return {**kind.to_jwk(key.public_key(), as_dict=True), "kid": kid, **more}


def pem(key: Any) -> bytes:
    found: bytes = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return found


def verify(tokens: Tokens, token: str) -> Credential:
    return asyncio.run(tokens.credential(token))


def by_hand(header: dict[str, Any], claims: dict[str, Any], secret: bytes) -> str:
    """A token with an HMAC, whatever its header says; libraries refuse to make such."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
    signature = hmac.digest(secret, b".".join(parts), hashlib.sha256)
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


def test_a_token_of_a_small_installation_says_who_and_what() -> None:
    claims = CLAIMS | {"read_namespaces": ["billing"], "provenance": "agent", "scopes": ["knowledge:write"]}
    found = verify(Tokens(JwtSettings(SECRET)), jwt.encode(claims, SECRET, "HS256"))
    assert found == Credential(
        "user:ada",
        frozenset({"context:read", "knowledge:write"}),
        frozenset({"web", "shop"}),
        frozenset({"billing"}),
        types_pb2.PROVENANCE_AGENT,
    )


def test_a_token_without_namespaces_reaches_none() -> None:
    claims = {"sub": "ada", "exp": AHEAD, "scope": "admin"}
    assert verify(Tokens(JwtSettings(SECRET)), jwt.encode(claims, SECRET, "HS256")).namespaces == frozenset()


@pytest.mark.parametrize(("kid", "algorithm"), [("r1", "RS256"), ("e1", "ES256")])
def test_a_token_of_an_issuer_is_verified_by_its_keys(
    kid: str, algorithm: str, issuer: Issuer, rsa_key: Any, ec_key: Any
) -> None:
    key = rsa_key if algorithm == "RS256" else ec_key
    token = jwt.encode(OURS, key, algorithm, headers={"kid": kid})
    assert verify(issuer.tokens(), token).principal == "user:ada"


@pytest.mark.parametrize(
    "changed",
    [
        {"exp": PAST},
        {"exp": None},
        {"exp": "soon"},
        {"exp": 1e400},
        {"exp": [AHEAD]},
        {"nbf": AHEAD},
        {"iat": "x"},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "a b"},
        {"sub": "a\nb"},
        {"sub": "é"},
        {"sub": "x" * 256},
        {"scope": 7},
        {"scopes": {"admin": True}},
        {"scopes": [["admin"]]},
        {"namespaces": "Web"},
        {"namespaces": ["a/../b"]},
        {"namespaces": [None]},
        {"namespaces": [f"n{number}" for number in range(201)]},
        {"read_namespaces": 1},
        {"provenance": "import"},
        {"provenance": "event"},
        {"provenance": ["human"]},
    ],
    ids=str,
)
def test_a_claim_that_is_not_right_is_refused(changed: dict[str, Any]) -> None:
    claims = {name: value for name, value in (CLAIMS | changed).items() if value is not None}
    with pytest.raises(BadCredential):
        verify(Tokens(JwtSettings(SECRET)), by_hand({"alg": "HS256", "typ": "JWT"}, claims, SECRET.encode()))


def test_clocks_may_differ_a_little() -> None:
    for claims in (CLAIMS | {"exp": int(time.time()) - 20}, CLAIMS | {"nbf": int(time.time()) + 20}):
        assert verify(Tokens(JwtSettings(SECRET)), jwt.encode(claims, SECRET, "HS256"))


@pytest.mark.parametrize("changed", [{"iss": "https://evil.example"}, {"aud": "mail"}, {"iss": None}, {"aud": None}])
def test_a_token_for_somebody_else_is_refused(changed: dict[str, Any], issuer: Issuer, rsa_key: Any) -> None:
    claims = {name: value for name, value in (OURS | changed).items() if value is not None}
    with pytest.raises(BadCredential):
        verify(issuer.tokens(), jwt.encode(claims, rsa_key, "RS256", headers={"kid": "r1"}))
    small = Tokens(JwtSettings(SECRET, issuer=ISSUER, audience=AUDIENCE))
    with pytest.raises(BadCredential):
        verify(small, jwt.encode(claims, SECRET, "HS256"))


@pytest.mark.parametrize("algorithm", ["none", "None", "nOnE", "", "HS384", "RS256", "ES256", "b64", None])
def test_a_token_does_not_choose_its_algorithm(algorithm: str | None) -> None:
    header = {"typ": "JWT"} | ({} if algorithm is None else {"alg": algorithm})
    token = by_hand(header, CLAIMS, SECRET.encode())
    for forged in (token, token.rpartition(".")[0] + "."):
        with pytest.raises(BadCredential):
            verify(Tokens(JwtSettings(SECRET)), forged)


def test_a_public_key_is_no_shared_secret(issuer: Issuer, rsa_key: Any, ec_key: Any) -> None:
    for kid, key in (("r1", rsa_key), ("e1", ec_key)):
        for secret in (pem(key), json.dumps(public(kid, key)).encode(), SECRET.encode(), b""):
            with pytest.raises(BadCredential):
                verify(issuer.tokens(), by_hand({"alg": "HS256", "kid": kid}, OURS, secret))


def test_a_key_of_one_algorithm_verifies_no_other(issuer: Issuer, rsa_key: Any, ec_key: Any) -> None:
    for key, algorithm, kid in ((rsa_key, "RS256", "e1"), (ec_key, "ES256", "r1"), (rsa_key, "RS512", "r1")):
        with pytest.raises(BadCredential):
            verify(issuer.tokens(), jwt.encode(OURS, key, algorithm, headers={"kid": kid}))


def test_a_key_of_ones_own_in_the_header_is_not_looked_at(issuer: Issuer) -> None:
    own = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for header in (
        {"kid": "r1", "jwk": public("r1", own)},
        {"kid": "own"},
        {"jku": "http://x.example"},
    ):
        with pytest.raises(BadCredential):
            verify(issuer.tokens(), jwt.encode(OURS, own, "RS256", headers=header))
    kids: tuple[Any, ...] = (["r1"], {}, None, 1)
    for kid in kids:
        with pytest.raises(BadCredential):
            verify(issuer.tokens(), by_hand({"alg": "RS256", "kid": kid}, OURS, b""))


def test_with_a_url_the_secret_signs_none(issuer: Issuer) -> None:
    with pytest.raises(BadCredential):
        verify(issuer.tokens(), jwt.encode(OURS, SECRET, "HS256", headers={"kid": "r1"}))


def test_with_neither_a_secret_nor_a_url_no_token_is_good() -> None:
    for secret in (SECRET, "x"):
        with pytest.raises(BadCredential):
            verify(Tokens(JwtSettings()), by_hand({"alg": "HS256"}, CLAIMS, secret.encode()))
    with pytest.raises(BadCredential):
        verify(Tokens(JwtSettings()), by_hand({"alg": "HS256"}, CLAIMS, b""))


@given(st.one_of(st.text(), st.from_regex(r"\A[\w-]{0,40}\.[\w-]{0,40}\.[\w-]{0,40}\Z"), st.binary().map(str)))
def test_any_text_is_a_token_or_refused(text: str) -> None:
    with pytest.raises(BadCredential):
        verify(Tokens(JwtSettings(SECRET)), text)


json_values = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5)


@given(st.dictionaries(st.sampled_from(["alg", "typ", "kid", "crit", "b64", "x"]), json_values), json_values)
def test_any_header_and_any_claim_is_a_token_or_refused(header: dict[str, Any], value: Any) -> None:
    for name in ("exp", "nbf", "iat", "sub", "aud", "iss", "scope", "namespaces"):
        token = by_hand({"alg": "HS256"} | header, CLAIMS | {name: value}, SECRET.encode())
        try:
            found = verify(Tokens(JwtSettings(SECRET)), token)
        except BadCredential:
            continue
        assert found.principal.startswith("user:")


def test_a_nest_without_end_is_refused() -> None:
    deep = base64.urlsafe_b64encode(b'{"alg":' + b"[" * 2500 + b"]" * 2500 + b"}").rstrip(b"=").decode()
    for token in (f"{deep}.e30.x", "x" * 8193):
        with pytest.raises(BadCredential):
            verify(Tokens(JwtSettings(SECRET)), token)


def test_many_tokens_at_once_are_one_fetch_and_unknown_ids_are_no_more(rsa_key: Any) -> None:
    async def many(tokens: Tokens) -> None:
        good = jwt.encode(OURS, rsa_key, "RS256", headers={"kid": "r1"})
        await asyncio.gather(*(tokens.credential(good) for _ in range(50)))
        for number in range(50):
            with pytest.raises(BadCredential):
                await tokens.credential(jwt.encode(OURS, rsa_key, "RS256", headers={"kid": f"unknown-{number}"}))

    with issuing() as one:
        one.keys, one.pause = [public("r1", rsa_key)], 0.1
        asyncio.run(many(one.tokens()))
        assert one.asked == 1


def test_a_new_key_is_found_after_the_pause_and_the_last_good_set_stays(
    rsa_key: Any, ec_key: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = jwt.encode(OURS, rsa_key, "RS256", headers={"kid": "r1"})
    new = jwt.encode(OURS, ec_key, "ES256", headers={"kid": "e1"})

    async def over_time(one: Issuer, tokens: Tokens) -> None:
        await tokens.credential(old)
        one.status = 500
        monkeypatch.setattr(jwks, "LIFETIME", 0.0)
        await tokens.credential(old)
        await asyncio.sleep(0.3)  # for the fetch behind it, which fails
        await tokens.credential(old)
        one.status, one.keys = 200, [public("r1", rsa_key), public("e1", ec_key)]
        await tokens.credential(new)

    with issuing() as one:
        one.keys = [public("r1", rsa_key)]
        monkeypatch.setattr(jwks, "COOLDOWN", 0.0)
        asyncio.run(over_time(one, one.tokens()))


@pytest.mark.parametrize("ill", [{"status": 500}, {"status": 404}, {"keys": []}, {"keys": ["x"]}, {"keys": 7}], ids=str)
def test_without_any_set_nobody_can_be_told(ill: dict[str, Any], rsa_key: Any) -> None:
    with issuing() as one:
        one.keys = [public("r1", rsa_key)]
        vars(one).update(ill)
        with pytest.raises(Unavailable):
            verify(one.tokens(), jwt.encode(OURS, rsa_key, "RS256", headers={"kid": "r1"}))


def test_only_strong_public_keys_for_signatures_count(rsa_key: Any, ec_key: Any) -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - refused is the point
    entries = [
        public("weak", weak),
        public("encrypts", rsa_key, use="enc"),
        public("other", rsa_key, alg="PS256"),
        {"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "kid": "shared"},
        public("curve", ec.generate_private_key(ec.SECP384R1())),
        {name: value for name, value in public("x", rsa_key).items() if name != "kid"},
        public("good", ec_key),
    ]
    assert jwks.read_keys(json.dumps({"keys": entries}).encode()).keys() == {"good"}
