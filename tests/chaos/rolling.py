"""The rolling restart: every process of an engine with two replicas ends and comes again, one by one, under load."""

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from context_local.health import answers
from tests.chaos.access import Production, bearer
from tests.chaos.balancer import balancing
from tests.chaos.cluster import SERVICES, Cluster, Shape, running
from tests.chaos.report import Report, percentile
from tests.chaos.traffic import Attempt, Caller, Journal, Reader, Writer, keep
from tests.chaos.truth import compare

BACK_WITHIN = 60.0  # seconds
DRAIN = "2"  # seconds; longer than the balancer takes to notice


@dataclass(frozen=True)
class Rolling:
    """How hard, and how often round."""

    seed: int
    rounds: int = 1
    writers: int = 8
    readers: int = 8
    think: float = 0.3
    settle: float = 3.0  # seconds between one process and the next


async def restart_all(run: Rolling, command: str) -> Report:
    """Run it on a cluster of its own and give the figures."""
    report = Report("rolling restart", command)
    access, journal = Production(), Journal()
    shape = Shape(replicas=2, environ={**access.environ, "DRAIN": DRAIN})
    async with running(shape) as cluster, balancing(cluster.urls) as url:
        headers = bearer(await access.key(cluster.url))
        caller = Caller([url], headers, journal)
        passer_by = Caller([url], headers, journal, force_close=True)
        async with under_load(run, caller, passer_by, journal):
            await asyncio.sleep(run.settle)
            restarts = [await restart(cluster, name, run.settle) for _ in range(run.rounds) for name in names(cluster)]
        account(journal.attempts, restarts, report)
        report.tell("seed", run.seed)
        await compare(cluster.database.url, journal, caller, report)
        report.details["logged errors"] = dict(cluster.errors())
        await caller.close()
        await passer_by.close()
    return report


@asynccontextmanager
async def under_load(run: Rolling, caller: Caller, passer_by: Caller, journal: Journal) -> AsyncIterator[None]:
    """Let writers and readers work for the block, some of whom open a connection for each request."""
    done, rng = asyncio.Event(), random.Random(run.seed)
    clients: list[Writer | Reader] = [
        Writer(n, caller, journal, random.Random(run.seed + n)) for n in range(run.writers)
    ]
    clients += [
        Reader(passer_by if n % 2 else caller, journal, random.Random(run.seed + 500 + n)) for n in range(run.readers)
    ]
    tasks = [asyncio.create_task(keep(client.step, run.think, rng, done)) for client in clients]
    try:
        yield
    finally:
        done.set()
        await asyncio.gather(*tasks)


def names(cluster: Cluster) -> list[str]:
    """Replicas of one service one after the other."""
    return [name for service in SERVICES for name in sorted(cluster.pids()) if name.startswith(service)]


async def restart(cluster: Cluster, name: str, settle: float) -> tuple[str, float, float]:
    """End a process and wait until it serves again; answers its name, when it was told and when it served."""
    before, began = cluster.pids()[name], time.monotonic()
    cluster.signal(name, signal.SIGTERM)
    async with asyncio.timeout(BACK_WITHIN):
        while cluster.pids().get(name, before) == before or not await asyncio.to_thread(_serves, cluster, name):
            await asyncio.sleep(0.1)
    back = time.monotonic()
    print(f"{name}: served again after {back - began:.1f} s", flush=True)
    await asyncio.sleep(settle)
    return name, began, back


def _serves(cluster: Cluster, name: str) -> bool:
    addr = cluster.addresses[name]
    if name.startswith("gateway"):
        return answers(f"http://{addr}/readyz")
    service = f"context.v1.{name.partition('-')[0].capitalize()}Service"
    with grpc.insecure_channel(addr) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        try:
            answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=2)
        except grpc.RpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def account(attempts: list[Attempt], restarts: list[tuple[str, float, float]], report: Report) -> None:
    failed = [a for a in attempts if not a.ok]
    during = [a for a in attempts if any(a.end >= began and a.start <= back for _, began, back in restarts)]
    report.tell("restarts", len(restarts))
    report.tell("requests", len(attempts))
    report.tell("of them during a restart", len(during))
    report.ask("requests failed", len(failed), "0", ok=not failed)
    took = [a.end - a.start for a in attempts]
    report.tell("p50 and p99, ms", f"{percentile(took, 0.5) * 1000:.0f} and {percentile(took, 0.99) * 1000:.0f}")
    report.details["failed"] = [str(a) for a in failed[:40]]
    report.details["restarts"] = {name: round(back - began, 1) for name, began, back in restarts}
    report.details["failed by kind"] = dict(Counter(a.kind for a in failed))
    touched = (name for a in failed for name, began, back in restarts if began <= a.end and a.start <= back)
    report.details["failed during"] = dict(Counter(touched))
