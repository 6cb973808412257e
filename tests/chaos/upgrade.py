"""The upgrade: services of an earlier commit go on on this one's schema, are replaced one by one, and come back."""

import asyncio
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.access import Production, bearer
from tests.chaos.balancer import balancing
from tests.chaos.cluster import ROOT, STORES, Cluster, Shape, running
from tests.chaos.report import Report
from tests.chaos.rolling import DRAIN, Rolling, account, names, restart, under_load
from tests.chaos.traffic import Caller, Journal
from tests.chaos.truth import compare


@dataclass(frozen=True)
class Upgrade(Rolling):
    """As a rolling restart; `previous` names the commit or tag that is upgraded from."""

    previous: str = "07cdf54"


async def upgrade(run: Upgrade, command: str) -> Report:
    """Upgrade a cluster of its own under load, roll it back, and give the figures."""
    report, access, journal = Report("upgrade and rollback", command), Production(), Journal()
    with sources(run.previous) as previous:
        shape = Shape(replicas=2, environ={**access.environ, "DRAIN": DRAIN}, sources=previous)
        async with running(shape) as cluster, balancing(cluster.urls) as url:
            headers = bearer(await access.key(cluster.url))
            caller, passer_by = (Caller([url], headers, journal, force_close=closing) for closing in (False, True))
            async with under_load(run, caller, passer_by, journal):
                await asyncio.sleep(run.settle)
                await _migrate(cluster, ROOT, report, "migrations of this commit, under the services of the other")
                await asyncio.sleep(run.settle)
                replaced = await _replace(cluster, ROOT, run.settle)
                await _migrate(cluster, previous, report, "migrations of the other commit afterwards")
                back = await _replace(cluster, previous, run.settle)
            account(journal.attempts, replaced + back, report)
            report.tell("from and back to", _describe(run.previous))
            report.tell("seed", run.seed)
            await compare(cluster.database.url, journal, caller, report)
            report.details["logged errors"] = dict(cluster.errors())
            await caller.close()
            await passer_by.close()
    return report


@contextmanager
def sources(commit: str) -> Iterator[Path]:
    """What the project was at `commit`, for the block."""
    with tempfile.TemporaryDirectory(prefix="context-upgrade-") as scratch:
        tree = Path(scratch) / "tree"
        _git("worktree", "add", "--detach", str(tree), commit)
        try:
            yield tree
        finally:
            _git("worktree", "remove", "--force", str(tree))


async def _migrate(cluster: Cluster, sources: Path, report: Report, what: str) -> None:
    for service in STORES:
        cluster.use(sources, f"migrate-{service}")
        code = await cluster.migrate(service, cluster.logs / f"again-{service}.log")
        report.ask(f"{what}: {service}", code, "0", ok=code == 0)


async def _replace(cluster: Cluster, sources: Path, settle: float) -> list[tuple[str, float, float]]:
    """Replace every process by one of `sources`; answers each with when it was told and when the other served."""
    replaced = []
    for name in names(cluster):
        cluster.use(sources, name)
        replaced.append(await restart(cluster, name, settle))
    return replaced


def _describe(commit: str) -> str:
    return _git("log", "-1", "--format=%h of %cs", commit)


def _git(*arguments: str) -> str:
    return subprocess.run(("git", *arguments), cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
