"""Slow, broken and hostile clients, by raw sockets: each gets an end, and nobody else notices."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from prometheus_client import REGISTRY

from context_gateway.limits import Limits
from context_gateway.protocol import LARGEST_HEAD, LONGEST_TARGET, MOST_HEADERS, MOST_PIPELINED
from tests.support.gateway import Gateway, serve

pytestmark = pytest.mark.asyncio(loop_scope="module")
HEAD = b"POST /api/adr HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
GET = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"
ENDS_WITHIN = 15.0  # seconds; far above every limit that is set here


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def impatient() -> AsyncIterator[Gateway]:
    """A gateway that gives clients a moment only."""
    limits = Limits(header_seconds=0.3, body_seconds=0.3, keep_alive_seconds=0.3, connections=8)
    async with serve(limits=limits) as gateway:
        yield gateway


async def send(gateway: Gateway, *parts: bytes, every: float = 0.05) -> bytes:
    """Send `parts` one after the other; everything that is answered until the gateway closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)

    async def drip() -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(every)

    sending = asyncio.create_task(drip())
    try:
        async with asyncio.timeout(ENDS_WITHIN):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        writer.close()


def status(answer: bytes) -> int:
    return int(answer.split()[1])


def cut_off(reason: int | str) -> float:
    return REGISTRY.get_sample_value("http_cut_off_total", {"reason": str(reason)}) or 0


@pytest.mark.parametrize(
    "first",
    [b"", b"G", GET, GET + b"X-Slow: ", HEAD + b"Content-Length: 5"],
    ids=["nothing", "a letter", "no end", "half a header", "half a length"],
)
async def test_a_head_that_does_not_end_is_not_waited_for(impatient: Gateway, first: bytes) -> None:
    answer = await send(impatient, first)
    assert not answer if not first else status(answer) == 408


async def test_a_head_that_drips_is_not_waited_for(impatient: Gateway) -> None:
    answer = await send(impatient, GET, *[b"X-Drip: 1\r\n"] * 500)
    assert status(answer) == 408


@pytest.mark.parametrize("drops", [0, 500], ids=["stops", "drips"])
@pytest.mark.parametrize("length", [b"Content-Length: 100000", b"Transfer-Encoding: chunked"])
async def test_a_body_that_is_too_slow_is_not_waited_for(impatient: Gateway, drops: int, length: bytes) -> None:
    drop = b"1\r\n \r\n" if b"chunked" in length else b" "
    answer = await send(impatient, HEAD + length + b"\r\n\r\n", *[drop] * drops)
    assert status(answer) == 408
    assert impatient.knowledge.requests == []


async def test_what_is_left_of_a_refused_body_is_not_waited_for(impatient: Gateway) -> None:
    refused = b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"
    answer = await send(impatient, refused, *[b"x"] * 500)
    assert status(answer) == 404


async def test_a_connection_that_idles_is_closed(impatient: Gateway) -> None:
    assert status(await send(impatient, GET + b"\r\n")) == 200


async def test_a_slow_client_that_keeps_going_is_served(impatient: Gateway) -> None:
    body = json.dumps({"title": "x", "decision": "y" * 20_000}).encode()
    length = b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
    parts = [body[at : at + 2000] for at in range(0, len(body), 2000)]
    assert status(await send(impatient, HEAD + length, *parts)) == 201


async def test_many_slow_clients_keep_nobody_out() -> None:
    # As long as a busy machine may stand still: whoever asks must not become a slow client by that.
    limits = Limits(header_seconds=2.0, body_seconds=2.0, keep_alive_seconds=2.0, connections=8)
    async with serve(limits=limits) as gateway:
        slow = [await asyncio.open_connection("127.0.0.1", gateway.port) for _ in range(40)]
        for _, writer in slow:
            writer.write(GET)
        # Each takes the place of one that sends nothing, or is told to come back: none hangs.
        answers = [await send(gateway, GET + b"Connection: close\r\n\r\n") for _ in range(8)]
        assert {status(answer) for answer in answers} <= {200, 503}
        async with asyncio.timeout(ENDS_WITHIN):
            while status(await send(gateway, GET + b"Connection: close\r\n\r\n")) != 200:
                await asyncio.sleep(0.1)
        for _, writer in slow:
            writer.close()


