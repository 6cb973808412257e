"""Every method of every service, every kind of credential, and what the protos say must come of it."""

import asyncio
import base64
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import grpc
import jwt
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from context.v1 import permission_pb2
from context_common.caller import ADMIN, READ, WRITE, Caller
from context_common.token import Scope, derive_key, sign
from tests.support.standin import PROCESSES, services
from tests.support.trust import admin, service

OTHER_KEY = derive_key("a key that nobody here has, 0123456789")
Metadata: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Target:
    """One method, where it is served and what signs calls to it."""

    process: str
    method: MethodDescriptor
    key: bytes

    @property
    def path(self) -> str:
        return f"/{self.method.containing_service.full_name}/{self.method.name}"

    def token(self, who: Caller, issuer: str = "gateway", **changed: str) -> str:
        """A token for this method, but for what is `changed`."""
        return sign(self.key, who, replace(Scope(issuer, self.process, self.path), **changed))

    def claims(self, **changed: Any) -> dict[str, Any]:
        """What stands in an administrator's token, but for what is `changed`."""
        whole: dict[str, Any] = jwt.decode(self.token(admin()), options={"verify_signature": False})
        return whole | changed


def targets(process: str, secret: str) -> list[Target]:
    """Every method that `process` serves."""
    key = derive_key(secret)
    return [Target(process, method, key) for service, _ in services(process) for method in service.methods]


def bearer(token: str) -> Metadata:
    return (("authorization", f"Bearer {token}"),)


def unsigned(target: Target) -> Metadata:
    """A token that says of itself that it needs no signature."""
    parts = (json.dumps(part).encode() for part in ({"alg": "none", "typ": "JWT"}, target.claims()))
    return bearer(".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + ".")


def expired(target: Target) -> Metadata:
    now = int(time.time())
    return bearer(jwt.encode(target.claims(iat=now - 60, exp=now - 30), target.key))


def elsewhere(target: Target) -> Metadata:
    """An administrator's token for another service."""
    other = next(process for process in PROCESSES if process != target.process)
    return bearer(target.token(admin(), audience=other))


def replayed(target: Target) -> Metadata:
    """A token that somebody else's call to another method of the same service carried."""
    return bearer(target.token(admin(), method=target.path + "Not"))


# Nobody gets in with these, whatever the method.
BAD: dict[str, Callable[[Target], Metadata]] = {
    "none": lambda _: (),
    "plain metadata": lambda _: admin().metadata(),
    "plain metadata of a service": lambda _: service("retrieval").metadata(),
    "garbage": lambda _: bearer("a.b.c"),
    "no scheme": lambda target: (("authorization", target.token(admin())),),
    "forged": lambda target: bearer(jwt.encode(target.claims(), OTHER_KEY)),
    "unsigned": unsigned,
    "expired": expired,
    "other audience": elsewhere,
    "other method": replayed,
    "another service's name": lambda target: bearer(target.token(service("retrieval"), "embedding")),
    "large": lambda _: bearer("x" * 40_000),
}


def holder(scope: str) -> Caller:
    """Somebody with one scope."""
    return replace(admin(), scopes=frozenset({scope}))


# These are known; what they may do is the method's to say.
KNOWN: dict[str, tuple[Caller, str]] = {
    "nothing": (replace(admin(), scopes=frozenset()), "gateway"),
    "read": (holder(READ), "gateway"),
    "write": (holder(WRITE), "gateway"),
    "admin": (holder(ADMIN), "gateway"),
    "gateway": (service("gateway"), "gateway"),
    "retrieval": (service("retrieval"), "retrieval"),
    "embedding": (service("embedding"), "embedding"),
}
IN_SCOPE = {
    permission_pb2.PERMISSION_READ: {"read", "admin", "gateway", "retrieval", "embedding"},
    permission_pb2.PERMISSION_WRITE: {"write", "admin"},
    permission_pb2.PERMISSION_ADMIN: {"admin"},
    permission_pb2.PERMISSION_SERVICE: {"gateway", "retrieval", "embedding"},
}


def admitted(method: MethodDescriptor) -> set[str]:
    """Whom of KNOWN the proto lets call `method`."""
    said = method.GetOptions().Extensions
    named = set(said[permission_pb2.callers])
    within = IN_SCOPE.get(said[permission_pb2.permission], set())
    return within & named if named else within


def rows(process: str, secret: str) -> Iterator[tuple[Target, str, Metadata, grpc.StatusCode | None]]:
    """A method, a credential's name, what is sent, and the refusal it must meet; None where it must get in."""
    for target in targets(process, secret):
        for name, make in BAD.items():
            yield target, name, make(target), grpc.StatusCode.UNAUTHENTICATED
        for name, (who, issuer) in KNOWN.items():
            refusal = None if name in admitted(target.method) else grpc.StatusCode.PERMISSION_DENIED
            yield target, name, bearer(target.token(who, issuer)), refusal


async def ask(channel: grpc.Channel, target: Target, metadata: Metadata, request: bytes = b"") -> grpc.StatusCode:
    """Call a method with bytes as they are; answers the status it ends with.

    By gRPC's client for threads: the one for asyncio says INTERNAL where a stream is refused while it writes to it.
    """
    return await asyncio.to_thread(_ask, channel, target, metadata, request)


def _ask(channel: grpc.Channel, target: Target, metadata: Metadata, request: bytes) -> grpc.StatusCode:
    parse = GetMessageClass(target.method.output_type).FromString
    try:
        if target.method.client_streaming:
            stream: Any = channel.stream_stream(target.path, response_deserializer=parse)
            for _ in stream(iter([request]), metadata=metadata, timeout=20):
                pass
        else:
            unary: Any = channel.unary_unary(target.path, response_deserializer=parse)
            unary(request, metadata=metadata, timeout=20)
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    return grpc.StatusCode.OK
