"""The chaos run: writers and readers, faults one after the other, and the reckoning."""

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.chaos.access import Production, bearer
from tests.chaos.cluster import Cluster, Shape, running
from tests.chaos.faults import KILL, Fault, inflict, plan
from tests.chaos.probes import GIVE_UP, KINDS, Prober, recover
from tests.chaos.report import Report, percentile
from tests.chaos.traffic import ANSWERED_BY_RETRIEVAL, SAID, WRITES, Attempt, Caller, Journal, Reader, Writer, keep
from tests.chaos.truth import compare

RECOVERY = 5.0  # seconds within which every kind of request must succeed again
GRACE = 1.0  # seconds after recovery that still belong to the fault


@dataclass(frozen=True)
class Storm:
    """How hard and how long."""

    seed: int
    seconds: float = 300.0
    faults: int = 50
    writers: int = 16
    readers: int = 16
    think: float = 0.4
    stopped: float = 10.0  # seconds of a SIGSTOP
    only: Sequence[str] = ()  # kinds of fault; empty: all


@dataclass
class Suffered:
    """A fault as it went. `window` is from its start to its recovery and a little more, in monotonic seconds."""

    fault: Fault
    start: float
    ended: float
    recovery: dict[str, float | None] = field(default_factory=dict)  # seconds by kind of request

    @property
    def slowest(self) -> float:
        """Seconds until every kind of request had succeeded again."""
        return max((GIVE_UP if one is None else one) for one in self.recovery.values())

    def __str__(self) -> str:
        never = [kind for kind, seconds in self.recovery.items() if seconds is None]
        return f"no {', '.join(never)} afterwards" if never else f"all well after {self.slowest:.2f} s"

    @property
    def window(self) -> tuple[float, float]:
        """When failures are owed to it."""
        return self.start, self.ended + self.slowest + GRACE

    def covers(self, attempt: Attempt) -> bool:
        """Whether the attempt was under way within the window."""
        return attempt.start <= self.window[1] and attempt.end >= self.window[0]


async def ride_out(storm: Storm, command: str) -> Report:
    """Run it on a cluster of its own and give the figures."""
    report = Report("chaos", command)
    report.tell("seed", storm.seed)
    access, journal = Production(), Journal()
    async with running(Shape(links=True, environ=access.environ)) as cluster:
        caller = Caller(cluster.urls, bearer(await access.key(cluster.url)), journal)
        suffered, began, ended = await _under_load(storm, cluster, caller, journal)
        await _account(storm, journal, suffered, (began, ended), report)
        await compare(cluster.database.url, journal, caller, report)
        report.details |= {"deaths": cluster.deaths, "logged errors": dict(cluster.errors())}
        await caller.close()
    return report


async def _under_load(
    storm: Storm, cluster: Cluster, caller: Caller, journal: Journal
) -> tuple[list[Suffered], float, float]:
    done, rng = asyncio.Event(), random.Random(storm.seed + 1)
    clients: list[Writer | Reader] = [
        Writer(n, caller, journal, random.Random(storm.seed + 100 + n), WRITES | SAID) for n in range(storm.writers)
    ]
    clients += [Reader(caller, journal, random.Random(storm.seed + 500 + n)) for n in range(storm.readers)]
    began = time.monotonic()
    tasks = [asyncio.create_task(keep(client.step, storm.think, rng, done)) for client in clients]
    suffered = await _inflict_all(storm, cluster, caller, journal)
    await asyncio.sleep(max(0.0, began + storm.seconds - time.monotonic()))
    ended = time.monotonic()
    done.set()
    await asyncio.wait_for(asyncio.gather(*tasks), 60)
    return suffered, began, ended


