"""What one look found."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """How a thing is; the order is from good to bad."""

    OK = "ok"
    UNKNOWN = "unknown"  # not looked at, or nothing to look at yet; the detail says what it takes
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table. `advice` is what to do, empty where nothing is."""

    check: str
    state: State
    detail: str
    advice: str = ""

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self) | {"state": str(self.state)}


def worst(findings: Iterable[Finding]) -> State:
    """The worst state of all; OK where there are none."""
    order = list(State)
    return max((finding.state for finding in findings), key=order.index, default=State.OK)
