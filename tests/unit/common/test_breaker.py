"""A sick service is not asked again and again, what may not be repeated is not, and deadlines shrink going down."""

import asyncio
from collections import Counter

import pytest
from prometheus_client import REGISTRY

from context.v1 import embedding_pb2, knowledge_pb2, retrieval_pb2
from context_common import caller, deadline
from context_common.breaker import FAILURES
from context_common.client import RETRY, call
from context_common.errors import AppError, Invalid, NotFound, TooLate, Unavailable
from context_local.health import free_ports
from tests.support.standin import calling, serving
from tests.support.trust import admin, trust

ATTEMPTS = 3  # that gRPC makes of a call which may be repeated
DESCRIBE = embedding_pb2.DescribeModelRequest()
CREATE = knowledge_pb2.CreateItemRequest()


class Patient:
    """Behaves as a test says, and counts what reaches it."""

    def __init__(self, error: AppError | None = None) -> None:
        self.error, self.calls = error, Counter[str]()

    async def __call__(self, method: str) -> None:
        self.calls[method] += 1
        if self.error:
            raise self.error


def circuit(method: str, service: str = "context.v1.EmbeddingService") -> float | None:
    """The gauge of a method's circuit."""
    labels = {"grpc_service": service, "grpc_method": method}
    return REGISTRY.get_sample_value("grpc_client_circuit_open", labels)


async def test_a_method_that_keeps_failing_is_left_alone_until_it_answers() -> None:
    caller.bind(admin())
    patient = Patient(Unavailable("ill"))
    async with serving("embedding", patient) as addr, calling("embedding", addr) as (_, stub):
        for _ in range(FAILURES):
            with pytest.raises(Unavailable, match="ill"):
                await call(stub.DescribeModel, DESCRIBE, within=10)
        assert circuit("DescribeModel") == 1
        asked = patient.calls["DescribeModel"]
        with pytest.raises(Unavailable, match="lately") as caught:
            await call(stub.DescribeModel, DESCRIBE, within=10)
        assert caught.value.retry_after
        assert patient.calls["DescribeModel"] == asked
        # Another method of the same service is not taken for sick.
        patient.error = None
        await call(stub.Tokenize, embedding_pb2.TokenizeRequest(), within=10)
        async with asyncio.timeout(30):
            while circuit("DescribeModel"):
                try:
                    await call(stub.DescribeModel, DESCRIBE, within=10)
                except Unavailable:
                    await asyncio.sleep(0.02)
        await asyncio.gather(*(call(stub.DescribeModel, DESCRIBE, within=10) for _ in range(20)))


async def test_while_it_is_open_one_call_at_a_time_looks_whether_it_is_back() -> None:
    caller.bind(admin())
    patient = Patient(Unavailable("ill"))
    async with serving("knowledge", patient) as addr, calling("knowledge", addr) as (_, stub):
        seen = 0
        async with asyncio.timeout(30):
            while patient.calls["CreateItem"] < FAILURES + 2:
                results = await asyncio.gather(
                    *(call(stub.CreateItem, CREATE, within=10) for _ in range(50)), return_exceptions=True
                )
                assert all(isinstance(result, Unavailable) for result in results)
                if seen:
                    assert patient.calls["CreateItem"] - seen <= 1
                seen = patient.calls["CreateItem"]
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("error", [NotFound(), Invalid({"id": ["is bad"]})])
async def test_an_answer_that_says_no_is_an_answer(error: AppError) -> None:
    caller.bind(admin())
    patient = Patient(error)
    async with serving("embedding", patient) as addr, calling("embedding", addr) as (_, stub):
        for _ in range(3 * FAILURES):
            with pytest.raises(type(error)):
                await call(stub.DescribeModel, DESCRIBE, within=10)
        assert patient.calls["DescribeModel"] == 3 * FAILURES