async def _inflict_all(storm: Storm, cluster: Cluster, caller: Caller, journal: Journal) -> list[Suffered]:
    rng = random.Random(storm.seed + 2)
    faults = plan(storm.seed, storm.faults, cluster.link_names, storm.stopped)
    faults = [fault for fault in faults if not storm.only or fault.kind in storm.only][: storm.faults]
    until = time.monotonic() + storm.seconds
    suffered = []
    probers = [Prober(kind, number, caller, journal) for number, kind in enumerate(KINDS)]
    await asyncio.gather(*(prober.prepare() for prober in probers))
    await asyncio.sleep(3)
    for number, fault in enumerate(faults):
        start = time.monotonic()
        await inflict(cluster, fault)
        one = Suffered(fault, start, start if fault.kind == KILL else time.monotonic())
        one.recovery = await recover(one.ended, probers)
        suffered.append(one)
        print(f"{start - until + storm.seconds:6.1f} s  {fault}: {one}", flush=True)
        # Random moments, so spread that the last fault comes before the end.
        left = max(0.0, until - time.monotonic() - sum(f.seconds + 2 for f in faults[number + 1 :]))
        await asyncio.sleep(GRACE + rng.uniform(0, 2) * min(3.0, left / (len(faults) - number)))
    return suffered


async def _account(
    storm: Storm, journal: Journal, suffered: Sequence[Suffered], span: tuple[float, float], report: Report
) -> None:
    attempts = [a for a in journal.attempts if a.end <= span[1]]
    outside = [a for a in attempts if not any(one.covers(a) for one in suffered)]
    failed = [a for a in outside if not a.ok]
    inside = sum(one.window[1] - one.window[0] for one in suffered)
    slowest = [one.slowest for one in suffered]
    report.tell("seconds", span[1] - span[0])
    report.ask("faults", len(suffered), f"at least {storm.faults}", ok=len(suffered) >= storm.faults)
    for kind, count in sorted(Counter(one.fault.kind for one in suffered).items()):
        report.tell(f"faults: {kind}", count)
    report.tell("seconds outside fault windows", span[1] - span[0] - inside)
    report.tell("requests", len(attempts))
    report.tell("requests within fault windows", len(attempts) - len(outside))
    report.tell("of them failed", sum(not a.ok for a in attempts) - len(failed))
    report.tell("requests outside fault windows", len(outside))
    report.ask("of them failed", len(failed), "0", ok=not failed)
    wrong = [a for a in attempts if a.error.startswith("wrong")]
    report.ask("answers that were wrong", len(wrong), "0", ok=not wrong)
    report.tell("recovery, median s", percentile(slowest, 0.5))
    report.ask("recovery, longest s", max(slowest), f"under {RECOVERY:.0f}", ok=max(slowest) < RECOVERY)
    _reads_without_knowledge(attempts, outside, suffered, report)
    report.details["failed outside"] = [str(a) for a in failed[:50]]
    report.details["wrong"] = [str(a) for a in wrong[:50]]
    report.details["faults"] = [_row(one, attempts, span[0]) for one in suffered]


def _reads_without_knowledge(
    attempts: Sequence[Attempt], outside: Sequence[Attempt], suffered: Sequence[Suffered], report: Report
) -> None:
    outages = [one for one in suffered if one.fault.hits_knowledge]
    reads = [a for a in attempts if a.kind in ANSWERED_BY_RETRIEVAL and any(one.covers(a) for one in outages)]
    usual = [a.end - a.start for a in outside if a.kind in ANSWERED_BY_RETRIEVAL]
    failed = [a for a in reads if not a.ok]
    took = [a.end - a.start for a in reads]
    report.tell("knowledge outages", len(outages))
    report.tell("queries and searches during them", len(reads))
    report.ask("of them failed", len(failed), "0", ok=not failed)
    report.tell("their p50 and p99, ms", f"{percentile(took, 0.5) * 1000:.0f} and {percentile(took, 0.99) * 1000:.0f}")
    report.tell(
        "outside fault windows, ms", f"{percentile(usual, 0.5) * 1000:.0f} and {percentile(usual, 0.99) * 1000:.0f}"
    )
    report.details["reads failed without knowledge"] = [str(a) for a in failed[:30]]


def _row(one: Suffered, attempts: Sequence[Attempt], began: float) -> dict[str, object]:
    failed: dict[str, int] = defaultdict(int)
    for attempt in attempts:
        if not attempt.ok and one.covers(attempt):
            failed[attempt.kind] += 1
    return {
        "fault": str(one.fault),
        "at": round(one.start - began, 1),
        "recovery": {kind: seconds and round(seconds, 2) for kind, seconds in one.recovery.items()},
        "failed": dict(failed),
    }
