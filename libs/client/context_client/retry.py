"""When and for how long to try again."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from context_client.errors import Away, ContextError, Unreachable

FIRST, LONGEST = 0.2, 10.0  # seconds of back-off
MOST_TOKENS, EARNED = 10.0, 0.1  # of a budget: attempts after the first, and what each success gives back


def worth_retrying(error: ContextError, *, idempotent: bool) -> bool:
    """Whether the same call may succeed later, and cannot have been done twice by then."""
    match error:
        case Unreachable():
            return idempotent or not error.sent
        case Away():
            return error.status == 429 or (idempotent and error.status in (502, 503))
        case _:
            return False


def delay(attempt: int, error: ContextError | None = None) -> float:
    """Seconds before the attempt after `attempt` (from 0): doubling, with jitter, on top of what the server asked for.

    On top, so that callers who were told the same do not all come back at once.
    """
    asked = (error.retry_after if isinstance(error, Away) else None) or 0.0
    backoff: float = min(FIRST * 2**attempt, LONGEST) * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load only
    return asked + backoff


@dataclass
class Budget:
    """How much trying again is left to a client: where most calls fail, it only adds to the load."""

    tokens: float = MOST_TOKENS

    def spend(self) -> bool:
        """Whether to try again once more."""
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True

    def earn(self) -> None:
        """A call succeeded."""
        self.tokens = min(MOST_TOKENS, self.tokens + EARNED)


@dataclass
class Patience:
    """Waits between attempts, for `seconds` in all since the last progress."""

    seconds: float
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    _attempt: int = field(default=0, init=False)
    _since: float | None = field(default=None, init=False)

    def progress(self) -> None:
        """Something worked: begin anew."""
        self._attempt, self._since = 0, None

    def wait(self, error: ContextError | None = None) -> bool:
        """Wait before the next attempt; False, at once, when patience is at its end."""
        now = self.clock()
        self._since = now if self._since is None else self._since
        pause = delay(self._attempt, error)
        if now + pause - self._since > self.seconds:
            return False
        self._attempt += 1
        self.sleep(pause)
        return True