async def test_a_service_that_hangs_is_left_alone_too() -> None:
    caller.bind(admin())
    release = asyncio.Event()

    async def hanging(method: str) -> None:
        await release.wait()

    async with serving("embedding", hanging) as addr, calling("embedding", addr) as (_, stub):
        for _ in range(FAILURES):
            with pytest.raises(TooLate):
                await call(stub.DescribeModel, DESCRIBE, within=0.1)
        with pytest.raises(Unavailable, match="lately"):
            await call(stub.DescribeModel, DESCRIBE, within=0.1)
        release.set()


async def test_what_may_not_be_repeated_is_made_once() -> None:
    caller.bind(admin())
    patient = Patient(Unavailable("ill"))
    async with serving("knowledge", patient) as addr, calling("knowledge", addr) as (_, stub):
        for number in range(1, FAILURES + 1):
            with pytest.raises(Unavailable, match="ill"):
                await call(stub.CreateItem, CREATE, within=10)
            assert patient.calls["CreateItem"] == number
        with pytest.raises(Unavailable, match="ill"):
            await call(stub.GetItem, knowledge_pb2.GetItemRequest(id="ADR-001"), within=10)
        assert patient.calls["GetItem"] == ATTEMPTS == RETRY["maxAttempts"]


async def test_repeats_have_a_budget_so_that_a_sick_service_gets_no_storm() -> None:
    caller.bind(admin())
    patient = Patient(Unavailable("ill"))
    async with serving("embedding", patient) as addr, calling("embedding", addr) as (channel, stub):
        method = stub.DescribeModel
        metadata = channel.metadata(admin(), method.path)
        made = 100
        # Below call(), where no circuit opens: gRPC's own repeats.
        await asyncio.gather(
            *(method(DESCRIBE, timeout=10, metadata=metadata) for _ in range(made)), return_exceptions=True
        )
        assert made <= patient.calls["DescribeModel"] <= made + 20


async def test_a_service_that_comes_back_is_found_again() -> None:
    caller.bind(admin())
    port = free_ports(1)[0]
    async with calling("embedding", f"127.0.0.1:{port}") as (_, stub):
        for _ in range(2 * FAILURES):
            with pytest.raises(Unavailable):
                await call(stub.DescribeModel, DESCRIBE, within=10)
        patient = Patient()
        async with serving("embedding", patient, f"127.0.0.1:{port}"), asyncio.timeout(30):
            while not patient.calls:
                try:
                    await call(stub.DescribeModel, DESCRIBE, within=10)
                except Unavailable:
                    await asyncio.sleep(0.01)


async def test_a_server_that_stops_in_the_middle_of_a_call_is_unavailable() -> None:
    caller.bind(admin())
    began = asyncio.Event()

    async def hanging(method: str) -> None:
        began.set()
        await asyncio.sleep(60)

    async with calling("knowledge", f"127.0.0.1:{(port := free_ports(1)[0])}") as (_, stub):
        async with serving("knowledge", hanging, f"127.0.0.1:{port}"):
            under_way = asyncio.create_task(call(stub.CreateItem, CREATE, within=30))
            await began.wait()
        with pytest.raises(Unavailable):
            await under_way


async def test_deadlines_shrink_at_every_step_down() -> None:
    left: dict[str, float] = {}

    async def embedding(method: str) -> None:
        left["embedding"] = deadline.remaining(60)

    async with serving("embedding", embedding) as addr, calling("embedding", addr, trust("retrieval")) as (_, below):

        async def retrieval(method: str) -> None:
            left["retrieval"] = deadline.remaining(60)
            await call(below.DescribeModel, DESCRIBE, within=60)

        async with serving("retrieval", retrieval) as middle, calling("retrieval", middle) as (_, stub):
            caller.bind(admin())
            # Short ones, for gRPC's header rounds a deadline up: by a hundredth of a second here, by a tenth above ten.
            await call(stub.Search, retrieval_pb2.SearchRequest(), within=9)
            assert 9 > left["retrieval"] > left["embedding"] > 0
            deadline.bind(5)
            await call(stub.Search, retrieval_pb2.SearchRequest(), within=9)
            assert 5 > left["retrieval"] > left["embedding"] > 0
            deadline.bind(0.01)
            with pytest.raises(TooLate):
                await call(stub.Search, retrieval_pb2.SearchRequest(), within=20)
