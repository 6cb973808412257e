"""Waits until what was written can be found. An index that is away or slow never fails a write."""

from collections.abc import Sequence

import structlog
from google.protobuf.duration_pb2 import Duration

from context.v1 import retrieval_pb2 as retrieval
from context_common.client import call
from context_common.errors import AppError
from context_gateway.clients import Clients

TO_ANSWER = 0.5  # seconds that the call may take beyond the wait itself

log = structlog.get_logger()

Point = tuple[str, int]


async def wait_indexed(clients: Clients, points: Sequence[Point], seconds: float) -> list[bool]:
    """Whether each of `points` (item id and change id) is searchable, `seconds` from now at the latest.

    A change id of 0 means that nothing changed, so there is nothing to wait for. With 0 seconds nobody is asked.
    """
    waiting = [retrieval.IndexPoint(item_id=item_id, change_id=change) for item_id, change in points if change]
    found = iter(await _ask(clients, waiting, seconds))
    return [next(found) if change else True for _, change in points]


async def _ask(clients: Clients, points: Sequence[retrieval.IndexPoint], seconds: float) -> list[bool]:
    if not points or seconds <= 0:
        return [False] * len(points)
    wait = Duration()
    wait.FromMilliseconds(int(seconds * 1000))
    request = retrieval.WaitIndexedRequest(points=points, wait=wait)
    try:
        answer = await call(clients.retrieval.WaitIndexed, request, within=seconds + TO_ANSWER)
    except (AppError, RuntimeError) as error:
        log.warning("index_not_waited_for", reason=str(error))
        return [False] * len(points)
    indexed = list(answer.indexed[: len(points)])
    return indexed + [False] * (len(points) - len(indexed))
