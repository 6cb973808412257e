"""Keeps a table of processes running: each starts when what it needs is ready, and again when it dies."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from context_local.processes import Process, spawn

FIRST_BACKOFF = 0.1  # seconds
LONGEST_BACKOFF = 10.0
HEALTHY_AFTER = 10.0  # seconds alive after which a death counts as the first one again
FRUITLESS = 5  # deaths in a row of what never was ready, after which it is given up: settings do not mend themselves
STOP_WITHIN = 12.0  # seconds to end after being asked; longer than a server's grace
POLL = 0.03

Report = Callable[[str], None]


class StepFailedError(Exception):
    """A step that must succeed did not."""


class Supervisor:
    """Runs `table` until `stop`.

    Args:
        table: What needs another row stands after it.
        environ: The environment that every process starts from.
        logs: The directory for `<name>.log`; None: what processes say goes where our own output goes.
        report: Is told about deaths.
        most_deaths: In a row, of one process, after which it is given up; None: it never is.
    """

    def __init__(
        self,
        table: Sequence[Process],
        environ: Mapping[str, str],
        logs: Path | None,
        report: Report,
        *,
        most_deaths: int | None = None,
    ) -> None:
        self._table, self._environ, self._logs, self._report = table, environ, logs, report
        self._most_deaths = most_deaths
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._ready = {process.name: asyncio.Event() for process in table}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stopping = asyncio.Event()
        self._hurried = asyncio.Event()

    def start(self) -> None:
        """Begin to run everything; `ready` says when it does."""
        for process in self._table:
            self._put_aside(self._log(process.name))
            self._tasks[process.name] = asyncio.create_task(self._keep(process))

    async def ready(self, *names: str) -> None:
        """Wait until all of `names` are ready.

        Raises:
            StepFailedError: A step of the table failed, or a process was given up.
        """
        waiting = {asyncio.create_task(self._ready[name].wait()) for name in names}
        tasks = set(self._tasks.values())
        try:
            while any(not wait.done() for wait in waiting):
                for task in tasks:
                    if task.done():
                        task.result()
                pending = {task for task in waiting | tasks if not task.done()}
                await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waiting:
                wait.cancel()

    async def keep(self) -> None:
        """Return once all of it has been stopped.

        Raises:
            StepFailedError: A step of the table failed, or a process was given up.
        """
        await asyncio.gather(*self._tasks.values())

    def pids(self) -> dict[str, int]:
        """Names and process ids of what runs."""
        return {name: child.pid for name, child in self._running.items() if child.returncode is None}

    async def stop(self) -> None:
        """Stop all, the last of the table first; what does not end in time is killed."""
        self._stopping.set()
        for process in reversed(self._table):
            child = self._running.get(process.name)
            if child and child.returncode is None:
                await self._end(process, child)
            task = self._tasks.get(process.name)
            if task:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    def hurry(self) -> None:
        """Kill what still runs instead of waiting for it."""
        self._hurried.set()

    async def _end(self, process: Process, child: asyncio.subprocess.Process) -> None:
        child.send_signal(process.stop_signal)
        hurried = asyncio.create_task(self._hurried.wait())
        ended = asyncio.create_task(child.wait())
        await asyncio.wait([ended, hurried], timeout=STOP_WITHIN, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        if ended.done():
            return
        self._report(f"{process.name} does not stop and is killed")
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)  # it leads a session of its own
        await ended

    async def _keep(self, process: Process) -> None:
        """Start `process` when it may, and again whenever it ends."""
        for name in process.needs:
            await self._ready[name].wait()
        backoff, deaths = FIRST_BACKOFF, 0
        while not self._stopping.is_set():
            started = time.monotonic()
            child = self._running[process.name] = await spawn(process, self._environ, self._log(process.name))
            probe = asyncio.create_task(self._probe(process, child))
            code = await child.wait()
            probe.cancel()
            if process.once:
                self._finish(process, code)
                return
            if self._stopping.is_set():
                return
            if time.monotonic() - started > HEALTHY_AFTER:
                backoff, deaths = FIRST_BACKOFF, 0
            deaths += 1
            fruitless = process.ready and not self._ready[process.name].is_set() and deaths == FRUITLESS
            if deaths == self._most_deaths or fruitless:
                how = f"{process.name} {_how(code)}, the last of {deaths} times in a row"
                raise StepFailedError(f"{how}{self._last_words(process)}")
            self._report(f"{process.name} {_how(code)}; again in {backoff:.1f} s{self._last_words(process)}")
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, LONGEST_BACKOFF)

    async def _probe(self, process: Process, child: asyncio.subprocess.Process) -> None:
        """Set the event once `process` answers."""
        while process.ready and child.returncode is None:
            if await asyncio.to_thread(process.ready):
                self._ready[process.name].set()
                return
            await asyncio.sleep(POLL)

    def _finish(self, process: Process, code: int) -> None:
        if code != 0 and not self._stopping.is_set():
            raise StepFailedError(f"{process.name} {_how(code)}{self._last_words(process)}")
        self._ready[process.name].set()

    @staticmethod
    def _put_aside(log: Path | None) -> None:
        """Keep what the run before this one wrote, for whoever asks why it ended."""
        if log is None:
            return
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.exists():
            log.replace(log.with_suffix(".log.1"))

    def _log(self, name: str) -> Path | None:
        return self._logs / f"{name}.log" if self._logs else None

    def _last_words(self, process: Process) -> str:
        log = self._log(process.name)
        if log is None:
            return ""
        lines = log.read_bytes()[-2000:].decode(errors="replace").strip().splitlines()
        return f"; its last words: {lines[-1]}" if lines else ""


def _how(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
