"""Every method of every service × every credential: in gets whom the proto names, and nobody else reaches it."""

from collections import Counter
from dataclasses import replace

import grpc
import pytest
from prometheus_client import REGISTRY

from context_common.errors import NotFound
from tests.support.matrix import BAD, KNOWN, ask, bearer, rows, targets
from tests.support.standin import PROCESSES, serving
from tests.support.trust import SECRET, admin

UNAUTHENTICATED, DENIED = grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED
GARBAGE = b"\xff\xff\xff\xff not a message"


@pytest.mark.parametrize("process", PROCESSES)
async def test_who_gets_in_is_what_the_proto_says(process: str) -> None:
    reached = Counter[str]()

    async def behaviour(method: str) -> None:
        reached[method] += 1

    wrong, tried = [], 0
    async with serving(process, behaviour) as addr:
        with grpc.insecure_channel(addr) as channel:
            for target, credential, metadata, refusal in rows(process, SECRET):
                reached.clear()
                code = await ask(channel, target, metadata)
                tried += 1
                if code is not (refusal or grpc.StatusCode.OK) or bool(reached) is bool(refusal):
                    wrong.append((target.path, credential, code, refusal))
    assert wrong == []
    assert tried == len(targets(process, SECRET)) * (len(BAD) + len(KNOWN))


async def nothing(method: str) -> None:
    """Do it."""


@pytest.mark.parametrize("process", PROCESSES)
async def test_what_is_no_message_is_only_looked_at_for_those_who_may_call(process: str) -> None:
    async with serving(process, nothing) as addr:
        with grpc.insecure_channel(addr) as channel:
            for target, credential, metadata, refusal in rows(process, SECRET):
                code = await ask(channel, target, metadata, GARBAGE)
                assert code is (refusal or grpc.StatusCode.INVALID_ARGUMENT), (target.path, credential)


async def test_metadata_beyond_all_measure_is_refused_and_the_next_call_answered() -> None:
    target = targets("knowledge", SECRET)[2]
    good = bearer(target.token(admin()))
    async with serving("knowledge", nothing) as addr:
        with grpc.insecure_channel(addr) as channel:
            for extra in ((("x-padding", "x" * 200_000),), tuple((f"x-{n}", "y" * 100) for n in range(2000))):
                code = await ask(channel, target, (*good, *extra))
                assert code in {grpc.StatusCode.RESOURCE_EXHAUSTED, UNAUTHENTICATED}
            assert await ask(channel, target, good) is grpc.StatusCode.OK


async def test_a_caller_who_may_read_a_thousand_namespaces_gets_through() -> None:
    target = targets("knowledge", SECRET)[2]
    who = replace(admin(), readable=frozenset(f"namespace-number-{n}" for n in range(1000)))
    async with serving("knowledge", nothing) as addr:
        with grpc.insecure_channel(addr) as channel:
            assert await ask(channel, target, bearer(target.token(who))) is grpc.StatusCode.OK


async def test_of_two_tokens_one_that_does_not_hold_spoils_the_call() -> None:
    target = targets("knowledge", SECRET)[2]
    good, bad = bearer(target.token(admin())), bearer("a.b.c")
    async with serving("knowledge", nothing) as addr:
        with grpc.insecure_channel(addr) as channel:
            assert await ask(channel, target, good + bad) is UNAUTHENTICATED
            assert await ask(channel, target, bad + good) is UNAUTHENTICATED


async def test_refusals_are_counted_by_their_reason() -> None:
    def counted(reason: str) -> float:
        service, method = target.method.containing_service.full_name, target.method.name
        labels = {"grpc_service": service, "grpc_method": method, "reason": reason}
        return REGISTRY.get_sample_value("grpc_server_refused_total", labels) or 0

    target = targets("retrieval", SECRET)[0]
    sent = {"missing": (), "forged": BAD["forged"](target), "expired": BAD["expired"](target)}
    sent |= {"audience": BAD["other audience"](target), "method": BAD["other method"](target)}
    sent |= {"scope": bearer(target.token(KNOWN["write"][0]))}
    before = {reason: counted(reason) for reason in sent}
    async with serving("retrieval", nothing) as addr:
        with grpc.insecure_channel(addr) as channel:
            for metadata in sent.values():
                await ask(channel, target, metadata)
    assert {reason: counted(reason) - before[reason] for reason in sent} == dict.fromkeys(sent, 1.0)


async def test_what_a_method_itself_refuses_is_no_refusal_at_the_door() -> None:
    async def absent(method: str) -> None:
        raise NotFound

    target = targets("knowledge", SECRET)[2]
    async with serving("knowledge", absent) as addr:
        with grpc.insecure_channel(addr) as channel:
            assert await ask(channel, target, bearer(target.token(admin()))) is grpc.StatusCode.NOT_FOUND
