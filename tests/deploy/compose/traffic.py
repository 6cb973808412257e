"""Questions over https, all the time, and what became of each."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import httpx2

AGAIN = (429, 502, 503, 504)  # what a client may ask again for
ATTEMPTS = 6


@dataclass
class Outcome:
    """What became of the questions so far."""

    seconds: list[float] = field(default_factory=list)
    retried: int = 0
    degraded: int = 0
    failed: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        times = sorted(self.seconds)
        if not times:
            return "no answer"
        middle, late = times[len(times) // 2], times[int(len(times) * 0.99)]
        return (
            f"{len(times)} answered, {self.retried} of them after a retry, {self.degraded} by words alone, "
            f"{len(self.failed)} failed; p50 {middle * 1000:.0f} ms, p99 {late * 1000:.0f} ms,"
            f" longest {times[-1]:.2f} s"
        )


class Traffic:
    """`workers` ask one after the other, together `rate` questions a second, for the length of a block."""

    def __init__(self, client: Callable[[], httpx2.Client], rate: float = 6.0, workers: int = 3) -> None:
        self.outcome = Outcome()
        self._client, self._every, self._workers = client, workers / rate, workers
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._asked = 0

    def __enter__(self) -> Self:
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(self._workers)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def take(self) -> Outcome:
        """What became of those since the last time."""
        with self._lock:
            taken, self.outcome = self.outcome, Outcome()
        return taken

    def _work(self) -> None:
        with self._client() as client:
            while not self._stop.is_set():
                began = time.monotonic()
                self._ask(client, began)
                self._stop.wait(max(0.0, began + self._every - time.monotonic()))

    def _ask(self, client: httpx2.Client, began: float) -> None:
        with self._lock:
            self._asked += 1
            number = self._asked
        # Each is another text, so that none is answered out of a cache.
        body = {"query": f"why is the feed no log, and what was decided in case {number}?", "max_tokens": 800}
        why = ""
        for attempt in range(ATTEMPTS):
            try:
                answer = client.post("/api/context/query", json=body)
            except httpx2.TransportError as error:
                why = repr(error)
            else:
                if answer.status_code == 200:
                    self._note(began, attempt, degraded=bool(answer.json()["degraded"]))
                    return
                why = f"{answer.status_code} {answer.text[:200]}"
                if answer.status_code not in AGAIN:
                    break
            time.sleep(0.5 * 2**attempt)
        with self._lock:
            self.outcome.failed.append(why)

    def _note(self, began: float, attempt: int, *, degraded: bool) -> None:
        with self._lock:
            self.outcome.seconds.append(time.monotonic() - began)
            self.outcome.retried += attempt > 0
            self.outcome.degraded += degraded
