"""Asks questions at a steady rate and says how the answers came. An open loop: slow answers slow nothing down."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import httpx2

from context_client.http import open_async
from context_client.settings import Settings

TIMEOUT = 30.0  # seconds after which an answer counts as lost
LOST = 0  # the status of what was never answered
CONNECTIONS = 200
REPORT_EVERY = 5.0  # seconds


@dataclass
class Outcome:
    """What came of one run. Milliseconds are from the moment a request was due, so that waiting counts."""

    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    milliseconds: list[float] = field(default_factory=list)  # of answers with 200

    @property
    def sent(self) -> int:
        """Requests in all."""
        return self.statuses.total()

    @property
    def failed(self) -> int:
        """Those that were neither answered nor sent away to come again (429, 503)."""
        return sum(count for status, count in self.statuses.items() if status not in (200, 429, 503))

    def percentile(self, share: float) -> float:
        """The time within which `share` of the good answers came; 0 where there are none."""
        ordered = sorted(self.milliseconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0

    def as_json(self) -> dict[str, object]:
        """For programs."""
        return {
            "sent": self.sent,
            "rate": round(self.sent / self.seconds, 2) if self.seconds else 0.0,
            "seconds": round(self.seconds, 1),
            "statuses": {str(status or "lost"): count for status, count in sorted(self.statuses.items())},
            "failed": self.failed,
            "p50_ms": round(self.percentile(0.5), 1),
            "p95_ms": round(self.percentile(0.95), 1),
            "p99_ms": round(self.percentile(0.99), 1),
            "max_ms": round(max(self.milliseconds, default=0.0), 1),
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send: `rate` questions a second for `seconds`, going round `questions`."""

    questions: Sequence[str]
    rate: float
    seconds: float
    max_tokens: int = 4000


async def drive(settings: Settings, plan: Plan, report: Callable[[Outcome], None]) -> Outcome:
    """Carry out `plan`; `report` hears every few seconds how far it is."""
    outcome = Outcome()
    began = time.perf_counter()
    async with open_async(settings, connections=CONNECTIONS, timeout=TIMEOUT) as http:
        reported = began
        async with asyncio.TaskGroup() as tasks:
            for number in range(int(plan.rate * plan.seconds)):
                due = began + number / plan.rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                tasks.create_task(_ask(http, plan, number, due, outcome))
                if time.perf_counter() - reported >= REPORT_EVERY:
                    reported = time.perf_counter()
                    outcome.seconds = reported - began
                    report(outcome)
    outcome.seconds = time.perf_counter() - began
    return outcome


async def _ask(http: httpx2.AsyncClient, plan: Plan, number: int, due: float, outcome: Outcome) -> None:
    question = plan.questions[number % len(plan.questions)]
    try:
        answer = await http.post("/api/context/query", json={"query": question, "max_tokens": plan.max_tokens})
    except httpx2.HTTPError:
        outcome.statuses[LOST] += 1
        return
    outcome.statuses[answer.status_code] += 1
    if answer.status_code == 200:
        outcome.milliseconds.append((time.perf_counter() - due) * 1000)
