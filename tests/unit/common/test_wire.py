"""Errors, callers and deadlines cross a real gRPC wire and come out as they went in."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from context.v1 import embedding_pb2 as pb
from context.v1 import embedding_pb2_grpc as rpc
from context_common import caller, deadline, interceptors
from context_common.client import call, connect, stream
from context_common.errors import (
    AppError,
    Conflict,
    Denied,
    Invalid,
    NotFound,
    Overloaded,
    Stale,
    TooLate,
    Unauthenticated,
    Unavailable,
    from_rpc,
    to_status,
)
from context_common.server import Server
from context_local.health import free_ports
from tests.support.trust import admin, trust

SERVICE = pb.DESCRIPTOR.services_by_name["EmbeddingService"]
WHO = admin()


class Scripted(rpc.EmbeddingServiceServicer):
    """Answers as the test says."""

    def __init__(self, behaviour: Callable[[], Awaitable[Any]]) -> None:
        self.behaviour = behaviour

    async def Embed(self, request: Any, context: Any) -> Any:
        return pb.EmbedResponse()

    async def Tokenize(self, request: Any, context: Any) -> Any:
        return pb.TokenizeResponse()

    async def DescribeModel(self, request: Any, context: Any) -> Any:
        return await self.behaviour()

    async def EmbedMany(self, request_iterator: Any, context: Any) -> Any:
        async for request in request_iterator:
            yield pb.EmbedManyResponse(model=pb.Model(id=request.texts[0]))
            await self.behaviour()


class Door:
    """A served behaviour, and the stub to it."""

    def __init__(self, behaviour: Callable[[], Awaitable[Any]], ready: Callable[[], Awaitable[Any]]) -> None:
        self.server = Server("127.0.0.1:0", trust=trust("embedding"), ready=ready, ready_every=0.2)
        self.server.add(rpc.add_EmbeddingServiceServicer_to_server, Scripted(behaviour), SERVICE)

    async def __aenter__(self) -> "rpc.EmbeddingServiceAsyncStub":
        await self.server.__aenter__()
        self.channel = connect(f"127.0.0.1:{self.server.port}", SERVICE, trust=trust("gateway"), to="embedding")
        caller.bind(WHO)
        return rpc.EmbeddingServiceStub(self.channel)

    async def __aexit__(self, *_: object) -> None:
        await self.channel.close()
        await self.server.__aexit__(None, None, None)


async def fine() -> pb.DescribeModelResponse:
    return pb.DescribeModelResponse(name="fine")


def raising(error: Exception) -> Callable[[], Awaitable[Any]]:
    async def behaviour() -> Any:
        raise error

    return behaviour


@pytest.mark.parametrize(
    "error",
    [
        Invalid({"title": ["is required"], "date": ["is no date", "is too late"]}),
        NotFound("no ADR-999"),
        Conflict("ADR-001 stands"),
        Stale(),
        Denied("not yours"),
        Overloaded("full", 2.5),
        TooLate(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_each_kind_of_error_arrives_as_it_was_raised(error: AppError) -> None:
    async with Door(raising(error), fine) as stub:
        with pytest.raises(AppError) as caught:
            await call(stub.DescribeModel, pb.DescribeModelRequest(), within=2)
    assert type(caught.value) is type(error)
    assert caught.value.message == error.message
    assert caught.value.retry_after == error.retry_after
    assert getattr(caught.value, "fields", None) == getattr(error, "fields", None)


async def test_a_new_channel_does_not_wait_for_what_another_could_not_reach() -> None:
    addr = f"127.0.0.1:{free_ports(1)[0]}"
    caller.bind(WHO)
    async with connect(addr, SERVICE, trust=trust("gateway"), to="embedding") as before:
        for _ in range(5):  # until it waits for longer than a call is tried again
            with pytest.raises(Unavailable):
                await call(rpc.EmbeddingServiceStub(before).DescribeModel, pb.DescribeModelRequest(), within=2)
            await asyncio.sleep(0.2)
        server = Server(addr, trust=trust("embedding"), ready=fine, ready_every=0.2)
        server.add(rpc.add_EmbeddingServiceServicer_to_server, Scripted(fine), SERVICE)
        async with server, connect(addr, SERVICE, trust=trust("gateway"), to="embedding") as after:
            answer = await call(rpc.EmbeddingServiceStub(after).DescribeModel, pb.DescribeModelRequest(), within=2)
    assert answer.name == "fine"


async def test_what_is_not_ours_arrives_without_its_detail() -> None:
    async with Door(raising(ValueError("password=hunter2")), fine) as stub:
        with pytest.raises(RuntimeError, match="internal error") as caught:
            await call(stub.DescribeModel, pb.DescribeModelRequest(), within=2)
    assert "hunter2" not in str(caught.value)


async def test_the_caller_and_the_deadline_travel() -> None:
    seen: list[Any] = []

    async def behaviour() -> pb.DescribeModelResponse:
        seen.extend([caller.current(), deadline.remaining(60)])
        return pb.DescribeModelResponse()

    async with Door(behaviour, fine) as stub:
        await call(stub.DescribeModel, pb.DescribeModelRequest(), within=2)
    assert seen[0] == WHO
    assert 1 < seen[1] < 2


async def test_a_call_past_its_deadline_is_too_late() -> None:
    async def behaviour() -> Any:
        await asyncio.sleep(5)

    async with Door(behaviour, fine) as stub:
        with pytest.raises(TooLate):
            await call(stub.DescribeModel, pb.DescribeModelRequest(), within=0.1)


async def test_a_service_that_does_not_believe_us_is_away_for_whoever_asked_us() -> None:
    async with Door(raising(Unauthenticated("the service token has expired")), fine) as stub:
        with pytest.raises(Unavailable, match="trust"):
            await call(stub.DescribeModel, pb.DescribeModelRequest(), within=2)


async def test_a_call_that_names_nobody_is_refused() -> None:
    async with Door(fine, fine) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.DescribeModel(pb.DescribeModelRequest(), timeout=2)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_an_idempotent_call_is_tried_again_when_the_service_is_away() -> None:
    tries = 0

    async def behaviour() -> pb.DescribeModelResponse:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise Unavailable
        return pb.DescribeModelResponse(name="third")

    async with Door(behaviour, fine) as stub:
        answer = await call(stub.DescribeModel, pb.DescribeModelRequest(), within=5)
    assert (answer.name, tries) == ("third", 3)


async def test_nobody_at_the_address_is_unavailable() -> None:
    channel = connect("127.0.0.1:1", SERVICE, trust=trust("gateway"), to="embedding")
    caller.bind(WHO)
    stub: rpc.EmbeddingServiceAsyncStub = rpc.EmbeddingServiceStub(channel)
    with pytest.raises(Unavailable):
        await call(stub.DescribeModel, pb.DescribeModelRequest(), within=2)
    await channel.close()


async def test_a_call_that_the_release_before_does_not_know_is_to_come_again() -> None:
    def add_but_one(servicer: Scripted, server: grpc.aio.Server) -> None:
        embed = grpc.unary_unary_rpc_method_handler(
            servicer.Embed, pb.EmbedRequest.FromString, pb.EmbedResponse.SerializeToString
        )
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE.full_name, {"Embed": embed})])

    older = Server("127.0.0.1:0", trust=trust("embedding"), ready=fine)
    older.add(add_but_one, Scripted(fine), SERVICE)
    async with older:
        channel = connect(f"127.0.0.1:{older.port}", SERVICE, trust=trust("gateway"), to="embedding")
        caller.bind(WHO)
        with pytest.raises(Unavailable) as caught:
            await call(rpc.EmbeddingServiceStub(channel).DescribeModel, pb.DescribeModelRequest(), within=2)
        assert caught.value.retry_after
        await channel.close()


async def test_a_stream_answers_and_fails_like_a_call() -> None:
    async def texts() -> AsyncIterator[pb.EmbedManyRequest]:
        yield pb.EmbedManyRequest(texts=["one"])

    async with Door(raising(Overloaded("full")), fine) as stub:
        answers = stream(stub.EmbedMany, texts(), within=2)
        assert (await anext(answers)).model.id == "one"
        with pytest.raises(Overloaded, match="full"):
            await anext(answers)


async def test_what_a_stream_is_refused_for_arrives_while_its_caller_still_sends() -> None:
    async def texts() -> AsyncIterator[pb.EmbedManyRequest]:
        for _ in range(6):
            yield pb.EmbedManyRequest(texts=["x" * 20_000] * 10)

    met = []
    async with Door(raising(Overloaded("full", 2.5)), fine) as stub:
        for _ in range(30):
            try:
                async for _ in stream(stub.EmbedMany, texts(), within=10):
                    pass
            except AppError as error:
                met.append((type(error), error.retry_after))
    assert met == [(Overloaded, 2.5)] * 30


async def test_a_caller_who_sends_without_end_hears_of_its_error_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    async def texts() -> AsyncIterator[pb.EmbedManyRequest]:
        while True:
            yield pb.EmbedManyRequest(texts=["x"])
            await asyncio.sleep(0.01)

    monkeypatch.setattr(interceptors, "HEAR_OUT_SECONDS", 0.1)
    async with Door(raising(Overloaded()), fine) as stub:
        with pytest.raises((Overloaded, Unavailable)):  # the client may lose it here
            async for _ in stream(stub.EmbedMany, texts(), within=10):
                pass


async def test_health_follows_readiness_but_liveness_does_not() -> None:
    up = False

    async def ready() -> None:
        if not up:
            raise Unavailable

    door = Door(fine, ready)
    async with door:
        # A channel without client-side health checking, which would not even ask one that does not serve.
        plain = grpc.aio.insecure_channel(f"127.0.0.1:{door.server.port}")
        health: Any = health_pb2_grpc.HealthStub(plain)

        async def status(name: str) -> int:
            return int((await health.Check(health_pb2.HealthCheckRequest(service=name), timeout=1)).status)

        assert await status(SERVICE.full_name) == health_pb2.HealthCheckResponse.NOT_SERVING
        assert await status("") == health_pb2.HealthCheckResponse.SERVING
        up = True
        async with asyncio.timeout(5):
            while await status(SERVICE.full_name) != health_pb2.HealthCheckResponse.SERVING:
                await asyncio.sleep(0.02)
        await plain.close()


@pytest.mark.parametrize("code", [grpc.StatusCode.INTERNAL, grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN])
def test_what_breaks_in_between_is_unavailable_and_what_the_server_says_is_not(code: grpc.StatusCode) -> None:
    bare = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), "Internal error from Core")
    assert type(from_rpc(bare)) is Unavailable
    said = rpc_status.to_status(to_status(ValueError("a fault of ours")))
    trailing = grpc.aio.Metadata(*said.trailing_metadata)
    assert type(from_rpc(grpc.aio.AioRpcError(said.code, grpc.aio.Metadata(), trailing, said.details))) is RuntimeError
