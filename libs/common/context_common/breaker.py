"""Stops asking a method that keeps failing: nobody waits for what is not coming, and the sick get time to recover."""

import time
from random import SystemRandom

import structlog

from context_common import metrics
from context_common.errors import TooLate, Unavailable

FAILURES = 5  # in a row, after which it opens
PAUSE = 0.5  # seconds between two calls let through while it is open, give or take a fifth, so that clients spread
SPREAD = 0.2

log = structlog.get_logger()


class Breaker:
    """The circuit to one method of one service, as one process sees it.

    One method, not a whole service: where writes fail because a database is full, reads go on. While it is open, one
    call at a time is let through to see whether the service is back; its answer closes the circuit.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._labels = metrics.names(path)
        self._failures = 0
        self._try_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether calls fail at once."""
        return self._failures >= FAILURES

    def enter(self) -> None:
        """Let one call through.

        Raises:
            Unavailable: The circuit is open; nothing may be called.
        """
        if not self.is_open:
            return
        left = self._try_at - time.monotonic()
        if left > 0:
            metrics.CLIENT_CIRCUIT_REFUSED.labels(*self._labels).inc()
            raise Unavailable("a part that is needed has not answered lately", left)
        self._rest()

    def _rest(self) -> None:
        self._try_at = time.monotonic() + PAUSE * SystemRandom().uniform(1 - SPREAD, 1 + SPREAD)

    def note(self, error: Exception | None = None) -> None:
        """Learn from a call that was let through: it was answered, if not well, unless the service was away or late."""
        if isinstance(error, Unavailable | TooLate):
            self._failed()
        else:
            self._answered()

    def _failed(self) -> None:
        self._failures += 1
        if self._failures == FAILURES:
            self._rest()
            metrics.CLIENT_CIRCUIT.labels(*self._labels).set(1)
            log.warning("circuit_opened", method=self._path)

    def _answered(self) -> None:
        if self.is_open:
            metrics.CLIENT_CIRCUIT.labels(*self._labels).set(0)
            log.info("circuit_closed", method=self._path)
        self._failures = 0
