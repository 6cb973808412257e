"""What a process is here, and how one is started so that it cannot outlive whoever started it."""

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from context_local.embedded import as_user

PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Process:
    """One row of the table.

    Args:
        name: Also that of its log file.
        command: What to run.
        environment: Variables on top of ours.
        needs: Names of rows that are ready before this one starts.
        ready: Whether it can be used by others; a row without it, like one with `once`, is ready when it has ended.
        once: It is a step that ends, and is not started again.
        stop_signal: Asks it to finish what it does and end.
        death_signal: What it gets when its parent is killed.
        user: The system user to run as, where that is not ours.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    needs: Sequence[str] = ()
    ready: Callable[[], bool] | None = None
    once: bool = False
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    user: str | None = None


def popen_options(process: Process, environ: Mapping[str, str], output: IO[bytes] | None) -> dict[str, Any]:
    """What to start `process` with, by asyncio or by subprocess; without `output` what it says goes where ours goes.

    It gets a session of its own, so that a Ctrl-C reaches only us and we can stop all in order.
    """
    return {
        "env": {**environ, **process.environment},
        **as_user(process.user),
        "stdin": subprocess.DEVNULL,
        "stdout": output,
        "stderr": subprocess.STDOUT,
        "start_new_session": True,
        "preexec_fn": _die_with_parent(process.death_signal),
    }


async def spawn(process: Process, environ: Mapping[str, str], log: Path | None) -> asyncio.subprocess.Process:
    """Start `process`, its output added to `log`, or where ours goes."""
    if log is None:
        return await asyncio.create_subprocess_exec(*process.command, **popen_options(process, environ, None))
    with log.open("ab") as output:
        return await asyncio.create_subprocess_exec(*process.command, **popen_options(process, environ, output))


def _die_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    """What a child does before its program starts, so that the kernel sends it `number` when its parent goes."""
    if sys.platform != "linux":
        return None
    prctl, parent = ctypes.CDLL(None, use_errno=True).prctl, os.getpid()

    def prepare() -> None:
        prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:  # it went in between
            os._exit(1)

    return prepare
