"""Stops asking a method that keeps failing: nobody waits for what is not coming, and the sick get time to recover."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import SystemRandom

import structlog

from context_common import metrics
from context_common.errors import AppError, TooLate, Unavailable

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

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Watch one call.

        Raises:
            Unavailable: The circuit is open; nothing was called.
        """
        self._enter()
        try:
            yield
        except (Unavailable, TooLate):
            self._failed()
            raise
        except (AppError, RuntimeError):  # an answer, if not a good one
            self._answered()
            raise
        self._answered()

    @property
    def is_open(self) -> bool:
        """Whether calls fail at once."""
        return self._failures >= FAILURES

    def _enter(self) -> None:
        if not self.is_open:
            return
        left = self._try_at - time.monotonic()
        if left > 0:
            metrics.CLIENT_CIRCUIT_REFUSED.labels(*self._labels).inc()
            raise Unavailable("a part that is needed has not answered lately", left)
        self._rest()

    def _rest(self) -> None:
        self._try_at = time.monotonic() + PAUSE * SystemRandom().uniform(1 - SPREAD, 1 + SPREAD)

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
