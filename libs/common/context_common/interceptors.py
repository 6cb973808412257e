"""What happens around every call to a service: caller, deadline, log line, metrics, and errors turned into statuses."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any, TypeAlias

import grpc
import structlog
from grpc_status import rpc_status

from context_common import caller, deadline, metrics
from context_common.errors import AppError, TooLate, to_status

DEFAULT_SECONDS = 30.0  # for a caller that sets no deadline
OURS = "/context."  # health and reflection answer anybody

log = structlog.get_logger()

# In quotes: these are generic for type checkers only.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]"


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps each handler of ours in `_around`."""

    async def intercept_service(
        self, continuation: "Continuation", handler_call_details: grpc.HandlerCallDetails
    ) -> "Handler | None":
        """Give back the handler that `continuation` finds, wrapped."""
        handler = await continuation(handler_call_details)
        path = handler_call_details.method
        if handler is None or not path.startswith(OURS):
            return handler
        if handler.response_streaming:
            kind = "stream_stream" if handler.request_streaming else "unary_stream"
            inner = getattr(handler, kind)

            async def stream(request: Any, context: "Context") -> AsyncIterator[Any]:
                async with _around(path, context):
                    async for response in inner(request, context):
                        yield response

            behaviour: Any = stream
        else:
            kind = "stream_unary" if handler.request_streaming else "unary_unary"
            inner = getattr(handler, kind)

            async def unary(request: Any, context: "Context") -> Any:
                async with _around(path, context):
                    return await inner(request, context)

            behaviour = unary
        wrap = getattr(grpc, f"{kind}_rpc_method_handler")
        wrapped: Handler = wrap(behaviour, handler.request_deserializer, handler.response_serializer)
        return wrapped


@asynccontextmanager
async def _around(path: str, context: "Context") -> AsyncIterator[None]:
    """Bind what the call brings, and end it with the status of whatever it raises."""
    left = context.time_remaining()
    seconds = DEFAULT_SECONDS if left is None else left
    start = perf_counter()
    with metrics.observe(metrics.SERVER_HANDLED, metrics.SERVER_SECONDS, path) as observed:
        try:
            who = caller.Caller.from_metadata({key: str(value) for key, value in context.invocation_metadata() or ()})
            caller.bind(who)
            deadline.bind(seconds)
            structlog.contextvars.bind_contextvars(
                request_id=who.request_id, namespace=who.namespace, user_id=who.principal
            )
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
            if not isinstance(error, AppError):
                log.exception("call_failed", method=path)
            await context.abort(status.code, status.details, tuple(status.trailing_metadata))
        finally:
            log.debug("call", method=path, code=observed.code, ms=round((perf_counter() - start) * 1000, 2))
