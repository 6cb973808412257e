"""Both sides of a connection show certificates of an authority that the other trusts, and follow their files."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from context.v1 import embedding_pb2 as pb
from context.v1 import embedding_pb2_grpc as rpc
from context_common import caller, tls
from context_common.client import call, connect
from context_common.errors import Unavailable
from context_common.server import Server
from context_common.settings import Env, SettingsError
from tests.support.certificates import Authority, Folder
from tests.support.trust import admin, trust

SERVICE = pb.DESCRIPTOR.services_by_name["EmbeddingService"]
REQUEST = pb.DescribeModelRequest()


class Watching(rpc.EmbeddingServiceServicer):
    """Remembers by which certificates it was called."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def DescribeModel(self, request: Any, context: Any) -> pb.DescribeModelResponse:
        (name,) = context.auth_context()["x509_common_name"]
        self.seen.append(name.decode())
        return pb.DescribeModelResponse(name=self.seen[-1])

    Embed: Any = None
    EmbedMany: Any = None
    Tokenize: Any = None


async def ready() -> None:
    """It always is."""


@asynccontextmanager
async def serving(certificates: tls.Certificates) -> AsyncIterator[tuple[Watching, int]]:
    """A service with `certificates`, and its port."""
    servicer = Watching()
    server = Server("127.0.0.1:0", trust=replace(trust("embedding"), certificates=certificates), ready=ready, grace=0.2)
    async with server.add(rpc.add_EmbeddingServiceServicer_to_server, servicer, SERVICE):
        yield servicer, server.port


@asynccontextmanager
async def calling(port: int, certificates: tls.Certificates | None) -> AsyncIterator["rpc.EmbeddingServiceAsyncStub"]:
    """A stub whose process has `certificates`."""
    who = replace(trust("gateway"), certificates=certificates)
    async with connect(f"127.0.0.1:{port}", SERVICE, trust=who, to="embedding") as channel:
        caller.bind(admin())
        yield rpc.EmbeddingServiceStub(channel)


async def test_only_those_with_a_certificate_of_ours_get_in(tmp_path: Path) -> None:
    ours, theirs = Authority("ours"), Authority("theirs")
    server = Folder(tmp_path / "server").write(ours.issue("embedding"), ours)
    good = Folder(tmp_path / "good").write(ours.issue("gateway"), ours)
    stranger = Folder(tmp_path / "stranger").write(theirs.issue("gateway"), ours)
    distrustful = Folder(tmp_path / "distrustful").write(ours.issue("gateway"), theirs)
    async with serving(server) as (servicer, port):
        async with calling(port, good) as stub:
            assert (await call(stub.DescribeModel, REQUEST, within=10)).name == "gateway"
        for certificates in (None, stranger, distrustful):
            async with calling(port, certificates) as stub:
                with pytest.raises(Unavailable):
                    await call(stub.DescribeModel, REQUEST, within=10)
        assert servicer.seen == ["gateway"]


async def test_tls_without_a_certificate_of_ones_own_is_not_enough_even_for_health(tmp_path: Path) -> None:
    ours = Authority("ours")
    server = Folder(tmp_path / "server").write(ours.issue("embedding"), ours)
    async with serving(server) as (_, port):
        credentials = grpc.ssl_channel_credentials(ours.pem)
        async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.Check(health_pb2.HealthCheckRequest(), timeout=10)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def shown(port: int, folder: Folder) -> bytes:
    """The certificate that a server shows to a new connection."""
    context = ssl.create_default_context(cafile=folder.files.authorities)
    context.load_cert_chain(folder.files.certificate, folder.files.key)
    context.set_alpn_protocols(["h2"])
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return ssl.DER_cert_to_PEM_cert(der).encode()


async def test_new_files_are_used_for_new_connections_and_no_call_fails(tmp_path: Path) -> None:
    old, new = Authority("old"), Authority("new")
    server, client = Folder(tmp_path / "server"), Folder(tmp_path / "client")
    first = server.write(old.issue("embedding"), old)
    async with (
        serving(first) as (servicer, port),
        calling(port, client.write(old.issue("gateway-1"), old)) as stub,
        asyncio.timeout(60),
    ):
        # An authority is replaced in steps: first both are trusted, then certificates are new, then the old one goes.
        server.write(old.issue("embedding"), old, new)
        client.write(old.issue("gateway-2"), old, new)
        while "gateway-2" not in servicer.seen:
            await call(stub.DescribeModel, REQUEST, within=10)
        fresh = new.issue("embedding")
        server.write(fresh, old, new)
        client.write(new.issue("gateway-3"), old, new)
        while "gateway-3" not in servicer.seen:
            await call(stub.DescribeModel, REQUEST, within=10)
        assert await shown(port, client) == fresh[0]
        server.write(fresh, new)
        stale = Folder(tmp_path / "stale").write(old.issue("gateway-1"), new)
        async with calling(port, stale) as refused:
            with pytest.raises(Unavailable):
                await call(refused.DescribeModel, REQUEST, within=10)
        assert (await call(stub.DescribeModel, REQUEST, within=10)).name == "gateway-3"
    assert sorted(set(servicer.seen)) == ["gateway-1", "gateway-2", "gateway-3"]


def test_what_does_not_fit_together_is_not_taken_over(tmp_path: Path) -> None:
    ours, folder = Authority("ours"), Folder(tmp_path / "server")
    certificates = folder.write(ours.issue("one"), ours)
    before = certificates.latest()
    folder.files.certificate.write_bytes(ours.issue("two")[0])  # not the key's
    assert certificates.latest() is before
    folder.files.key.unlink()
    assert certificates.latest() is before
    after = ours.issue("three")
    folder.write(after, ours)
    assert certificates.latest().certificate == after[0]


def complaint(**environ: str) -> str:
    env = Env(environ)
    tls.read(env)
    with pytest.raises(SettingsError) as caught:
        env.complain()
    return str(caught.value)


def test_settings_that_make_no_identity_are_refused_by_name(tmp_path: Path) -> None:
    ours, folder = Authority("ours"), Folder(tmp_path / "server")
    folder.write(ours.issue("one"), ours)
    good = folder.environ
    assert tls.read(Env(good)) is not None
    assert tls.read(Env({})) is None
    assert "missing: TLS_KEY_FILE and TLS_CA_FILE" in complaint(TLS_CERT_FILE=good["TLS_CERT_FILE"])
    for name in good:
        assert name in complaint(**(good | {name: str(tmp_path / "absent")}))
        (tmp_path / "garbage").write_text("no PEM")
        assert name in complaint(**(good | {name: str(tmp_path / "garbage")}))
