"""Tells knowledge what was refused, for the audit trail: in the background, in batches, bounded whatever comes in."""

import asyncio
import contextlib
from dataclasses import dataclass
from time import time
from types import TracebackType
from typing import Self

import structlog
from starlette.datastructures import Headers
from starlette.types import Scope

from context.v1 import admin_pb2
from context_common import caller
from context_common.caller import NAMESPACE, SERVICE, Caller
from context_common.client import call
from context_common.errors import AppError, Denied, Unauthenticated
from context_gateway import metrics
from context_gateway.clients import Clients
from context_gateway.credential import DEFAULT_NAMESPACE, NAMESPACE_HEADER
from context_gateway.problems import OtherNamespace, describe
from context_gateway.rates import TooMany

KEPT = 2_000  # kinds of denials that wait; more are lost, and counted
BATCH = 500  # that knowledge takes at once
EVERY = 1.0  # seconds between batches, in which denials alike become one
WITHIN = 5.0  # seconds that knowledge has for a batch
LAST_WITHIN = 2.0  # seconds that the end of the process waits for the last ones
DENIED = (Unauthenticated, Denied, TooMany, OtherNamespace)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Kind:
    """What denials have in common that count as one."""

    address: str
    principal: str
    namespace: str
    operation: str
    status: int
    reason: str


class Denials:
    """The denials that knowledge has not heard of yet; they are sent while the block lasts."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._waiting: dict[Kind, admin_pb2.Denial] = {}
        self._some = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._keep_sending())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WITHIN):
                await self._send()

    def note(self, scope: Scope, address: str, error: Exception) -> None:
        """Keep what is to be told of a request that ended in `error`, if that refused it."""
        if not isinstance(error, DENIED):
            return
        problem = describe(error)
        state = scope["state"]
        principal = state.get("principal", "")
        # What a stranger asks for would make as many kinds as they like.
        unknown = f"{scope['method'][:16]} (none)" if principal else "(none)"
        kind = Kind(
            address=address,
            principal=principal,
            namespace=_namespace(scope) if principal else "",
            operation=state.get("operation") or unknown,
            status=problem.status,
            reason=problem.code,
        )
        self._keep(kind, state.get("request_id", ""), 1, time())

    def _keep(self, kind: Kind, request_id: str, count: int, at: float) -> None:
        waiting = self._waiting.get(kind)
        if waiting:
            waiting.count += count
        elif len(self._waiting) >= KEPT:
            metrics.DENIALS_LOST.inc(count)
        else:
            denial = self._waiting[kind] = _denial(kind, request_id, count)
            denial.at.FromNanoseconds(int(at * 1e9))
            self._some.set()

    async def _keep_sending(self) -> None:
        caller.bind(Caller(DEFAULT_NAMESPACE, "service:gateway", caller.new_request_id(), "", frozenset({SERVICE})))
        while True:
            await self._some.wait()
            await asyncio.sleep(EVERY)
            await self._send()

    async def _send(self) -> None:
        """Send what waits; what knowledge does not take waits on, as far as there is room."""
        caller.bind(Caller(DEFAULT_NAMESPACE, "service:gateway", caller.new_request_id(), "", frozenset({SERVICE})))
        while self._waiting:
            batch = dict(list(self._waiting.items())[:BATCH])
            for kind in batch:
                del self._waiting[kind]
            try:
                request = admin_pb2.RecordDenialsRequest(denials=batch.values())
                await call(self._clients.admin.RecordDenials, request, within=WITHIN)
            except (AppError, RuntimeError) as error:
                log.warning("denials_not_recorded", reason=str(error), waiting=len(self._waiting) + len(batch))
                for kind, denial in batch.items():
                    self._keep(kind, denial.request_id, denial.count, denial.at.ToNanoseconds() / 1e9)
                return
        self._some.clear()


def _denial(kind: Kind, request_id: str, count: int) -> admin_pb2.Denial:
    return admin_pb2.Denial(
        namespace=kind.namespace,
        principal=kind.principal,
        address=kind.address,
        request_id=request_id,
        operation=kind.operation,
        status=kind.status,
        reason=kind.reason,
        count=count,
    )


def _namespace(scope: Scope) -> str:
    """The namespace that was asked for; empty where none was, or what was cannot be one."""
    asked = Headers(scope=scope).get(NAMESPACE_HEADER, "")
    return asked if NAMESPACE.fullmatch(asked) else ""
