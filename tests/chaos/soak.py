"""The soak run: mixed work at a modest rate for long, and whether anything grows."""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import linear_regression, mean

import psutil

from tests.chaos.access import Production, bearer
from tests.chaos.capacity import SHED, summary
from tests.chaos.cluster import POSTGRES, Cluster, Shape, running
from tests.chaos.mix import Mix, drive
from tests.chaos.report import Report
from tests.chaos.traffic import Caller, Journal
from tests.chaos.truth import rows

EVERY = 10.0  # seconds between samples
HOUR = 3600.0
MIB = 1024 * 1024
BACKENDS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
# What each may grow by within an hour; memory by a share of its mean.
MEMORY_GROWS = 0.05
COUNTS_GROW = 2.0

Series = dict[str, list[tuple[float, float]]]  # by what is measured: seconds and values


@dataclass(frozen=True)
class Soak:
    """How long and how hard; what was measured before `warm_up` seconds does not count."""

    seed: int
    rate: float = 20.0
    seconds: float = HOUR
    warm_up: float = 600.0


async def soak(run: Soak, command: str) -> Report:
    """Run it on a cluster of its own and give the figures."""
    report = Report("soak", command)
    access, journal = Production(), Journal()
    async with running(Shape(environ=access.environ)) as cluster:
        caller = Caller(cluster.urls, bearer(await access.key(cluster.url)), journal)
        mix = Mix(caller, random.Random(run.seed))
        await mix.prepare()
        journal.attempts.clear()
        series: Series = defaultdict(list)
        sampling = asyncio.create_task(_sample(cluster, series))
        attempts = await drive(mix, journal, run.rate, run.seconds)
        sampling.cancel()
        failed = [a for a in attempts if not a.ok and not (a.status in SHED and a.retry_after)]
        shed = sum(not a.ok for a in attempts) - len(failed)
        report.tell("seed", run.seed)
        report.tell("requests/s", run.rate)
        report.tell("seconds", run.seconds)
        report.tell("answers", summary(attempts))
        report.ask("requests shed", shed, "under 1 %", ok=shed < 0.01 * len(attempts))
        report.ask("requests failed", len(failed), "0", ok=not failed)
        report.ask("processes that died", len(cluster.deaths), "0", ok=not cluster.deaths)
        report.details |= {"failed": [str(a) for a in failed[:30]], "deaths": cluster.deaths}
        judge(series, run.warm_up, report)
        report.details["series"] = {name: points[::6] for name, points in series.items()}
        report.details["logged errors"] = dict(cluster.errors())
        await caller.close()
    return report


async def _sample(cluster: Cluster, series: Series) -> None:
    began = time.monotonic()
    while True:
        measured = await asyncio.to_thread(measure, cluster.pids(), cluster.database.url)
        for name, value in measured.items():
            series[name].append((time.monotonic() - began, value))
        await asyncio.sleep(EVERY)


def measure(pids: Mapping[str, int], database_url: str) -> dict[str, float]:
    """Memory (MiB), descriptors, threads and connections of each process; Postgres by its backends."""
    found: dict[str, float] = {"postgres backends": rows(database_url, BACKENDS)[0][0]}
    for name, pid in pids.items():
        if name == POSTGRES:
            continue
        process = psutil.Process(pid)
        with process.oneshot():
            found[f"{name} memory, MiB"] = process.memory_info().rss / MIB
            found[f"{name} threads"] = process.num_threads()
        found[f"{name} descriptors"] = process.num_fds()
        found[f"{name} connections"] = len(process.net_connections())
    return found


def judge(series: Mapping[str, Sequence[tuple[float, float]]], warm_up: float, report: Report) -> None:
    """Ask that nothing grows, by the slope of a least-squares line through what was measured after the warm-up."""
    for name, points in sorted(series.items()):
        late = [(at / HOUR, value) for at, value in points if at >= warm_up]
        if len(late) < 3:
            report.ask(name, len(late), "3 samples after the warm-up", ok=False)
            continue
        slope = linear_regression([at for at, _ in late], [value for _, value in late]).slope
        usual = mean(value for _, value in late)
        most = usual * MEMORY_GROWS if "memory" in name else COUNTS_GROW
        told = f"{late[0][1]:.0f} to {late[-1][1]:.0f}, {slope:+.2f} per hour"
        report.ask(name, told, f"at most +{most:.1f} per hour", ok=slope <= most)
