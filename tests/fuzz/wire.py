"""Every method of every gRPC service: random messages, broken bytes, huge fields, and tokens that must not hold."""

import asyncio
import base64
import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import grpc
import jwt
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from context.v1 import admin_pb2, embedding_pb2, knowledge_pb2, permission_pb2, retrieval_pb2
from context_common.caller import ADMIN, SERVICE, Caller
from context_common.token import Scope, derive_key, sign
from tests.chaos.report import Report
from tests.fuzz.corpora import EVERY
from tests.fuzz.target import CANARY, OPEN, Tally, Target

DEADLINE = 3.0  # seconds that a call is given
LATE = 3.0  # seconds past its deadline after which it hangs
SERVICES = (
    ("knowledge", knowledge_pb2.DESCRIPTOR.services_by_name["KnowledgeService"]),
    ("knowledge", admin_pb2.DESCRIPTOR.services_by_name["AdminService"]),
    ("embedding", embedding_pb2.DESCRIPTOR.services_by_name["EmbeddingService"]),
    ("retrieval", retrieval_pb2.DESCRIPTOR.services_by_name["RetrievalService"]),
)
OURS = (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)  # codes that no input may bring about
REFUSED = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
HUGE = ("x" * 2**20, "\N{ROCKET}" * 2**18, "a b " * 2**18, "[" * 2**18)
DEPTH = 3
NUMBERS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}


@dataclass(frozen=True)
class Method:
    """One method where it is served."""

    service: str
    addr: str
    descriptor: MethodDescriptor

    @property
    def path(self) -> str:
        """`/package.Service/Method`."""
        return f"/{self.descriptor.containing_service.full_name}/{self.descriptor.name}"

    @property
    def for_services(self) -> bool:
        """Whether only services may call it, for every namespace."""
        permission: int = self.descriptor.GetOptions().Extensions[permission_pb2.permission]
        return permission == permission_pb2.PERMISSION_SERVICE

    @property
    def caller(self) -> Caller:
        """One who may."""
        if self.for_services:
            names = list(self.descriptor.GetOptions().Extensions[permission_pb2.callers])
            return Caller(OPEN, f"service:{names[0]}", "fuzz", scopes=frozenset({SERVICE}))
        return Caller(OPEN, "key:fuzz", "fuzz", scopes=frozenset({ADMIN}), writable=frozenset({OPEN}))

    def token(self, secret: str) -> str:
        """A token that holds."""
        issuer = self.caller.principal.removeprefix("service:") if self.for_services else "gateway"
        return sign(derive_key(secret), self.caller, Scope(issuer, self.service, self.path))


async def fuzz_wire(target: Target, examples: int, start: int, report: Report) -> None:
    """`examples` random messages and as many broken ones for each method, and every token that must not hold."""
    await asyncio.to_thread(_run, target, examples, start, report)


def _run(target: Target, examples: int, start: int, report: Report) -> None:
    secret = target.cluster.service_secret
    methods = [
        Method(service, target.cluster.addresses[service], method)
        for service, descriptor in SERVICES
        for method in descriptor.methods
    ]
    report.tell("gRPC methods", len(methods))
    tallies = {name: Tally() for name in ("messages", "broken bytes", "huge fields", "tokens that must not hold")}
    for method in methods:
        with grpc.insecure_channel(method.addr) as channel:
            send = _sender(channel, method, secret)
            _generate(method, send, examples, start, tallies)
            for message in huge_messages(method.descriptor.input_type):
                send(message.SerializeToString(), tallies["huge fields"])
            _forge(channel, method, secret, tallies["tokens that must not hold"])
        print(f"{method.path}: {sum(tally.cases for tally in tallies.values())} cases so far", flush=True)
    for name, tally in tallies.items():
        tally.tell(f"gRPC, {name}", report)


Send = Callable[[bytes, Tally], None]


def _sender(channel: grpc.Channel, method: Method, secret: str) -> Send:
    def send(raw: bytes, tally: Tally) -> None:
        metadata = (("authorization", f"Bearer {method.token(secret)}"),)
        code, seconds, answer = call(channel, method, raw, metadata)
        tally.count(code.name, seconds)
        if code in OURS:
            tally.blame(code.name, f"{method.path}: {raw[:200]!r}")
        if seconds > DEADLINE + LATE:
            tally.blame("hangs", f"{method.path}: {seconds:.1f} s: {raw[:200]!r}")
        if CANARY.encode() in answer and not method.for_services:
            tally.blame("namespaces crossed", f"{method.path}: {answer[:200]!r}")

    return send


