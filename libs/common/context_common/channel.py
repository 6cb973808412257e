"""A channel to one service: knows whom it calls and as whom, which the calls made over it need."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import grpc

from context_common import metrics, tls, tracing
from context_common.breaker import Breaker
from context_common.caller import Caller
from context_common.trust import Trust

OURS = "/context."  # health and reflection answer anybody
RETIRED_FOR = 120.0  # seconds: no call takes longer


class Method:
    """One method as a stub calls it."""

    def __init__(self, channel: "Channel", kind: str, path: str, codecs: dict[str, Any]) -> None:
        self.channel, self.path, self.breaker = channel, path, Breaker(path)
        self.calls = metrics.Calls(metrics.CLIENT_HANDLED, metrics.CLIENT_SECONDS, path)
        self.traced = tracing.rpc(path) if path.startswith(OURS) else None
        self._kind, self._codecs = kind, codecs
        self._opened: grpc.aio.Channel | None = None
        self._inner: Any = None

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Begin a call."""
        if self._opened is not (opened := self.channel.open()):
            self._inner = getattr(opened, self._kind)(self.path, **self._codecs)
            self._opened = opened
        return self._inner(*arguments, **options)


class Channel(grpc.aio.Channel):
    """Stands where gRPC's own channel does, below stubs.

    Args:
        addr: `host:port` or `dns:///name:port`.
        to: The name of the service there.
        trust: As whom we call.
        options: gRPC's.
    """

    def __init__(self, addr: str, to: str, trust: Trust, options: Sequence[tuple[str, Any]]) -> None:
        self._addr, self._to, self._trust, self._options = addr, to, trust, options
        self._channel: grpc.aio.Channel | None = None
        self._loaded: tls.Loaded | None = None
        self._retiring: set[asyncio.Task[None]] = set()

    def open(self) -> grpc.aio.Channel:
        """The channel of gRPC itself; it connects at its first call.

        It keeps the certificates that it was opened with: where there are new ones, another takes its place.
        """
        certificates = self._trust.certificates
        loaded = certificates.current() if certificates else None
        if self._channel is None or loaded is not self._loaded:
            if self._channel:
                self._retire(self._channel)
            self._channel, self._loaded = self._new(loaded), loaded
        return self._channel

    def _new(self, loaded: tls.Loaded | None) -> grpc.aio.Channel:
        if loaded is None:
            return grpc.aio.insecure_channel(self._addr, options=self._options)
        return grpc.aio.secure_channel(self._addr, tls.for_channel(loaded), options=self._options)

    def _retire(self, channel: grpc.aio.Channel) -> None:
        """Close `channel` when the calls under way on it have had the time to end."""

        async def later() -> None:
            try:
                await asyncio.sleep(RETIRED_FOR)
            finally:
                await channel.close()

        task = asyncio.create_task(later())
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    def metadata(self, who: Caller, path: str) -> tuple[tuple[str, str], ...]:
        """What a call for `who` to `path` carries."""
        return self._trust.metadata(who, self._to, path) if path.startswith(OURS) else ()

    async def close(self, grace: float | None = None) -> None:
        """End every call, those under way after `grace` seconds."""
        if self._channel:
            await self._channel.close(grace)
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """Whether it is connected."""
        return self.open().get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Return when the state is another one."""
        await self.open().wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Return when it is connected."""
        await self.open().channel_ready()

    def unary_unary(self, method: str, *codecs: Any, **named: Any) -> Any:
        """A method with one request and one answer."""
        return self._method("unary_unary", method, codecs, named)

    def unary_stream(self, method: str, *codecs: Any, **named: Any) -> Any:
        """A method with one request and a stream of answers."""
        return self._method("unary_stream", method, codecs, named)

    def stream_unary(self, method: str, *codecs: Any, **named: Any) -> Any:
        """A method with a stream of requests and one answer."""
        return self._method("stream_unary", method, codecs, named)

    def stream_stream(self, method: str, *codecs: Any, **named: Any) -> Any:
        """A method with streams both ways."""
        return self._method("stream_stream", method, codecs, named)

    def _method(self, kind: str, path: str, codecs: tuple[Any, ...], named: dict[str, Any]) -> Method:
        names = ("request_serializer", "response_deserializer")
        return Method(self, kind, path, {**dict(zip(names, codecs, strict=False)), **named})