async def test_too_many_connections_are_told_to_come_back(impatient: Gateway) -> None:
    impatient.knowledge.pause = 1.0
    busy = [await asyncio.open_connection("127.0.0.1", impatient.port) for _ in range(8)]
    for _, writer in busy:
        writer.write(b"GET /api/adr HTTP/1.1\r\nHost: localhost\r\n\r\n")
    async with asyncio.timeout(ENDS_WITHIN):
        while len(impatient.knowledge.requests) < 8:
            await asyncio.sleep(0.01)
    refused = await send(impatient, GET + b"\r\n")
    assert status(refused) == 503
    assert b"retry-after: 1" in refused.lower()
    assert b'"code":"unavailable"' in refused
    for reader, writer in busy:
        assert status(await reader.readuntil(b"\r\n")) == 200
        writer.close()
    impatient.reset()


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),  # TLS
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x00" * 64,
        b"GET /livez HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"HELO mail.example\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        GET + b"Bad Name: 1\r\n\r\n",
        GET + b"X: a\x00b\r\n\r\n",
        GET + b"X: a\rb\r\n\r\n",
        HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Content-Length: 0x10\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        b"CONNECT localhost:22 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_a_plain_400(impatient: Gateway, garbage: bytes) -> None:
    answer = await send(impatient, garbage)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert status(answer) in (400, 408), answer
    assert b"content-security-policy" in head.lower()
    assert len(body) < 100
    assert b"Traceback" not in answer


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (b"GET /" + b"a" * (LONGEST_TARGET + 1) + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
        (b"GET /livez?" + b"a" * (LONGEST_TARGET + 1) + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
        (GET + b"X: 1\r\n" * (MOST_HEADERS + 1) + b"\r\n", 431),
        (GET + b"X: " + b"a" * (LARGEST_HEAD + 1), 431),
        (GET + b"X: " + b"a" * (LARGEST_HEAD + 1) + b"\r\n\r\n", 431),
        (GET + b"A" * (LARGEST_HEAD + 1), 431),
        (b"GET /" + b"a" * (LARGEST_HEAD + 1), 414),
    ],
)
async def test_a_head_has_a_limit_in_every_direction(impatient: Gateway, request_: bytes, expected: int) -> None:
    assert status(await send(impatient, request_)) == expected


async def test_framing_that_outgrows_a_body_is_refused(impatient: Gateway) -> None:
    chunk = b"1;" + b"x" * 60_000 + b"\r\n \r\n"
    before = cut_off(400)
    await send(impatient, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 10, every=0)
    assert cut_off(400) == before + 1


async def test_trailers_change_nothing(impatient: Gateway) -> None:
    body = b'{"title": "x", "decision": "y"}'
    chunked = b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n%x\r\n%b\r\n0\r\n" % (len(body), body)
    impatient.reset()
    answer = await send(impatient, HEAD + chunked + b"X-Context-Namespace: other\r\nPrefer: respond-async\r\n\r\n")
    assert status(answer) == 201
    assert [who.namespace for who in impatient.knowledge.callers] == ["default"]
    assert b"preference-applied" not in answer.lower()


async def test_endless_pipelining_is_refused(impatient: Gateway) -> None:
    impatient.reset()
    impatient.knowledge.pause = 0.2
    request = b"GET /api/adr HTTP/1.1\r\nHost: localhost\r\n\r\n"
    await send(impatient, request * 3000)
    assert len(impatient.knowledge.requests) <= MOST_PIPELINED + 1
    impatient.reset()


async def test_some_pipelining_is_served_in_order(impatient: Gateway) -> None:
    paths = [b"/livez", b"/nowhere", b"/livez"]
    requests = [b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n" for path in paths]
    answer = await send(impatient, b"".join(requests))
    assert [int(part.split()[0]) for part in answer.split(b"HTTP/1.1 ")[1:]] == [200, 404, 200]


async def test_a_client_that_does_not_read_is_let_go() -> None:
    limits = Limits(drain_seconds=0.3, keep_alive_seconds=60)
    line = b'{"type": "adr", "title": "%b", "decision": "y"}\n' % (b"x" * 50)
    body = b"".join(b"%x\r\n%b\r\n" % (len(line) * 1000, line * 1000) for _ in range(60))
    head = b"POST /api/bulk HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
    async with serve(limits=limits) as gateway:
        before = cut_off("slow_reader")
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        deaf.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(deaf, ("127.0.0.1", gateway.port))
        sending = asyncio.create_task(loop.sock_sendall(deaf, head + b"Transfer-Encoding: chunked\r\n\r\n" + body))
        async with asyncio.timeout(ENDS_WITHIN * 2):
            while cut_off("slow_reader") == before:
                await asyncio.sleep(0.1)
            while REGISTRY.get_sample_value("http_in_flight", {"lane": "bulk"}):
                await asyncio.sleep(0.1)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        deaf.close()


async def test_it_is_counted_why_connections_ended(impatient: Gateway) -> None:
    before = cut_off(408)
    await send(impatient, GET)
    assert cut_off(408) == before + 1


async def test_a_bulk_stream_may_pause(impatient: Gateway) -> None:
    line = b'{"type": "adr", "title": "x", "decision": "y"}\n'
    head = b"POST /api/bulk HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
    framed = b"%x\r\n%b\r\n" % (len(line), line)
    parts = [head + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + framed, framed + b"0\r\n\r\n"]
    answer = await send(impatient, *parts, every=1.0)
    assert status(answer) == 200
    assert answer.count(b'"status":"created"') == 2
