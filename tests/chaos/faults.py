"""What is done to a running engine, in which order, and for how long: drawn from a seed that is printed."""

import asyncio
import random
import signal
from collections.abc import Sequence
from dataclasses import dataclass

from tests.chaos.cluster import Cluster
from tests.chaos.links import FAULTS, PASS

KILL, STOP = "kill", "stop"
PROCESSES = ("gateway", "knowledge", "retrieval", "embedding", "postgres")
LINK_BROKEN = (1.0, 3.0)  # seconds


@dataclass(frozen=True)
class Fault:
    """`kind` is KILL, STOP or one of links.FAULTS; `target` a process or a link; `seconds` how long it lasts."""

    kind: str
    target: str
    seconds: float

    def __str__(self) -> str:
        return f"{self.kind} {self.target}" + (f" {self.seconds:.1f} s" if self.seconds else "")

    @property
    def hits_knowledge(self) -> bool:
        """Whether it takes knowledge away and nothing else."""
        return self.target in ("knowledge", "gateway-knowledge", "retrieval-knowledge", "knowledge-postgres")


def plan(seed: int, count: int, links: Sequence[str], stopped: float) -> list[Fault]:
    """At least `count` faults in random order: each process `stopped` seconds, each link broken each way, kills."""
    rng = random.Random(seed)
    faults = [Fault(STOP, name, stopped) for name in PROCESSES]
    every = [Fault(kind, link, rng.uniform(*LINK_BROKEN)) for link in links for kind in FAULTS]
    faults += every
    kills = max(2 * len(PROCESSES), count - len(faults))
    faults += [Fault(KILL, PROCESSES[number % len(PROCESSES)], 0.0) for number in range(kills)]
    rng.shuffle(faults)
    return faults


async def inflict(cluster: Cluster, fault: Fault) -> None:
    """Do it, and take it back; a killed process is restarted by its supervisor."""
    if fault.kind == KILL:
        cluster.signal(fault.target, signal.SIGKILL)
    elif fault.kind == STOP:
        cluster.signal(fault.target, signal.SIGSTOP)
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            cluster.signal(fault.target, signal.SIGCONT)
    else:
        await cluster.set_link(fault.target, fault.kind)
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            await cluster.set_link(fault.target, PASS)
