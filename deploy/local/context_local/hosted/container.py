"""Runs the table of the four services in the foreground, as the one process that a platform starts and watches."""

import asyncio
import os
import signal
from collections.abc import Mapping
from dataclasses import replace

import structlog

from context_local import table
from context_local.health import LOOPBACK
from context_local.hosted.settings import Settings
from context_local.processes import Process
from context_local.supervisor import StepFailedError, Supervisor

PORTS = {"knowledge": 50051, "embedding": 50052, "retrieval": 50053}
MOST_DEATHS = 5  # in a row; then the platform is to start another container, perhaps elsewhere

log = structlog.get_logger()


def rows(settings: Settings) -> list[Process]:
    """Migrations first, then the three services, then the gateway: while its port is closed, nobody is sent here."""
    first = settings.metrics_port + 1 if settings.metrics_port else 9101
    metrics = {name: first + number for number, name in enumerate(PORTS)}
    at = table.Addresses(settings.port, PORTS, metrics, settings.metrics_host or LOOPBACK)
    found = table.services(at, settings.database_url, login=settings.login, gateway_needs=table.GRPC)
    # The gateway ends first, after which nobody calls the others any more.
    return [_with(row, DRAIN=settings.drain if row.name == "gateway" else "0") for row in found]


def first_key(settings: Settings, environ: Mapping[str, str]) -> None:
    """Become the command that prints a key for everything, where none stands; for a person with a shell in here."""
    knowledge = next(row for row in rows(settings) if row.name == "knowledge")
    command = [*knowledge.command, "first-key"]
    os.execve(command[0], command, {**environ, **knowledge.environment})  # noqa: S606 - our own words


async def run(settings: Settings, environ: Mapping[str, str]) -> int:
    """Run until SIGTERM or SIGINT, or until something cannot be kept running; answers the exit code."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    supervisor = Supervisor(rows(settings), environ, None, _report, most_deaths=MOST_DEATHS)
    supervisor.start()
    keeping = asyncio.create_task(supervisor.keep())
    told = asyncio.create_task(stopping.wait())
    await asyncio.wait([keeping, told], return_when=asyncio.FIRST_COMPLETED)
    log.info("stopping")
    await supervisor.stop()
    told.cancel()
    result = (await asyncio.gather(keeping, return_exceptions=True))[0]
    if isinstance(result, StepFailedError):
        log.error("given_up", reason=str(result))
        return 1
    if result and not isinstance(result, asyncio.CancelledError):
        raise result
    log.info("stopped")
    return 0


def _with(row: Process, **environment: str) -> Process:
    return replace(row, environment={**row.environment, **environment})


def _report(what: str) -> None:
    log.error("process_ended", what=what)
