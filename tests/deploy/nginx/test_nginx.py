"""nginx as it is shipped, before a small upstream: what it lets through, what it adds and what it answers itself."""

import json
import os
import shutil
import signal
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.support import loopback
from tests.support.names import Names
from tests.support.nginx import DOMAIN, PUBLIC_URL, Nginx, prepare, run
from tests.support.upstream import Upstream

pytestmark = pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is not installed; .ci/run installs it")
HEADERS = {
    "strict-transport-security": "max-age=31536000; includeSubDomains",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "x-xss-protection": "1; mode=block",
}
MIB = 1024 * 1024
SEEN_WITHIN = 20.0  # seconds


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def nginx(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    with run(tmp_path_factory.mktemp("nginx") / "etc", f"127.0.0.1:{upstream.port}") as nginx:
        yield nginx


@pytest.fixture
def client(nginx: Nginx) -> Iterator[httpx2.Client]:
    with nginx.client() as client:
        yield client


def is_problem(answer: httpx2.Response, status: int) -> bool:
    """Whether nginx answered `status` as the gateway would."""
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert {"type", "title", "detail", "error", "code", "details"} <= problem.keys()
    return bool(problem["status"] == status and problem["request_id"] == answer.headers["x-request-id"])


def handshake(nginx: Nginx, context: ssl.SSLContext) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", nginx.https), 10)
    return context.wrap_socket(plain, server_hostname=DOMAIN)


def raw(nginx: Nginx, head: str) -> int:
    """The status of the problem that is the answer to `head` alone, which no decent client sends."""
    with handshake(nginx, nginx.trust()) as secure:
        secure.settimeout(SEEN_WITHIN)
        secure.sendall(f"{head}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: secure.recv(65536), b""))
    said, _, body = answer.decode().partition("\r\n\r\n")
    assert "application/problem+json" in said
    assert "X-Frame-Options: DENY" in said
    return int(json.loads(body)["status"])


def test_the_configuration_is_one_without_a_warning(tmp_path: Path) -> None:
    checked = prepare(tmp_path / "etc", "gateway:4000").check()
    assert checked.returncode == 0, checked.stderr
    assert "[warn]" not in checked.stderr


def test_a_mistake_in_the_configuration_is_found(tmp_path: Path) -> None:
    nginx = prepare(tmp_path / "etc", "gateway:4000")
    with (nginx.folder / "nginx.conf").open("a") as file:
        file.write("limit_req_zone $caller zone=late:1m rate=1r/s;\n")
    assert nginx.check().returncode != 0


@pytest.mark.parametrize("path", ["/api/adr", "/livez", "/status/404", "/status/500", "/metrics", "/api/bulk"])
def test_every_answer_has_each_header_once(client: httpx2.Client, path: str) -> None:
    answer = client.get(path)
    for name, value in HEADERS.items():
        assert answer.headers.get_list(name) == [value], name
    assert len(answer.headers.get_list("x-request-id")) == 1


def test_the_port_in_the_clear_only_sends_to_the_other(nginx: Nginx) -> None:
    for method in ("GET", "POST"):
        answer = loopback.request(method, f"http://127.0.0.1:{nginx.http}/api/adr?limit=2")
        assert answer.status_code == 308
        assert answer.headers["location"] == f"{PUBLIC_URL}/api/adr?limit=2"


def test_it_listens_on_ipv6(nginx: Nginx) -> None:
    if not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")
    with httpx2.Client(verify=nginx.trust(), trust_env=False) as client:
        assert client.get(f"https://[::1]:{nginx.https}/livez", headers={"Host": DOMAIN}).status_code == 200
        assert client.get(f"http://[::1]:{nginx.http}/").status_code == 308


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_new_protocols_are_spoken(nginx: Nginx, version: ssl.TLSVersion) -> None:
    context = nginx.trust()
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    with handshake(nginx, context) as secure:
        assert secure.version() == version.name.replace("_", ".")
        assert secure.selected_alpn_protocol() == "h2"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_protocols_are_refused(nginx: Nginx, version: ssl.TLSVersion) -> None:
    context = nginx.trust()
    context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        handshake(nginx, context)


@pytest.mark.parametrize(("ciphers", "taken"), [("ECDHE+AESGCM", True), ("aNULL", False), ("eNULL", False)])
def test_only_strong_ciphers_are_taken(nginx: Nginx, ciphers: str, taken: bool) -> None:
    context = nginx.trust()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    if taken:
        handshake(nginx, context).close()
    else:
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            handshake(nginx, context)


def test_the_gateway_hears_who_asks_and_how_and_nobody_can_pretend(client: httpx2.Client, upstream: Upstream) -> None:
    spoofed = {"X-Forwarded-For": "203.0.113.7", "X-Real-IP": "203.0.113.7", "X-Forwarded-Proto": "gopher"}
    client.get("/api/adr?limit=2", headers=spoofed | {"X-Request-Id": "mine-1"})
    seen = upstream.seen[-1]
    assert seen.path == "/api/adr?limit=2"
    assert seen.headers["host"] == DOMAIN
    assert seen.headers["x-forwarded-for"] == seen.headers["x-real-ip"] == "127.0.0.1"
    assert seen.headers["x-forwarded-proto"] == "https"
    assert seen.headers["x-request-id"] == "mine-1"
    assert seen.headers.get("connection", "") == ""
    assert "upgrade" not in seen.headers


def test_a_request_id_that_is_none_is_replaced(client: httpx2.Client, upstream: Upstream) -> None:
    answer = client.get("/livez", headers={"X-Request-Id": 'x" y'})
    assert upstream.seen[-1].headers["x-request-id"] == answer.headers["x-request-id"] != 'x" y'


def test_an_upgrade_goes_through_where_it_is_asked_for(client: httpx2.Client, upstream: Upstream) -> None:
    client.get("/livez", headers={"Upgrade": "websocket", "Connection": "upgrade"})
    seen = upstream.seen[-1].headers
    assert (seen["upgrade"], seen["connection"]) == ("websocket", "upgrade")


def test_other_hosts_are_none_of_ours(client: httpx2.Client, upstream: Upstream) -> None:
    before = len(upstream.seen)
    assert is_problem(client.get("/livez", headers={"Host": "other.example.org"}), 421)
    assert len(upstream.seen) == before


def test_metrics_stay_inside(client: httpx2.Client, upstream: Upstream) -> None:
    before = len(upstream.seen)
    assert is_problem(client.get("/metrics"), 404)
    assert len(upstream.seen) == before


def test_what_nginx_answers_with_cannot_be_asked_for(client: httpx2.Client) -> None:
    assert is_problem(client.get("/problem/502"), 404)


def test_bodies_are_limited_and_only_bulk_may_be_large(client: httpx2.Client, nginx: Nginx, upstream: Upstream) -> None:
    assert client.post("/api/adr", content=b"x" * MIB).status_code == 200
    before = len(upstream.seen)
    assert is_problem(client.post("/api/adr", content=b"x" * (MIB + 1)), 413)
    assert raw(nginx, f"POST /api/bulk HTTP/1.1\r\nHost: {DOMAIN}\r\nContent-Length: {64 * MIB + 1}") == 413
    assert len(upstream.seen) == before
    assert client.post("/api/bulk", content=b"x" * 3 * MIB).content == b"%d" % (3 * MIB)


def test_bulk_is_not_held_back_in_either_direction(nginx: Nginx) -> None:
    head = f"POST /api/bulk HTTP/1.1\r\nHost: {DOMAIN}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    with handshake(nginx, nginx.trust()) as secure:
        secure.settimeout(SEEN_WITHIN)
        secure.sendall(head.encode() + b"6\r\nfirst\n\r\n")
        got = b""
        while b"first\n" not in got:  # the second line is sent only when the first was answered
            got += secure.recv(4096)
        secure.sendall(b"7\r\nsecond\n\r\n0\r\n\r\n")
        while part := secure.recv(4096):
            got += part
    assert b"second\n" in got


def test_one_credential_beyond_its_rate_is_refused_and_no_other(client: httpx2.Client) -> None:
    def bulk(who: str) -> httpx2.Response:
        return client.post("/api/bulk", headers={"Authorization": f"Bearer {who}"}, content=b"{}")

    answers = [bulk("one") for _ in range(40)]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert refused
    assert is_problem(refused[0], 429)
    assert refused[0].headers["retry-after"] == str(refused[0].json()["retry_after"]) == "1"
    assert bulk("other").status_code == 200
    # Another class of route has a count of its own.
    assert client.get("/api/adr", headers={"Authorization": "Bearer one"}).status_code == 200


def test_classes_of_routes_count_apart_and_reads_may_come_in_bursts(client: httpx2.Client) -> None:
    credential = {"Authorization": "Bearer team"}
    reads = [client.get("/api/adr", headers=credential).status_code for _ in range(100)]
    queries = [client.post("/api/search", headers=credential, content=b"{}").status_code for _ in range(100)]
    assert {*reads, *queries} == {200}
    asked = [client.get("/api/admin/keys", headers=credential).status_code for _ in range(100)]
    assert set(asked) == {200, 429}
    assert client.post("/api/adr", headers=credential, content=b"{}").status_code == 200


def test_what_the_gateway_refuses_stays_as_it_said_it(client: httpx2.Client) -> None:
    answer = client.get("/status/429")
    assert (answer.status_code, answer.content) == (429, b"ok")
    assert answer.headers.get_list("retry-after") == ["17"]


def test_malformed_requests_are_problems_too(client: httpx2.Client, nginx: Nginx) -> None:
    assert raw(nginx, f"GET /{'x' * 70_000} HTTP/1.1\r\nHost: {DOMAIN}") == 414
    assert is_problem(client.get("/", headers={"X-Large": "x" * 70_000}), 431)
    plain = loopback.get(f"http://127.0.0.1:{nginx.https}/")  # in the clear, to the port for TLS
    assert is_problem(plain, 400)


def test_without_a_gateway_callers_are_told_to_come_back(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"127.0.0.1:{taken.getsockname()[1]}"
    with run(tmp_path / "etc", nobody) as nginx, nginx.client() as client:
        answer = client.get("/api/adr")
        assert is_problem(answer, 502)
        assert answer.headers["retry-after"] == "2"
        assert answer.headers["x-frame-options"] == "DENY"


def test_replicas_are_found_while_it_runs_and_the_lost_are_passed_over(tmp_path: Path) -> None:
    with (
        Upstream("127.0.0.1") as first,
        Upstream("127.0.0.2", first.port) as second,
        Names("127.0.0.1") as names,
        run(tmp_path / "etc", f"gateway.test:{first.port}", f"127.0.0.1:{names.port}") as nginx,
        nginx.client() as client,
    ):
        assert client.get("/api/adr").status_code == 200
        assert not second.seen
        names.addresses = ["127.0.0.1", "127.0.0.2"]
        until = time.monotonic() + SEEN_WITHIN
        while not second.seen and time.monotonic() < until:
            assert client.get("/api/adr").status_code == 200
            time.sleep(0.1)
        assert second.seen
        names.addresses = ["127.0.0.2", "127.0.0.3"]  # nobody is at the last
        until = time.monotonic() + 3  # longer than an answer of the name server is believed
        while time.monotonic() < until:
            assert client.post("/api/context/query", content=b"{}").status_code == 200
            time.sleep(0.1)


def test_the_log_names_the_request_and_no_secret(client: httpx2.Client, nginx: Nginx) -> None:
    client.get("/metrics?cursor=c3VzcGVjdA", headers={"Authorization": "Bearer hush", "X-Request-Id": "logged-1"})
    until = time.monotonic() + SEEN_WITHIN
    while "logged-1" not in (text := (nginx.folder / "access.log").read_text()) and time.monotonic() < until:
        time.sleep(0.02)
    line = next(json.loads(line) for line in text.splitlines() if "logged-1" in line)
    assert (line["path"], line["status"], line["method"]) == ("/metrics", 404, "GET")
    assert "hush" not in text
    assert "c3VzcGVjdA" not in text


def test_a_renewed_certificate_is_taken_over_while_it_runs(tmp_path: Path, upstream: Upstream) -> None:
    with run(tmp_path / "etc", f"127.0.0.1:{upstream.port}") as nginx:
        with handshake(nginx, nginx.trust()) as secure:
            before = secure.getpeercert(binary_form=True)
        certificate, key = nginx.authority.issue(DOMAIN)
        (nginx.folder / "ssl" / "fullchain.pem").write_bytes(certificate)
        (nginx.folder / "ssl" / "privkey.pem").write_bytes(key)
        os.kill(int((nginx.folder / "nginx.pid").read_text()), signal.SIGHUP)
        until = time.monotonic() + SEEN_WITHIN
        now = before
        while now == before and time.monotonic() < until:
            with handshake(nginx, nginx.trust()) as secure:
                now = secure.getpeercert(binary_form=True)
        assert now != before