def call(
    channel: Any, method: Method, raw: bytes, metadata: Sequence[tuple[str, str]]
) -> tuple[grpc.StatusCode, float, bytes]:
    """The status of a call with these bytes, its seconds, and the answer's bytes."""
    began = time.monotonic()
    try:
        if method.descriptor.client_streaming:
            answers = channel.stream_stream(method.path)(iter([raw, raw]), timeout=DEADLINE, metadata=metadata)
            answer = b"".join(answers)
        else:
            answer = channel.unary_unary(method.path)(raw, timeout=DEADLINE, metadata=metadata)
    except grpc.RpcError as error:
        failed: Any = error
        return failed.code(), time.monotonic() - began, str(failed.details()).encode()
    return grpc.StatusCode.OK, time.monotonic() - began, answer


def _generate(method: Method, send: Send, examples: int, start: int, tallies: dict[str, Tally]) -> None:
    raw = messages(method.descriptor.input_type).map(lambda message: message.SerializeToString())
    _send_each(raw, lambda one: send(one, tallies["messages"]), examples, start)
    _send_each(broken(raw), lambda one: send(one, tallies["broken bytes"]), examples, start)


def _send_each(strategy: "st.SearchStrategy[bytes]", act: Callable[[bytes], None], examples: int, start: int) -> None:
    @seed(start)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(sent=strategy)
    def attempt(sent: bytes) -> None:
        act(sent)

    attempt()


def messages(descriptor: Descriptor, depth: int = DEPTH) -> "st.SearchStrategy[Message]":
    """Messages of a type with any of its fields set to anything."""
    fields = {field.name: _values(field, depth) for field in descriptor.fields if depth or not field.message_type}
    return st.fixed_dictionaries({}, optional=fields).map(lambda given: _build(descriptor, given))


def _build(descriptor: Descriptor, given: dict[str, Any]) -> Message:
    message = GetMessageClass(descriptor)()
    for name, value in given.items():
        field = descriptor.fields_by_name[name]
        if field.message_type and field.message_type.GetOptions().map_entry:
            continue
        if field.is_repeated:
            getattr(message, name).extend(value)
        elif field.message_type:
            getattr(message, name).CopyFrom(value)
        else:
            setattr(message, name, value)
    return message


def _values(field: FieldDescriptor, depth: int) -> "st.SearchStrategy[Any]":
    one = _value(field, depth)
    return st.lists(one, max_size=4) if field.is_repeated else one


def _value(field: FieldDescriptor, depth: int) -> "st.SearchStrategy[Any]":
    kind = field.cpp_type
    if kind in NUMBERS:
        least, most = NUMBERS[kind]
        return st.sampled_from((0, 1, least, most)) | st.integers(least, most)
    if field.enum_type:
        return st.integers(-1, len(field.enum_type.values) + 2)
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return st.booleans()
    if kind == FieldDescriptor.CPPTYPE_FLOAT or kind == FieldDescriptor.CPPTYPE_DOUBLE:
        return st.floats()
    if field.message_type:
        return messages(field.message_type, depth - 1)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return st.binary(max_size=200)
    near = ("ADR-001", "FAIL-1", OPEN, "secret", "*", "2026-01-01", "adr.decision", "title")
    return st.sampled_from((*near, *EVERY)) | st.text(st.characters(codec="utf-8"), max_size=200)


def broken(raw: "st.SearchStrategy[bytes]") -> "st.SearchStrategy[bytes]":
    """Messages with bytes changed, lost or added."""
    change = st.tuples(st.integers(0, 2), st.integers(0, 10_000), st.integers(0, 255))
    return st.tuples(raw, st.lists(change, min_size=1, max_size=8)).map(lambda given: _break(*given))


