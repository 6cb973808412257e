"""Deadlines that shrink on the way down: what a request has left bounds every call made for it."""

import time
from contextvars import ContextVar

from context_common.errors import TooLate

TO_ANSWER = 0.02  # seconds kept back, so that we answer before our caller gives up
LEAST = 0.005  # seconds; with less there is no point in asking anybody

_until: ContextVar[float] = ContextVar("deadline")


def bind(seconds: float) -> None:
    """This task, and those it starts, have `seconds` from now."""
    _until.set(time.monotonic() + seconds)


def remaining(most: float) -> float:
    """Seconds that a call may take: `most`, or what is left of the request less the time to answer.

    Raises:
        TooLate: Next to nothing is left.
    """
    until = _until.get(None)
    if until is None:
        return most
    left = until - time.monotonic() - TO_ANSWER
    if left < LEAST:
        raise TooLate
    return min(most, left)
