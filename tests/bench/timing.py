"""Runs questions against something, one by one and many at once, and says how long each took.

Standard library only: whatever interpreter runs a peer measures with this too.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

Ask: TypeAlias = Callable[[str], object]

AT_ONCE = 16  # callers
CORES = len(os.sched_getaffinity(0))


@dataclass(frozen=True)
class Load:
    """Questions asked at once: answers a second, and the milliseconds of each."""

    rate: float
    ms: list[float]


def one_by_one(ask: Ask, questions: Sequence[str]) -> list[float]:
    """The milliseconds of each question, asked when the one before it is answered."""
    return [_timed(ask, question) for question in questions]


def at_once(make: Callable[[], Ask], questions: Sequence[str], callers: int = AT_ONCE) -> Load:
    """`questions` asked by so many callers, each with what `make` gives it for its own.

    Raises:
        Exception: What one of them met; the others stop.
    """
    asks = [make() for _ in range(callers)]
    left, ms, failed = iter(questions), list[float](), list[Exception]()
    lock = threading.Lock()

    def work(ask: Ask) -> None:
        while not failed:
            with lock:
                question = next(left, None)
            if question is None:
                return
            try:
                ms.append(_timed(ask, question))
            except Exception as error:  # noqa: BLE001 - raised again below, in the thread that waits
                failed.append(error)

    threads = [threading.Thread(target=work, args=(ask,)) for ask in asks]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - start
    if failed:
        raise failed[0]
    return Load(len(ms) / seconds, ms)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of `values` lie."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def resident(pid: int | str = "self") -> float:
    """Megabytes of a process that are in memory, what it shares with others included; 0 where nothing tells."""
    return _kilobytes(Path(f"/proc/{pid}/status"), "VmRSS:") / 1024


def own_share(pid: int) -> float:
    """The same, but each page divided by how many processes share it: such figures add up."""
    return _kilobytes(Path(f"/proc/{pid}/smaps_rollup"), "Pss:") / 1024


def _timed(ask: Ask, question: str) -> float:
    start = time.perf_counter()
    ask(question)
    return (time.perf_counter() - start) * 1000


def _kilobytes(path: Path, name: str) -> int:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(name)), 0)