def _break(raw: bytes, changes: list[tuple[int, int, int]]) -> bytes:
    found = bytearray(raw)
    for how, where, what in changes:
        at = where % (len(found) + 1)
        if how == 0:
            found[at : at + 1] = bytes([what])
        elif how == 1:
            del found[at : at + 1 + what // 64]
        else:
            found[at:at] = bytes([what])
    return bytes(found)


def huge_messages(descriptor: Descriptor, depth: int = 1) -> Iterator[Message]:
    """For each text or list of a message: one with far too much there."""
    for field in descriptor.fields:
        if field.message_type and field.message_type.GetOptions().map_entry:
            continue
        if field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated:
            yield from (_build(descriptor, {field.name: text}) for text in HUGE)
        elif field.type == FieldDescriptor.TYPE_STRING:
            yield _build(descriptor, {field.name: ["x"] * 100_000})
        elif field.message_type and field.is_repeated:
            yield _build(descriptor, {field.name: [GetMessageClass(field.message_type)()] * 100_000})
        elif field.message_type and depth:
            for inner in huge_messages(field.message_type, depth - 1):
                yield _build(descriptor, {field.name: inner})


def _forge(channel: grpc.Channel, method: Method, secret: str, tally: Tally) -> None:
    for name, metadata in forgeries(method, secret):
        code, seconds, _ = call(channel, method, b"", metadata)
        tally.count(code.name, seconds)
        if code not in REFUSED:
            tally.blame("accepted", f"{method.path} with {name}: {code.name}")


def forgeries(method: Method, secret: str) -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
    """Metadata that must not hold, by what is wrong with it."""
    yield "nothing", ()
    yield "a caller without a token", method.caller.metadata()
    good = method.token(secret)
    for name, token in broken_tokens(good, secret):
        yield name, (("authorization", f"Bearer {token}"),)
    for path in ("/context.v1.KnowledgeService/Nothing", "/context.v1.AdminService/CreateKey"):
        if path != method.path:
            scope = Scope("gateway", method.service, path)
            yield "another method", (("authorization", f"Bearer {sign(derive_key(secret), method.caller, scope)}"),)
    scope = Scope("gateway", "elsewhere", method.path)
    yield "another service", (("authorization", f"Bearer {sign(derive_key(secret), method.caller, scope)}"),)
    nobody = replace(method.caller, principal="key:nobody", scopes=frozenset[str]())
    scope = Scope("gateway", method.service, method.path)
    yield "no scope", (("authorization", f"Bearer {sign(derive_key(secret), nobody, scope)}"),)
    posing = replace(method.caller, principal="service:retrieval", scopes=frozenset({SERVICE}))
    scope = Scope("embedding", method.service, method.path)
    yield "a service posing as another", (("authorization", f"Bearer {sign(derive_key(secret), posing, scope)}"),)
    yield "two tokens", (("authorization", f"Bearer {good}"), ("authorization", f"Bearer {good}"))


def broken_tokens(good: str, secret: str) -> Iterator[tuple[str, str]]:
    """Variants of a JWT none of which may hold."""
    claims = jwt.decode(good, options={"verify_signature": False})
    head, body, signature = good.split(".")
    yield "no signature", f"{head}.{body}."
    yield "alg none", f"{_encode({'alg': 'none', 'typ': 'JWT'})}.{body}."
    yield "alg nOnE", f"{_encode({'alg': 'nOnE', 'typ': 'JWT'})}.{body}.{signature}"
    yield "alg RS256, signed as HS256", f"{_encode({'alg': 'RS256', 'typ': 'JWT'})}.{body}.{signature}"
    yield "another secret", jwt.encode(claims, "another-secret-of-32-characters-x", "HS256")
    yield "the secret itself, not what is derived from it", jwt.encode(claims, secret + "\0", "HS256")
    yield "alg HS512", jwt.encode(claims, secret * 2, "HS512")
    yield "expired", jwt.encode({**claims, "iat": 1, "exp": 2}, "another-secret-of-32-characters-x", "HS256")
    rng = random.Random(len(good))
    for _ in range(20):
        at, bit = rng.randrange(len(good) - 1), 1 << rng.randrange(6)
        flipped = good[:at] + chr(ord(good[at]) ^ bit) + good[at + 1 :]
        if flipped.isascii() and flipped.isprintable():
            yield f"character {at} changed", flipped
    yield "empty", ""
    yield "not a token", "x" * 5000


def _encode(header: dict[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
