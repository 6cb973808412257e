"""What happens around every call to a service: who calls and may they, deadline, log, metrics, errors as statuses."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any, TypeAlias

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
OURS = "/context."  # health and reflection answer anybody
REQUEST_ID = "x-request-id"

log = structlog.get_logger()

# In quotes: these are generic for type checkers only.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]"


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps each handler of ours in `_around`.

    Args:
        trust: Tells who calls.
        permissions: Who may call which path; a path that is not there is closed.
    """

    def __init__(self, trust: Trust, permissions: Mapping[str, Permission]) -> None:
        self._trust, self._permissions = trust, permissions

    async def intercept_service(
        self, continuation: "Continuation", handler_call_details: grpc.HandlerCallDetails
    ) -> "Handler | None":
        """Give back the handler that `continuation` finds, wrapped. Requests are only read for those who may call."""
        handler = await continuation(handler_call_details)
        path = handler_call_details.method
        if handler is None or not path.startswith(OURS):
            return handler
        read = _reader(handler)
        if handler.response_streaming:
            kind = "stream_stream" if handler.request_streaming else "unary_stream"
            inner = getattr(handler, kind)

            async def stream(request: Any, context: "Context") -> AsyncIterator[Any]:
                async with self._around(path, context):
                    async for response in inner(read(request), context):
                        yield response

            behaviour: Any = stream
        else:
            kind = "stream_unary" if handler.request_streaming else "unary_unary"
            inner = getattr(handler, kind)

            async def unary(request: Any, context: "Context") -> Any:
                async with self._around(path, context):
                    return await inner(read(request), context)

            behaviour = unary
        wrap = getattr(grpc, f"{kind}_rpc_method_handler")
        wrapped: Handler = wrap(behaviour, None, handler.response_serializer)
        return wrapped

    @asynccontextmanager
    async def _around(self, path: str, context: "Context") -> AsyncIterator[None]:
        """Bind what the call brings, and end it with the status of whatever it raises."""
        left = context.time_remaining()
        seconds = DEFAULT_SECONDS if left is None else left
        start = perf_counter()
        given = _metadata(context)
        with (
            metrics.observe(metrics.SERVER_HANDLED, metrics.SERVER_SECONDS, path) as observed,
            tracing.resume(path[1:], given, tracing.rpc(path)) as span,
        ):
            said: tuple[tuple[str, str], ...] = ()
            try:
                said = ((REQUEST_ID, self._admit(path, given, context)),)
                context.set_trailing_metadata(said)
                deadline.bind(seconds)
                try:
                    async with asyncio.timeout(seconds):
                        yield
                except TimeoutError as error:
                    raise TooLate from error
            except asyncio.CancelledError:
                observed.code = grpc.StatusCode.CANCELLED.name
                raise
            except Exception as error:  # the border: whatever it is, the caller gets a status
                status = rpc_status.to_status(to_status(error))
                observed.code = status.code.name
                span.fail(observed.code)
                if not isinstance(error, AppError):
                    log.exception("call_failed", method=path)
                await context.abort(status.code, status.details, (*status.trailing_metadata, *said))
            finally:
                log.debug("call", method=path, code=observed.code, ms=round((perf_counter() - start) * 1000, 2))

    def _admit(self, path: str, given: Mapping[str, str], context: "Context") -> str:
        """Bind the caller, where it is known and may call `path`; answers the request's id."""
        try:
            who = self._trust.caller(given, path)
            structlog.contextvars.bind_contextvars(
                request_id=who.request_id, namespace=who.namespace, user_id=who.principal
            )
            self._permissions.get(path, CLOSED).check(who)
        except (Unauthenticated, Denied) as error:
            reason = error.reason if isinstance(error, Untrusted | NotAllowed) else "caller"
            metrics.SERVER_REFUSED.labels(*metrics.names(path), reason).inc()
            log.warning("call_refused", method=path, reason=reason, peer=context.peer())
            raise
        caller.bind(who)
        topic.take(given)
        return who.request_id


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
