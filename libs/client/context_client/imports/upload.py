"""Sends many items through one bulk call, and again what a lost connection or a restarted service left unanswered."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from context_client.client import LONGEST_WAIT, Client
from context_client.errors import ApiError, Away, ContextError, Unreachable, describe
from context_client.retry import Patience
from context_client.types import Line

PATIENCE = 90.0  # seconds without any progress, of which a rate may ask for a minute
LINES, BYTES = 2_000, 32 * 1024 * 1024  # of one call
PASSING = ("unavailable", "overloaded", "deadline_exceeded")  # errors of a line that may pass


@dataclass
class Upload:
    """Uploads items; `said` is told of interruptions and `done` of each item that is finished."""

    client: Client
    said: Callable[[str], None]
    done: Callable[[int], None] = lambda _: None
    clock: Callable[[], float] = time.monotonic
    interrupted: bool = field(default=False, init=False)

    def run(self, items: Sequence[Mapping[str, Any]]) -> list[Line]:
        """The answer for each item, in their order.

        Raises:
            ApiError: The server refused the whole call.
        """
        answers: dict[int, Line] = {}
        last: dict[int, Line] = {}
        patience = Patience(PATIENCE, self.client.sleep, self.clock)
        while len(answers) < len(items):
            pending = _batch([i for i in range(len(items)) if i not in answers], items)
            before, error = len(answers), None
            try:
                for index, line in self._send(pending, items):
                    if _passes(line):
                        last[index] = line
                    else:
                        answers[index] = line
                        self.done(1)
            except (Unreachable, Away) as caught:
                error = caught
            if len(answers) > before:
                patience.progress()
            if all(index in answers for index in pending):
                continue
            if not self._again(patience, error, len(items) - len(answers)):
                return [answers.get(i) or last.get(i) or _unanswered(error) for i in range(len(items))]
        return [answers[i] for i in range(len(items))]

    def attempt(self, call: Callable[[], Any]) -> Any:
        """What `call` answers, tried again while the engine is away. `call` must be safe to repeat."""
        patience = Patience(PATIENCE, self.client.sleep, self.clock)
        while True:
            try:
                return call()
            except (Unreachable, Away) as error:
                if not self._again(patience, error, 1):
                    raise

    def _send(self, pending: list[int], items: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, Line]]:
        for line in self.client.bulk((items[i] for i in pending), LONGEST_WAIT):
            if 0 < line["line"] <= len(pending):
                yield pending[line["line"] - 1], line

    def _again(self, patience: Patience, error: ContextError | None, left: int) -> bool:
        self.interrupted = True
        why = str(error) if error else "a service is away"
        self.said(f"{why}; trying again ({left:,} to go)")
        if not patience.wait(error):
            self.said(f"{why}; gave up after {PATIENCE:.0f} s")
            return False
        return True


def reason(line: Line) -> str:
    """Why a line failed."""
    return describe(line) or "failed"


def _batch(pending: list[int], items: Sequence[Mapping[str, Any]]) -> list[int]:
    """The first of `pending` that fit into one call."""
    size = 0
    for count, index in enumerate(pending):
        size += sum(len(str(value)) for value in items[index].values()) * 2
        if count == LINES or (count and size > BYTES):
            return pending[:count]
    return pending


def _passes(line: Line) -> bool:
    return line["status"] == "error" and line.get("code") in PASSING


def _unanswered(error: ContextError | None) -> Line:
    problem = error.problem if isinstance(error, ApiError) else {}
    return {
        "line": 0,
        "status": "error",
        "error": str(error or "not answered"),
        "code": str(problem.get("code", "unreachable")),
    }
