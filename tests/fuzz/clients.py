"""Clients that send too much, too slowly or not what HTTP is; and credentials that were forged or seen before."""

import asyncio
import base64
import json
import random
import string
import time
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

import aiohttp
import jwt

from tests.chaos.report import Report
from tests.fuzz.target import OPEN, SECRET, Tally, Target, request
from tests.fuzz.wire import broken_tokens

MIB = 2**20
SLOW = 60  # connections that send a byte now and then
PATIENCE = 45.0  # seconds by which a slow client must have been cut off


async def send_too_much(target: Target, report: Report) -> None:
    """Oversize and deep bodies, long addresses and heads."""
    tally, headers = Tally(), {**target.callers["admin"], "Content-Type": "application/json"}
    bulk = {**headers, "Content-Type": "application/x-ndjson"}
    title = json.dumps({"title": "x" * (2 * MIB), "decision": "d"}).encode()
    cases: list[tuple[str, str, Mapping[str, str], bytes | None, tuple[int, ...]]] = [
        ("POST", "/api/adr", headers, title, (413,)),
        ("POST", "/api/adr", headers, b"[" * 100_000 + b"]" * 100_000, (400, 413, 422)),
        ("POST", "/api/adr", headers, b'{"a":' * 50_000 + b"1" + b"}" * 50_000, (400, 413, 422)),
        ("POST", "/api/context/query", headers, json.dumps({"query": "x" * 900_000}).encode(), (413, 422)),
        ("POST", "/api/search", headers, json.dumps({"query": "q", "tags": ["t"] * 200_000}).encode(), (413, 422)),
        ("POST", "/v1/embeddings", headers, json.dumps({"input": ["x"] * 100_000}).encode(), (413, 422)),
        ("POST", "/api/adr", headers, b'{"title": ' + b"9" * 500_000 + b"}", (400, 413, 422)),
        ("POST", "/api/bulk", bulk, b'{"type":"adr","title":"' + b"x" * (3 * MIB) + b'"}', (200, 413)),
        ("POST", "/api/bulk", bulk, b"\n" * (4 * MIB), (200, 413)),
        ("GET", "/api/adr?q=" + "x" * 20_000, headers, None, (414, 431, 400)),
        ("GET", "/api/adr/" + "x" * 7000, headers, None, (404,)),
        ("GET", "/api/adr", {**headers, "X-Long": "x" * 100_000}, None, (431, 400)),
        ("GET", "/api/adr", {**headers, **{f"X-{n}": "x" for n in range(500)}}, None, (431, 400)),
    ]
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        for method, path, sent, body, wanted in cases:
            status, seconds, answer = await request(session, method, target.url + path, sent, body)
            what = f"{method} {path[:60]} with {len(body or b'')} bytes"
            tally.judge(what, status, seconds, answer)
            if status not in wanted:
                tally.blame("not refused as it should be", f"{what}: {status}, not {wanted}: {answer[:200]}")
    tally.tell("too large, too deep", report)


async def send_slowly(target: Target, report: Report) -> None:
    """Slow heads, slow bodies, idle connections, many at once; meanwhile others must be answered."""
    parts, tally = urlsplit(target.url), Tally()
    assert parts.hostname
    assert parts.port
    head = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    credential = target.callers["admin"]["Authorization"].encode()
    body = b"POST /api/adr HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: " + credential
    body += b"\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
    slow = [
        *(_drip(parts.hostname, parts.port, head, b"X-a: b\r\n") for _ in range(SLOW)),
        *(_drip(parts.hostname, parts.port, body, b" ") for _ in range(SLOW)),
        *(_drip(parts.hostname, parts.port, b"", b"") for _ in range(SLOW)),
    ]
    tasks = [asyncio.create_task(one) for one in slow]
    answers = await _ask_meanwhile(target, tasks)
    ends = await asyncio.gather(*tasks)
    for seconds in ends:
        tally.count("cut off" if seconds is not None else "still open", seconds or PATIENCE)
        if seconds is None:
            tally.blame("never cut off", "a slow connection")
    tally.tell("slow-loris, slow bodies, idle connections", report)
    failed = [status for status, _ in answers if status != 200]
    report.ask("asked meanwhile by others", len(answers), "more than 0", ok=bool(answers))
    report.ask("of them not answered well", len(failed), "0", ok=not failed)
    report.tell("slowest of them, s", round(max(seconds for _, seconds in answers), 2))


async def _ask_meanwhile(target: Target, tasks: list["asyncio.Task[float | None]"]) -> list[tuple[int, float]]:
    answers = []
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        while not all(task.done() for task in tasks):
            status, seconds, _ = await request(
                session, "GET", f"{target.url}/api/adr?limit=1", target.callers["read"], None
            )
            answers.append((status, seconds))
            await asyncio.sleep(0.2)
    return answers


