"""The supervisor, over small real processes."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest

from context_local import supervisor as supervisor_module
from context_local.health import free_ports, listens
from context_local.processes import Process
from context_local.supervisor import StepFailedError, Supervisor

SLEEP = (sys.executable, "-c", "import time; time.sleep(600)")
IGNORE = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); "
DEAF = (sys.executable, "-c", IGNORE + "time.sleep(600)")
Start = Callable[..., Supervisor]


@pytest.fixture
def told() -> list[str]:
    """What the supervisor reported."""
    return []


@pytest.fixture
async def start(tmp_path: Path, told: list[str]) -> AsyncIterator[Start]:
    """Starts a supervisor over processes, and stops it after the test."""
    made: list[Supervisor] = []

    def begin(*table: Process) -> Supervisor:
        made.append(Supervisor(table, os.environ, tmp_path, told.append))
        made[-1].start()
        return made[-1]

    yield begin
    for one in made:
        await one.stop()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.02)


def alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def server(port: int) -> tuple[str, ...]:
    return (
        sys.executable,
        "-c",
        f"import socket, time; s = socket.create_server(('127.0.0.1', {port})); time.sleep(600)",
    )


async def test_a_child_that_dies_is_started_again(start: Start, told: list[str]) -> None:
    supervisor = start(Process("one", SLEEP))
    await until(supervisor.pids)
    first = supervisor.pids()["one"]
    os.kill(first, signal.SIGKILL)
    await until(lambda: supervisor.pids().get("one") not in (None, first))
    assert told == ["one was killed by SIGKILL; again in 0.1 s"]


async def test_a_child_that_keeps_dying_waits_longer_each_time(start: Start, told: list[str]) -> None:
    start(Process("one", (sys.executable, "-c", "raise SystemExit('no such thing')")))
    await until(lambda: len(told) >= 3)
    assert told[:3] == [
        f"one ended with code 1; again in {pause} s; its last words: no such thing" for pause in ("0.1", "0.2", "0.4")
    ]


async def test_a_child_that_dies_too_often_in_a_row_is_given_up(told: list[str]) -> None:
    dying = Process("one", (sys.executable, "-c", "raise SystemExit(3)"))
    supervisor = Supervisor([dying, Process("other", SLEEP)], os.environ, None, told.append, most_deaths=2)
    supervisor.start()
    with pytest.raises(StepFailedError, match=r"one ended with code 3, the last of 2 times in a row"):
        await supervisor.keep()
    await supervisor.stop()
    assert told == ["one ended with code 3; again in 0.1 s"]
    assert supervisor.pids() == {}


async def test_a_child_that_never_was_ready_is_given_up_with_its_reason(start: Start, told: list[str]) -> None:
    wrong = (sys.executable, "-c", "raise SystemExit('RATE_LIMIT must be at most 10000')")
    supervisor = start(Process("one", wrong, ready=lambda: False))
    with pytest.raises(StepFailedError, match=r"the last of 5 times in a row; its last words: RATE_LIMIT must be"):
        await supervisor.ready("one")
    assert len(told) == 4


async def test_keeping_ends_with_the_last_that_was_stopped() -> None:
    supervisor = Supervisor([Process("one", SLEEP)], os.environ, None, print, most_deaths=2)
    supervisor.start()
    keeping = asyncio.create_task(supervisor.keep())
    await until(supervisor.pids)
    await supervisor.stop()
    await asyncio.wait([keeping], timeout=30)
    assert keeping.done()


async def test_what_needs_another_waits_until_that_is_ready(start: Start, tmp_path: Path) -> None:
    [port] = free_ports(1)
    wrote = (sys.executable, "-c", f"import pathlib; pathlib.Path('{tmp_path}/step').touch()")
    looks = (sys.executable, "-c", f"import pathlib; print(pathlib.Path('{tmp_path}/step').exists())")
    supervisor = start(
        Process("server", server(port), ready=partial(listens, port)),
        Process("step", wrote, needs=["server"], once=True),
        Process("last", looks, needs=["step"], once=True),
    )
    await supervisor.ready("last")
    assert (tmp_path / "last.log").read_text() == "True\n"
    assert listens(port)


async def test_a_step_that_fails_ends_the_wait_for_what_needs_it(start: Start) -> None:
    failing = (sys.executable, "-c", "raise SystemExit('the disk is full')")
    supervisor = start(Process("step", failing, once=True), Process("last", SLEEP, needs=["step"], ready=lambda: True))
    with pytest.raises(StepFailedError, match=r"step ended with code 1; its last words: the disk is full"):
        await supervisor.ready("last")


async def test_stops_in_reverse_order(start: Start, tmp_path: Path) -> None:
    code = (
        "import signal, sys, time\n"
        f"def end(*_): open('{tmp_path}/order', 'a').write(sys.argv[1]); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end); print('up', flush=True); time.sleep(600)"
    )
    table = [Process(name, (sys.executable, "-c", code, name)) for name in "abc"]
    supervisor = start(*table)
    await until(lambda: all((tmp_path / f"{name}.log").exists() for name in "abc"))
    await until(lambda: all((tmp_path / f"{name}.log").read_text() for name in "abc"))
    await supervisor.stop()
    assert (tmp_path / "order").read_text() == "cba"
    assert supervisor.pids() == {}


async def test_what_does_not_stop_is_killed(
    start: Start, told: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "STOP_WITHIN", 0.2)
    supervisor = start(Process("deaf", DEAF))
    await until(lambda: (tmp_path / "deaf.log").exists() and (tmp_path / "deaf.log").read_text())
    pid = supervisor.pids()["deaf"]
    await supervisor.stop()
    assert not alive(pid)
    assert told == ["deaf does not stop and is killed"]


async def test_in_a_hurry_nothing_is_waited_for(start: Start, tmp_path: Path) -> None:
    supervisor = start(Process("deaf", DEAF))
    await until(lambda: (tmp_path / "deaf.log").exists() and (tmp_path / "deaf.log").read_text())
    supervisor.hurry()
    await supervisor.stop()
    assert supervisor.pids() == {}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent's death")
def test_children_do_not_outlive_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    program = f"""
import asyncio, os, pathlib
from context_local.processes import Process
from context_local.supervisor import Supervisor
async def main():
    supervisor = Supervisor([Process("one", {SLEEP!r})], os.environ, pathlib.Path({str(tmp_path)!r}), print)
    supervisor.start()
    while not supervisor.pids():
        await asyncio.sleep(0.02)
    print(supervisor.pids()["one"], flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.kill()
    asyncio.run(until(lambda: not alive(pid)))


async def test_the_log_of_the_run_before_is_kept(start: Start, tmp_path: Path) -> None:
    (tmp_path / "one.log").write_text("from before")
    start(Process("one", SLEEP))
    assert (tmp_path / "one.log.1").read_text() == "from before"
