"""What browsers are told and refused: hosts, origins, headers, cookies; and nothing of the caller's in a header."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from context_gateway.limits import LOOPBACK, Limits
from context_gateway.web import HEADERS, HSTS
from tests.support.gateway import Gateway, serve
from tests.support.trust import process

pytestmark = pytest.mark.asyncio(loop_scope="module")
ADR = {"title": "x", "decision": "y"}
PATHS = ("/livez", "/docs", "/openapi.json", "/metrics", "/api/adr", "/api/adr/ADR-999", "/nowhere", "/api/adr?limit=x")


def raw(path: str, *headers: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", *headers, "Connection: close", "", ""]).encode()


def status(answer: bytes) -> int:
    return int(answer.split()[1])


async def test_every_answer_carries_the_security_headers(gateway: Gateway) -> None:
    answers = [await gateway.http.get(path) for path in PATHS]
    answers += [await gateway.http.post("/api/adr", json=ADR), await gateway.http.post("/api/adr", content=b"{")]
    answers += [await gateway.http.options("/api/adr"), await gateway.http.get("/livez", headers={"Host": "evil"})]
    for answer in answers:
        for name, value in HEADERS.items():
            own = answer.url.path == "/docs" and name in ("Content-Security-Policy", "Cache-Control")
            assert name in answer.headers, answer.url
            assert own or answer.headers[name] == value, answer.url
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "set-cookie" not in answer.headers
        assert "strict-transport-security" not in answer.headers
        assert "access-control-allow-origin" not in answer.headers


async def test_in_prod_browsers_are_told_to_stay_with_https() -> None:
    async with serve(process=replace(process("gateway"), prod=True), cors_origins=("https://ui.example",)) as gateway:
        preflight = {"Origin": "https://ui.example", "Access-Control-Request-Method": "POST"}
        answers = [await gateway.http.get("/livez"), await gateway.http.options("/api/adr", headers=preflight)]
        for answer in answers:
            assert answer.headers["strict-transport-security"] == HSTS["Strict-Transport-Security"]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", 200),
        ("localhost:4000", 200),
        ("LOCALHOST.", 200),
        ("127.0.0.1:4000", 200),
        ("[::1]:4000", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost@evil.example", 400),
        ("evil.example/localhost", 400),
        ("localhost:80:80", 400),
        ("[::1", 400),
        ("", 400),
        ("192.0.2.1", 421),
    ],
)
async def test_only_our_own_names_are_answered(host: str, expected: int) -> None:
    async with serve(limits=Limits(allowed_hosts=LOOPBACK)) as gateway:
        assert status(await gateway.raw(raw("/livez", f"Host: {host}"))) == expected


async def test_a_request_names_one_host(gateway: Gateway) -> None:
    assert status(await gateway.raw(raw("/livez"))) == 400
    assert status(await gateway.raw(raw("/livez", "Host: localhost", "Host: localhost"))) == 400


async def test_probes_may_use_the_address_and_subdomains_a_star() -> None:
    async with serve(limits=Limits(allowed_hosts=("*.example.org",))) as gateway:
        for host, expected in (("127.0.0.1:1", 200), ("a.example.org", 200), ("example.org", 421), ("localhost", 421)):
            assert status(await gateway.raw(raw("/livez", f"Host: {host}"))) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 201),
        ({"Sec-Fetch-Site": "same-origin"}, 201),
        ({"Sec-Fetch-Site": "none"}, 201),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:1"}, 403),
        ({"Origin": "https://ui.example", "Sec-Fetch-Site": "cross-site"}, 201),
    ],
)
async def test_another_sites_page_changes_nothing(headers: dict[str, str], expected: int) -> None:
    async with serve(cors_origins=("https://ui.example",)) as gateway:
        answer = await gateway.http.post("/api/adr", json=ADR, headers=headers)
        assert answer.status_code == expected
        assert len(gateway.knowledge.requests) == (expected == 201)
        assert (await gateway.http.post("/api/admin/reindex", headers=headers)).status_code in (202, 403)
        own = {"Origin": f"http://127.0.0.1:{gateway.port}"}
        assert (await gateway.http.post("/api/adr", json=ADR, headers=own)).status_code == 201


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_what_a_form_can_send_is_not_taken(gateway: Gateway, media_type: str) -> None:
    answer = await gateway.http.post(
        "/api/adr", content=b'{"title":"x","decision":"y"}', headers={"Content-Type": media_type}
    )
    assert answer.status_code == 415


@pytest.mark.parametrize(("origin", "allowed"), [("https://ui.example", True), ("https://evil.example", False)])
async def test_a_preflight_needs_no_credential_and_lets_in_by_name_only(origin: str, allowed: bool) -> None:
    async with serve(cors_origins=("https://ui.example",), auth_required=True) as gateway:
        asked = {
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        }
        answer = await gateway.http.options("/api/adr", headers={"Origin": origin, **asked})
        assert answer.status_code == (200 if allowed else 400)
        assert answer.headers.get("access-control-allow-origin") == (origin if allowed else None)
        assert "access-control-allow-credentials" not in answer.headers
        refused = await gateway.http.post("/api/adr", json=ADR, headers={"Origin": origin})
        assert refused.status_code in (401, 403)
        assert ("access-control-allow-origin" in refused.headers) == allowed


INJECTED = ("a\r\nSet-Cookie: pwned=1", "a%0d%0aSet-Cookie:%20pwned=1", "a\u2028Set-Cookie: pwned=1", "a\tb\x1b[31m")


@pytest.mark.parametrize("text", INJECTED)
async def test_nothing_that_a_caller_writes_becomes_a_header_or_a_log_line(
    gateway: Gateway, text: str, capfd: pytest.CaptureFixture[str]
) -> None:
    quoted = text.replace("\r", "%0d").replace("\n", "%0a").replace("\x1b", "%1b").replace("\t", "%09")
    answers: list[Any] = [
        await gateway.http.get(f"/api/adr/{quoted}"),
        await gateway.http.get(f"/{quoted}"),
        await gateway.http.get(f"/api/adr?cursor={quoted}&{quoted}=1"),
        await gateway.http.get(f"/api/context/domain/{quoted}"),
        await gateway.http.post("/api/adr", json={"title": text, "decision": "y", text: "z"}),
        await gateway.http.post("/api/adr", json={"title": text, "decision": "y"}),
    ]
    sent = [f"{name}: {text}" for name in ("X-Request-Id", "Prefer", "If-Match", "X-Context-Namespace", "Origin")]
    for line in sent:
        answer = await gateway.raw(raw("/api/adr", "Host: localhost", line))
        assert b"\r\nset-cookie" not in answer.lower()
    for answer in answers:
        assert "set-cookie" not in answer.headers
        assert answer.status_code < 500
    printed = capfd.readouterr().out
    assert "\nSet-Cookie" not in printed
    assert "\x1b[31m" not in printed


async def test_the_interface_says_where_it_is_reached() -> None:
    async with serve(public_url="https://context.example.org") as gateway:
        assert (await gateway.http.get("/openapi.json")).json()["servers"] == [{"url": "https://context.example.org"}]


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="this machine has no IPv6")
async def test_it_listens_on_ipv6() -> None:
    async with serve(host="::") as gateway:
        assert (await gateway.http.get(f"http://[::1]:{gateway.port}/livez")).status_code == 200
