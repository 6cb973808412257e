"""Builds every gRPC server the same way: interceptor, health, reflection, ageing connections, drain."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

import grpc
import structlog
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from context_common.interceptors import CallInterceptor
from context_common.permissions import Permission, of_service
from context_common.process import Process
from context_common.telemetry import vitals
from context_common.trust import Trust

MAX_MESSAGE = 64 * 1024 * 1024  # bytes
KEEPALIVE_MS = 3000  # between two pings of a client
# Bytes, for a token names all that its caller may read: from where on gRPC refuses some, and from where on all.
METADATA = (("grpc.max_metadata_size", 64 * 1024), ("grpc.absolute_max_metadata_size", 80 * 1024))
OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_send_message_length", MAX_MESSAGE),
    *METADATA,
    # Our clients ping more often than gRPC thinks decent.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", KEEPALIVE_MS // 2),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.max_connection_age_grace_ms", 60 * 1000),
    ("grpc.so_reuseport", 0),  # a port that is taken is an error, not a silent share
)
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

log = structlog.get_logger()


class Server:
    """One process's gRPC server.

    Args:
        listen: `host:port`; port 0 takes a free one.
        trust: Which service this is, and how it knows who calls.
        ready: Returns when the service can answer and raises when it cannot; asked every `ready_every` seconds.
        drain: Seconds between "not serving" and closing, for balancers to notice.
        grace: Seconds that calls under way may still take.
        max_calls: Calls at once beyond which new ones are refused as RESOURCE_EXHAUSTED.
        connection_age: Seconds, give or take a tenth, after which a client connects anew. It then asks for the name
            again, and so finds replicas that came since: this is how long a new one may wait for its first call.
        on_drain: Called before the last calls are waited for, so that calls held open on
            purpose end at once.
    """

    def __init__(
        self,
        listen: str,
        *,
        trust: Trust,
        ready: Callable[[], Awaitable[Any]],
        drain: float = 0.0,
        grace: float = 10.0,
        max_calls: int = 2048,
        ready_every: float = 2.0,
        connection_age: float = 60.0,
        on_drain: Callable[[], None] | None = None,
    ) -> None:
        self._on_drain = on_drain
        self._ready, self._drain, self._grace, self._ready_every = ready, drain, grace, ready_every
        self._permissions: dict[str, Permission] = {}
        interceptor = CallInterceptor(trust, self._permissions)
        options = [*OPTIONS, ("grpc.max_connection_age_ms", round(connection_age * 1000))]
        self._server = grpc.aio.server(interceptors=[interceptor], options=options, maximum_concurrent_rpcs=max_calls)
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self._services = [reflection.SERVICE_NAME, health.SERVICE_NAME]
        self._names: list[str] = []
        self._serving: bool | None = None
        self._probe: asyncio.Task[None] | None = None
        self._listen, self._certificates = listen, trust.certificates
        self.port = 0

    @classmethod
    def of(
        cls, process: Process, *, ready: Callable[[], Awaitable[Any]], on_drain: Callable[[], None] | None = None
    ) -> Self:
        """The server of a process, where and as its settings say."""
        return cls(
            process.listen,
            trust=process.trust,
            ready=ready,
            drain=process.drain,
            connection_age=process.connection_age,
            on_drain=on_drain,
        )

    def add(
        self, register: Callable[[Any, grpc.aio.Server], None], servicer: object, descriptor: ServiceDescriptor
    ) -> Self:
        """Serve `servicer` by the stub's `add_…_to_server`; `descriptor` names it and says who may call what."""
        register(servicer, self._server)
        self._permissions |= of_service(descriptor)
        self._names.append(descriptor.full_name)
        self._services.append(descriptor.full_name)
        return self

    async def __aenter__(self) -> Self:
        """Listen, and begin to report health."""
        reflection.enable_server_reflection(self._services, self._server)
        self.port = self._bind()
        await self._report()
        await self._server.start()
        self._probe = asyncio.create_task(self._keep_reporting())
        log.info("listening", port=self.port, services=self._names)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Say "not serving", wait for balancers, finish what is under way, close."""
        if self._probe:
            self._probe.cancel()
        await self._health.enter_graceful_shutdown()
        await asyncio.sleep(self._drain)
        if self._on_drain:
            self._on_drain()
        await self._server.stop(self._grace)
        log.info("stopped")

    def _bind(self) -> int:
        if self._certificates:
            return self._server.add_secure_port(self._listen, self._certificates.for_server())
        return self._server.add_insecure_port(self._listen)

    async def run_until_signal(self) -> None:
        """Serve until SIGTERM or SIGINT, then drain."""
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        async with self:
            await stopping.wait()
            log.info("draining")

    async def _keep_reporting(self) -> None:
        while True:
            await asyncio.sleep(self._ready_every if self._serving else self._ready_every / 10)
            await self._report()

    async def _report(self) -> None:
        """Ask `ready`, tell health, and log a change."""
        try:
            async with asyncio.timeout(self._ready_every):
                await self._ready()
            serving, why = True, None
        except Exception as error:  # noqa: BLE001 - any reason not to be ready is one
            serving, why = False, repr(error)
        if serving == self._serving:
            return
        self._serving = serving
        if serving:
            vitals.started("ready")
        log.info("ready") if serving else log.warning("not_ready", reason=why)
        for name in self._names:
            await self._health.set(name, SERVING if serving else NOT_SERVING)
        # The empty name is liveness: this process answers, whatever it needs may be away.
        await self._health.set("", SERVING)