async def _drip(host: str, port: int, first: bytes, then: bytes) -> float | None:
    """Seconds until a connection on which little comes is cut off; None where it never is."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(first)
    try:
        while time.monotonic() - began < PATIENCE:
            try:
                async with asyncio.timeout(1):
                    if not await reader.read(65536):
                        return time.monotonic() - began
            except TimeoutError:
                writer.write(then)
    except OSError:
        return time.monotonic() - began
    finally:
        writer.close()
    return None


async def send_nonsense(target: Target, count: int, start: int, report: Report) -> None:
    """Bytes that are not HTTP, or nearly."""
    parts, tally, rng = urlsplit(target.url), Tally(), random.Random(start)
    for number in range(count):
        raw = _nonsense(rng, number)
        began = time.monotonic()
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            writer.write(raw)
            writer.write_eof()
            async with asyncio.timeout(20):
                answer = (await reader.read(65536)).decode(errors="replace")
        except OSError:
            answer = ""
        finally:
            writer.close()
        status = answer.split(" ", 2)[1] if answer.startswith("HTTP/1.1 ") else "0"
        tally.judge(repr(raw[:100]), int(status), time.monotonic() - began, answer)
    tally.tell("bytes that are hardly HTTP", report)


def _nonsense(rng: random.Random, number: int) -> bytes:
    good = b"GET /api/adr HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Context-Namespace: open\r\n\r\n"
    smuggled = (
        b"POST /api/adr HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    )
    broken = bytearray(good if number % 3 else smuggled + good)
    for _ in range(rng.randrange(6)):
        broken[rng.randrange(len(broken))] = rng.randrange(256)
    return rng.randbytes(200) if number % 7 == 0 else bytes(broken)


async def show_forgeries(target: Target, report: Report) -> None:
    """Keys and JWTs that must not hold, and one that holds for its own namespace only."""
    tally = Tally()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        for name, credential in forgeries(target):
            headers = {"Authorization": f"Bearer {credential}", "X-Context-Namespace": OPEN}
            status, seconds, answer = await request(session, "GET", f"{target.url}/api/adr", headers, None)
            tally.judge(name, status, seconds, answer)
            if status not in (401, 400, 431):
                tally.blame("accepted", f"{name}: {status}")
        for name, shown in strangers(target):
            status, seconds, answer = await request(session, "GET", f"{target.url}/api/adr", shown, None)
            tally.judge(name, status, seconds, answer)
            if status not in (401, 404):
                tally.blame("accepted", f"{name}: {status}")
    tally.tell("forged and replayed credentials", report)


def forgeries(target: Target) -> Iterator[tuple[str, str]]:
    """Credentials none of which may hold."""
    good = target.access.token(namespaces=[OPEN])
    yield from ((f"JWT: {name}", token) for name, token in broken_tokens(good, target.access.secret))
    claims = jwt.decode(good, options={"verify_signature": False})
    changes: dict[str, dict[str, object]] = {
        "expired": {"exp": int(time.time()) - 600},
        "no expiry": {"exp": None},
        "not yet": {"nbf": int(time.time()) + 600},
        "no subject": {"sub": None},
        "expiry is a text": {"exp": "never"},
    }
    for name, changed in changes.items():
        some = {key: value for key, value in {**claims, **changed}.items() if value is not None}
        yield f"JWT: {name}", jwt.encode(some, target.access.secret, "HS256")
    yield "the service token's secret", jwt.encode(claims, target.cluster.service_secret, "HS256")
    key = target.callers["admin"]["Authorization"].removeprefix("Bearer ")
    rng = random.Random(7)
    for at in range(len(key)):
        other = rng.choice([c for c in string.ascii_letters + string.digits if c != key[at]])
        yield f"key: character {at} changed", key[:at] + other + key[at + 1 :]
    yield "key: cut", key[:-1]
    yield "key: longer", key + "a"
    yield "key: other case", key.swapcase()
    yield "key: in base64", base64.b64encode(key.encode()).decode()


def strangers(target: Target) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Credentials that hold, shown where they give nothing."""
    for name in ("read", "write", "admin"):
        yield f"{name} in the other namespace", {**target.callers[name], "X-Context-Namespace": SECRET}
    mine = target.access.token(namespaces=[OPEN])
    yield "a JWT in the other namespace", {"Authorization": f"Bearer {mine}", "X-Context-Namespace": SECRET}
    service = {"X-Context-Namespace": SECRET, "X-Context-Principal": "service:retrieval", "X-Context-Scopes": "admin"}
    yield "a service's metadata as headers", service
