"""What happens around every call to a service: who calls and may they, deadline, log, metrics, errors as statuses."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from time import perf_counter
from types import TracebackType
from typing import Any, NoReturn, TypeAlias

import grpc
import structlog
from google.protobuf.message import DecodeError
from grpc_status import rpc_status

from context_common import caller, deadline, metrics, topic, tracing
from context_common.errors import AppError, Denied, Invalid, TooLate, Unauthenticated, to_status
from context_common.permissions import CLOSED, NotAllowed, Permission
from context_common.token import Untrusted
from context_common.trust import Trust

DEFAULT_SECONDS = 30.0  # for a caller that sets no deadline
HEAR_OUT_SECONDS = 2.0  # a stream of requests that has met its error is read on
OURS = "/context."  # health and reflection answer anybody

log = structlog.get_logger()

# In quotes: these are generic for type checkers only.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
HearOut: TypeAlias = Callable[[Any], AbstractAsyncContextManager[None]]
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]"


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Puts a `Call` around each handler of ours.

    Args:
        trust: Tells who calls.
        permissions: Who may call which path; a path that is not there is closed.
    """

    def __init__(self, trust: Trust, permissions: Mapping[str, Permission]) -> None:
        self._trust, self._permissions = trust, permissions
        self._wrapped: dict[str, Handler] = {}

    async def intercept_service(
        self, continuation: "Continuation", handler_call_details: grpc.HandlerCallDetails
    ) -> "Handler | None":
        """Give back the handler that `continuation` finds, wrapped. Requests are only read for those who may call."""
        path = handler_call_details.method
        if wrapped := self._wrapped.get(path):
            return wrapped
        handler = await continuation(handler_call_details)
        if handler is None or not path.startswith(OURS):
            return handler
        wrapped = self._wrapped[path] = self._wrap(
            handler, Served(path, self._trust, self._permissions.get(path, CLOSED))
        )
        return wrapped

    def _wrap(self, handler: "Handler", served: "Served") -> "Handler":
        read = _reader(handler)
        heard_out: HearOut = _heard_out if handler.request_streaming else nullcontext
        if handler.response_streaming:
            kind = "stream_stream" if handler.request_streaming else "unary_stream"
            inner = getattr(handler, kind)

            async def stream(request: Any, context: "Context") -> AsyncIterator[Any]:
                async with Call(served, context), heard_out(request):
                    async for response in inner(read(request), context):
                        yield response

            behaviour: Any = stream
        else:
            kind = "stream_unary" if handler.request_streaming else "unary_unary"
            inner = getattr(handler, kind)

            async def unary(request: Any, context: "Context") -> Any:
                async with Call(served, context), heard_out(request):
                    return await inner(read(request), context)

            behaviour = unary
        wrap = getattr(grpc, f"{kind}_rpc_method_handler")
        made: Handler = wrap(behaviour, None, handler.response_serializer)
        return made


class Served:
    """One method that this process serves, and what there is to know of it before anybody calls."""

    def __init__(self, path: str, trust: Trust, permission: Permission) -> None:
        self.path, self.trust, self.permission = path, trust, permission
        self.calls = metrics.Calls(metrics.SERVER_HANDLED, metrics.SERVER_SECONDS, path)
        self.traced = tracing.rpc(path)

    def admit(self, given: Mapping[str, str], context: "Context") -> caller.Caller:
        """The caller, where it is known and may call.

        Raises:
            Unauthenticated, Denied: It is not, or may not.
        """
        try:
            who = self.trust.caller(given, self.path)
            structlog.contextvars.bind_contextvars(
                request_id=who.request_id, namespace=who.namespace, user_id=who.principal
            )
            self.permission.check(who)
        except (Unauthenticated, Denied) as error:
            reason = error.reason if isinstance(error, Untrusted | NotAllowed) else "caller"
            metrics.SERVER_REFUSED.labels(*metrics.names(self.path), reason).inc()
            log.warning("call_refused", method=self.path, reason=reason, peer=context.peer())
            raise
        return who


class Call:
    """One call under way, for the length of a block: binds what it brings, and ends it with the status of whatever is
    raised.
    """

    __slots__ = ("_context", "_said", "_served", "_span", "_start", "_timeout")

    def __init__(self, served: Served, context: "Context") -> None:
        self._served, self._context = served, context
        self._said: tuple[tuple[str, str], ...] = ()

    async def __aenter__(self) -> None:
        served, context = self._served, self._context
        left = context.time_remaining()
        seconds = DEFAULT_SECONDS if left is None else left
        self._start = perf_counter()
        given = _metadata(context)
        self._span = tracing.resume(served.path[1:], given, served.traced)
        self._span.__enter__()
        self._timeout = asyncio.timeout(seconds)
        try:
            who = served.admit(given, context)
        except Exception as error:  # noqa: BLE001 - the border
            await self._fail(error)
        caller.bind(who)
        topic.take(given)
        deadline.bind(seconds)
        self._said = ((caller.REQUEST, who.request_id),)
        context.set_trailing_metadata(self._said)
        await self._timeout.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await self._timeout.__aexit__(kind, error, traceback)
        except TimeoutError as late:
            error = TooLate()
            error.__cause__ = late
        if isinstance(error, Exception):  # the border: whatever it is, the caller gets a status
            await self._fail(error)
        self._end("OK" if error is None else grpc.StatusCode.CANCELLED.name, error)

    async def _fail(self, error: Exception) -> NoReturn:
        """End it as `error` says."""
        status = rpc_status.to_status(to_status(error))
        self._span.fail(status.code.name)
        if not isinstance(error, AppError):
            log.error("call_failed", method=self._served.path, exc_info=error)
        self._end(status.code.name, error)
        await self._context.abort(status.code, status.details, (*status.trailing_metadata, *self._said))
        raise AssertionError("an aborted call goes on")

    def _end(self, code: str, error: BaseException | None) -> None:
        took = perf_counter() - self._start
        self._span.__exit__(type(error) if error else None, error, None)
        self._served.calls.count(code, took)
        metrics.first_call(self._served.path, took)
        log.debug("call", method=self._served.path, code=code, ms=round(took * 1000, 2))


@asynccontextmanager
async def _heard_out(requests: AsyncIterator[bytes]) -> AsyncIterator[None]:
    """Before whatever is raised in the block ends the call, read what its caller still sends, for a moment.

    The client that writes to a stream that has ended loses its status, and says of gRPC's own that something broke: a
    service that was full would count as one that is away. Strangers are not heard out.
    """
    try:
        yield
    except Exception:
        with suppress(TimeoutError):
            async with asyncio.timeout(HEAR_OUT_SECONDS):
                async for _ in requests:
                    pass
        raise


def _metadata(context: "Context") -> Mapping[str, str]:
    """What the call brings beside its request."""
    given: dict[str, str] = {}
    for key, value in context.invocation_metadata() or ():
        given[key] = f"{given[key]}, {value!s}" if key in given else str(value)  # two tokens are none
    return given


def _reader(handler: "Handler") -> Callable[[Any], Any]:
    """What makes messages of the bytes that a call to `handler` brings."""
    parse: Any = handler.request_deserializer

    def read(raw: bytes) -> Any:
        try:
            return parse(raw)
        except DecodeError as error:
            raise Invalid(message="The request is not a message of this method.") from error

    async def read_each(raw: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        async for one in raw:
            yield read(one)

    return read_each if handler.request_streaming else read
