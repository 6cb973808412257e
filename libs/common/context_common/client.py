"""The one door out: every RPC to another service goes through `call` or `stream`."""

import asyncio
import json
from collections.abc import AsyncIterator
from time import perf_counter
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
import structlog
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

from context_common import caller, deadline, topic, tracing
from context_common.channel import Channel, Method
from context_common.errors import TooLate, Unauthenticated, Unavailable, from_rpc
from context_common.server import KEEPALIVE_MS, MAX_MESSAGE, METADATA
from context_common.trust import Trust

log = structlog.get_logger()

Request = TypeVar("Request")
Response = TypeVar("Response")

CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_send_message_length", MAX_MESSAGE),
    *METADATA,
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.min_reconnect_backoff_ms", 1000),  # for one attempt to connect
    # A name is asked for again when a connection ends, but no sooner than this after the last time (30 s by default).
    ("grpc.dns_min_time_between_resolutions_ms", 2000),
    # Each channel by itself: one that waits before it connects again would make another wait, and fail, that is new.
    ("grpc.use_local_subchannel_pool", 1),
    # A peer that is frozen or cut off without a word is noticed, and the connection made anew.
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", 2000),
    ("grpc.keepalive_permit_without_calls", 1),
)
OK, CANCELLED = "OK", "CANCELLED"
DISTRUST = 5.0  # seconds: secrets and clocks are put right by people
RETRY = {
    "maxAttempts": 3,
    "initialBackoff": "0.05s",
    "maxBackoff": "0.5s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}


def connect(addr: str, *services: ServiceDescriptor, trust: Trust, to: str) -> Channel:
    """A channel to the process called `to`, which serves `services`; it connects at its first call.

    Calls spread over every address behind the name whose health says it serves. Only methods that the proto marks
    idempotent are retried, and only when the service could not be reached.

    Args:
        addr: `host:port` or `dns:///name:port`.
        services: What is called there; the health of the first is that of all.
        trust: As whom we call.
        to: The name by which `addr` knows itself; a service token is good for no other.
    """
    options = [*CHANNEL_OPTIONS, ("grpc.service_config", service_config(*services))]
    return Channel(addr, to, trust, options)


def service_config(*services: ServiceDescriptor) -> str:
    """The gRPC service config of `services`, from the idempotency levels in their protos."""
    retried = [
        {"service": service.full_name, "method": method.name}
        for service in services
        for method in service.methods
        if method.GetOptions().idempotency_level != MethodOptions.IDEMPOTENCY_UNKNOWN
    ]
    config: dict[str, Any] = {
        "loadBalancingConfig": [{"round_robin": {}}],
        "healthCheckConfig": {"serviceName": services[0].full_name},
        "retryThrottling": {"maxTokens": 20, "tokenRatio": 0.2},
    }
    if retried:
        config["methodConfig"] = [{"name": retried, "retryPolicy": RETRY}]
    return json.dumps(config)


async def call(
    method: "grpc.aio.UnaryUnaryMultiCallable[Request, Response]", request: Request, *, within: float, fair: float = 0
) -> Response:
    """Call `method` as the current caller, for at most `within` seconds or what the request has left.

    A service that is well answers within `fair` seconds: the circuit learns nothing from one that is late with less.

    Raises:
        AppError: The kind that the other side raised; Unavailable where it could not be reached, or could not again and
            again lately; TooLate.
    """
    who = caller.current()
    seconds = deadline.remaining(within)
    door = _door(method)
    with _Asked(door, hurried=seconds < fair) as asked:
        try:
            return await method(request, timeout=seconds, metadata=_metadata(door, who, asked.span))
        except asyncio.CancelledError:
            asked.code = CANCELLED
            raise


async def stream(
    method: "grpc.aio.StreamStreamMultiCallable[Request, Response]", requests: AsyncIterator[Request], *, within: float
) -> AsyncIterator[Response]:
    """Call a streaming `method` with `requests` and give its answers as they come; as `call` otherwise."""
    who = caller.current()
    seconds = deadline.remaining(within)
    door = _door(method)
    with _Asked(door) as asked:
        async for answer in method(requests, timeout=seconds, metadata=_metadata(door, who, asked.span)):
            yield answer


class _Asked:
    """One call under way, for the length of a block: a span of the trace and in the metrics, and the circuit learns
    what becomes of it.

    Attributes:
        code: What it is counted under, unless the other side says otherwise.
    """

    __slots__ = ("_door", "_hurried", "_start", "code", "span")

    def __init__(self, door: Method, *, hurried: bool = False) -> None:
        self._door, self._hurried, self.code = door, hurried, OK

    def __enter__(self) -> Self:
        self._door.breaker.enter()
        self._start = perf_counter()
        self.span = _span(self._door)
        self.span.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        door = self._door
        if isinstance(error, grpc.aio.AioRpcError):
            self.code = error.code().name
            self.span.fail(self.code)
        self.span.__exit__(kind, error, traceback)
        door.calls.count(self.code, perf_counter() - self._start)
        if isinstance(error, grpc.aio.AioRpcError):
            raise _learn(error, door, hurried=self._hurried) from error
        if error is None:
            door.breaker.note()


def _span(door: Method) -> tracing.Span:
    return tracing.NOTHING if door.traced is None else tracing.ask(door.path[1:], door.traced)


def _metadata(door: Method, who: caller.Caller, span: tracing.Span) -> tuple[tuple[str, str], ...]:
    return (*door.channel.metadata(who, door.path), *topic.metadata(), *span.headers())


def _learn(error: grpc.aio.AioRpcError, door: Method, *, hurried: bool) -> Exception:
    """What `error` is to us, for the circuit to note."""
    found = _kind(error, door)
    if not (hurried and isinstance(found, TooLate)):
        door.breaker.note(found)
    return found


def _kind(error: grpc.aio.AioRpcError, door: Method) -> Exception:
    """What `error` is to us. A service that does not believe us says nothing about whoever asks us."""
    found = from_rpc(error)
    if not isinstance(found, Unauthenticated):
        return found
    log.error("service_does_not_trust_us", method=door.path, reason=found.message)
    return Unavailable("the services do not trust each other", DISTRUST)


def away(error: Exception) -> bool:
    """Whether `error` means that a service is away or too slow just now, so that one may do without it."""
    return isinstance(error, Unavailable | TooLate)


def _door(method: object) -> Method:
    """What a stub made over a channel from `connect` calls."""
    if not isinstance(method, Method):
        raise TypeError("the stub was not made over a channel from connect()")
    return method
