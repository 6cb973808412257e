"""The probe that health checks run, over real servers."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from context.v1 import embedding_pb2 as pb
from context.v1.embedding_pb2_grpc import EmbeddingServiceServicer, add_EmbeddingServiceServicer_to_server
from context_common.probe import reachable
from context_common.server import Server
from context_common.tls import Certificates
from context_common.trust import Trust
from tests.support.certificates import Authority, Folder

EVERYWHERE = "0.0.0.0"  # noqa: S104 - where containers listen
SERVICE = pb.DESCRIPTOR.services_by_name["EmbeddingService"]


@asynccontextmanager
async def serving(*, well: bool = True, certificates: Certificates | None = None) -> AsyncIterator[int]:
    """A server that is ready or not; gives its port."""

    async def ready() -> None:
        if not well:
            raise ConnectionError("the database is away")

    server = Server("127.0.0.1:0", trust=Trust("embedding", certificates=certificates), ready=ready)
    unimplemented: Any = EmbeddingServiceServicer
    server.add(add_EmbeddingServiceServicer_to_server, unimplemented(), SERVICE)
    async with server:
        yield server.port


async def probe(*arguments: str, environ: Mapping[str, str] | None = None) -> tuple[int, str]:
    """The exit code of the command, and what it says."""
    command = (sys.executable, "-m", "context_common.probe", *arguments)
    done = await asyncio.to_thread(
        subprocess.run, command, env={"PATH": os.environ["PATH"], **(environ or {})}, capture_output=True, text=True
    )
    return done.returncode, done.stdout + done.stderr


def http_server(status: int) -> Any:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 %d x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status)
        await writer.drain()
        writer.close()

    return asyncio.start_server(answer, "127.0.0.1", 0)


@pytest.mark.parametrize(
    ("listened", "reached"),
    [(EVERYWHERE, "127.0.0.1"), ("::", "[::1]"), ("[::]", "[::1]"), ("10.1.2.3", "10.1.2.3"), ("name", "name")],
)
def test_an_address_for_everywhere_is_reached_by_loopback(listened: str, reached: str) -> None:
    assert reachable(listened) == reached


async def test_what_serves_is_well_by_the_address_it_listens_on() -> None:
    async with serving() as port:
        assert await probe(environ={"LISTEN": f"{EVERYWHERE}:{port}"}) == (0, "")
        assert await probe("--service", SERVICE.full_name, f"127.0.0.1:{port}") == (0, "")


async def test_a_process_whose_database_is_away_lives_and_is_not_ready() -> None:
    async with serving(well=False) as port:
        assert await probe(f"127.0.0.1:{port}") == (0, "")
        code, said = await probe("--service", SERVICE.full_name, f"127.0.0.1:{port}")
        assert (code, "NOT_SERVING" in said) == (1, True)


async def test_by_mutual_tls_whatever_name_the_certificate_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = Authority("ours"), Authority("theirs")
    # As an orchestrator issues them: for the service's name, which loopback is not.
    named = x509.SubjectAlternativeName([x509.DNSName("embedding.production.svc")])
    monkeypatch.setattr(x509, "SubjectAlternativeName", lambda _names: named)
    folder = Folder(tmp_path / "server")
    certificates = folder.write(ours.issue("embedding"), ours)
    stranger = Folder(tmp_path / "stranger")
    stranger.write(theirs.issue("embedding"), ours)
    distrustful = Folder(tmp_path / "distrustful")
    distrustful.write(ours.issue("embedding"), theirs)
    async with serving(certificates=certificates) as port:
        where = {"LISTEN": f"{EVERYWHERE}:{port}"}
        assert await probe(environ={**where, **folder.environ}) == (0, "")
        for environ in (where, {**where, **stranger.environ}, {**where, **distrustful.environ}):
            assert (await probe("--timeout", "2", environ=environ))[0] == 1


@pytest.mark.parametrize(("status", "expected"), [(200, 0), (503, 1)])
async def test_by_http_only_200_is_well(status: int, expected: int) -> None:
    async with await http_server(status) as server:
        port = str(server.sockets[0].getsockname()[1])
        code, said = await probe("--http", "/livez", environ={"HOST": EVERYWHERE, "PORT": port})
        assert (code, said == "") == (expected, expected == 0), said


async def test_where_nobody_listens_or_nothing_says_where_it_is_unwell() -> None:
    assert (await probe("127.0.0.1:1"))[0] == 1
    assert (await probe("--http", "/livez", "127.0.0.1:1"))[0] == 1
    code, said = await probe()
    assert (code, "LISTEN" in said) == (1, True)
