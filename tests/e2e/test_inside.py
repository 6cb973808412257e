"""The real services let in exactly whom the protos name: every method of each × every credential."""

import grpc
import pytest

from tests.support.matrix import ask, rows
from tests.support.stack import Stack
from tests.support.standin import PROCESSES

REFUSALS = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}
BROKEN = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNIMPLEMENTED}


@pytest.mark.parametrize("process", PROCESSES)
async def test_each_service_lets_in_whom_the_proto_names(stack: Stack, process: str) -> None:
    wrong = []
    with grpc.insecure_channel(stack.addr(process)) as channel:
        for target, credential, metadata, refusal in rows(process, stack.service_secret):
            code = await ask(channel, target, metadata)
            if code in BROKEN or (code is not refusal if refusal else code in REFUSALS):
                wrong.append((target.path, credential, code, refusal))
    assert wrong == []


@pytest.mark.parametrize("process", PROCESSES)
async def test_bytes_that_are_no_message_break_nothing(stack: Stack, process: str) -> None:
    with grpc.insecure_channel(stack.addr(process)) as channel:
        for target, credential, metadata, refusal in rows(process, stack.service_secret):
            code = await ask(channel, target, metadata, b"\xff\xff\xff\xff not a message")
            assert code is (refusal or grpc.StatusCode.INVALID_ARGUMENT), (target.path, credential)
    assert "Traceback" not in stack.log(process)
