"""Waits until what was written can be found. An index that is away or slow never fails a write."""

import asyncio
from collections.abc import Sequence
from time import monotonic

import structlog
from google.protobuf.duration_pb2 import Duration

from context.v1 import retrieval_pb2 as retrieval
from context_common.client import call
from context_common.errors import AppError
from context_gateway.answers import WRITE_WAIT
from context_gateway.clients import Clients

ONE_CALL = 20.0  # seconds; longer waits are several calls, so that no call is held open for minutes
TO_ANSWER = 0.5  # seconds that a call may take beyond its wait
TRY_AGAIN = 0.5  # seconds

log = structlog.get_logger()

Point = tuple[str, int]


async def wait_indexed(clients: Clients, points: Sequence[Point], seconds: float) -> list[bool]:
    """Whether each of `points` (item id and change id) is searchable, `seconds` from now at the latest.

    A change id of 0 means that nothing changed, so there is nothing to wait for. With 0 seconds nobody is asked.
    Who waits longer than a write does, waits for an index that is away to come back.
    """
    waiting = [point for point in points if point[1]]
    missing = set(waiting)
    until = monotonic() + seconds
    while missing and (left := until - monotonic()) > 0:
        asked = [point for point in waiting if point in missing]
        try:
            indexed = await _ask(clients, asked, min(left, ONE_CALL))
        except (AppError, RuntimeError) as error:
            log.warning("index_not_waited_for", reason=str(error))
            if seconds <= WRITE_WAIT:
                break
        else:
            missing -= {point for point, reached in zip(asked, indexed, strict=False) if reached}
            if left <= ONE_CALL:
                break
        if missing:
            await asyncio.sleep(min(left, TRY_AGAIN))
    return [point not in missing for point in points]


async def _ask(clients: Clients, points: Sequence[Point], seconds: float) -> Sequence[bool]:
    wait = Duration()
    wait.FromMilliseconds(int(seconds * 1000))
    named = [retrieval.IndexPoint(item_id=item_id, change_id=change) for item_id, change in points]
    request = retrieval.WaitIndexedRequest(points=named, wait=wait)
    return (await call(clients.retrieval.WaitIndexed, request, within=seconds + TO_ANSWER)).indexed
