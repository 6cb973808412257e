"""The load run: the highest rate held, then twice that, and how soon all is well again."""

import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tests.chaos.access import Production, bearer
from tests.chaos.cluster import Shape, running
from tests.chaos.mix import SHARES, Mix, drive
from tests.chaos.report import Report, percentile
from tests.chaos.traffic import Attempt, Caller, Journal

LIMIT = 0.250  # seconds that 99 of 100 requests must be answered within
SHED = (429, 503)
QUICK = 1.0  # seconds within which a refusal must come
GROWTH = 1.25  # from one step to the next
FINE = 1.06  # the step at which the search for the highest rate ends
AFTERWARDS = 15.0  # seconds to watch after the overload


@dataclass(frozen=True)
class Load:
    """How long each step and the parts that are reported last, in seconds."""

    seed: int
    start: float = 20.0  # requests a second
    step: float = 12.0
    held: float = 60.0
    overload: float = 60.0


async def find_limits(load: Load, command: str) -> Report:
    """Run it on a cluster of its own and give the figures."""
    report = Report("load", command)
    report.tell("seed", load.seed)
    report.tell("mix, percent", ", ".join(f"{kind} {share}" for kind, share in SHARES.items()))
    access, journal = Production(), Journal()
    async with running(Shape(environ=access.environ)) as cluster:
        caller = Caller(cluster.urls, bearer(await access.key(cluster.url)), journal)
        mix = Mix(caller, random.Random(load.seed))
        await mix.prepare()
        await drive(mix, journal, load.start / 2, 5)  # warm
        rate = await _highest(load, mix, journal, report)
        before = cluster.pids()
        _overloaded(await drive(mix, journal, 2 * rate, load.overload), rate, report)
        _recovered(time.monotonic(), await drive(mix, journal, rate / 2, AFTERWARDS), report)
        report.ask("processes that died", len(cluster.deaths), "0", ok=not cluster.deaths and before == cluster.pids())
        report.details["deaths"] = cluster.deaths
        report.details["logged errors"] = dict(cluster.errors())
        await caller.close()
    return report


async def _highest(load: Load, mix: Mix, journal: Journal, report: Report) -> float:
    """The highest rate that is held for `load.held` seconds."""
    steps: list[dict[str, object]] = []

    async def holds(rate: float, seconds: float) -> bool:
        attempts = await drive(mix, journal, rate, seconds)
        fine = held(attempts)
        steps.append({"rate": round(rate, 1), "seconds": seconds, "held": fine, **summary(attempts)})
        print(steps[-1], flush=True)
        return fine

    good, bad = load.start, 0.0
    while not bad:
        if await holds(good * GROWTH, load.step):
            good *= GROWTH
        else:
            bad = good * GROWTH
    while bad / good > FINE:
        middle = (good * bad) ** 0.5
        good, bad = (middle, bad) if await holds(middle, load.step) else (good, middle)
    while not await holds(good, load.held):
        good /= FINE
    report.details["steps"] = steps
    report.tell("highest rate held, requests/s", round(good, 1))
    for name, value in steps[-1].items():
        report.tell(f"at that rate: {name}", value)
    return good


def held(attempts: Sequence[Attempt]) -> bool:
    """Whether all were answered well, and 99 of 100 soon enough."""
    return all(a.ok for a in attempts) and percentile([a.end - a.start for a in attempts], 0.99) < LIMIT


def summary(attempts: Sequence[Attempt]) -> dict[str, object]:
    """Counts and latencies."""
    took = [a.end - a.start for a in attempts]
    quantiles = {f"p{share}_ms": round(percentile(took, share / 100) * 1000) for share in (50, 95, 99)}
    return {"requests": len(attempts), "errors": sum(not a.ok for a in attempts), **quantiles}


def _overloaded(attempts: Sequence[Attempt], rate: float, report: Report) -> None:
    """What became of twice the rate that can be held."""
    statuses = Counter(a.status for a in attempts)
    shed = [a for a in attempts if a.status in SHED]
    took = [a.end - a.start for a in shed]
    other = [a for a in attempts if not a.ok and a.status not in SHED]
    well = [a for a in attempts if a.ok]
    span = max(a.end for a in attempts) - min(a.start for a in attempts)
    report.tell("twice that rate: requests/s sent", round(2 * rate, 1))
    report.tell("answers by status", dict(sorted(statuses.items())))
    report.tell("answered well, requests/s", round(len(well) / span, 1))
    report.tell("their p50 and p99, ms", _quantiles([a.end - a.start for a in well]))
    report.ask("shed", len(shed), "more than 0", ok=bool(shed))
    report.tell("refusals, p50 and p99, ms", _quantiles(took))
    slow = sum(one > QUICK for one in took)
    report.ask(f"refusals later than {QUICK:.0f} s", slow, "0", ok=not slow)
    silent = sum(not a.retry_after for a in shed)
    report.ask("refusals without Retry-After", silent, "0", ok=not silent)
    report.ask("neither answered nor shed", len(other), "0", ok=not other)
    report.details["neither"] = [str(a) for a in other[:30]]


def _recovered(ended: float, attempts: Sequence[Attempt], report: Report) -> None:
    """How soon after the overload a second is a normal one."""
    for second in range(int(AFTERWARDS)):
        some = [a for a in attempts if second <= a.start - ended < second + 1]
        if some and held(some):
            report.ask("first normal second after it", second + 1, "at most 2", ok=second < 2)
            break
    else:
        report.ask("first normal second after it", None, "at most 2", ok=False)
    report.tell("after it", summary(attempts))


def _quantiles(took: Sequence[float]) -> str:
    return f"{percentile(took, 0.5) * 1000:.0f} and {percentile(took, 0.99) * 1000:.0f}"
