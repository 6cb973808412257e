"""Starts the retrieval service: `python -m context_retrieval`; with `migrate` it brings its schema up to date."""

from context_common.signals import exit_on_sigterm

if __name__ == "__main__":
    exit_on_sigterm()  # before the imports, which take a while

import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

from context_common import postgres
from context_common.errors import AppError
from context_common.settings import SettingsError
from context_common.telemetry.start import telemetry
from context_retrieval.service import build
from context_retrieval.settings import Settings
from context_retrieval.store import SESSION

MIGRATIONS = Path(__file__).parent / "migrations"


async def migrate(settings: Settings) -> None:
    """Bring the schema up to date, as its owner, and make the login that the service is to have."""
    await postgres.set_up(settings.database_url, settings.owner_url, SESSION, MIGRATIONS)


async def serve(settings: Settings) -> None:
    """Serve until a signal."""
    async with build(settings) as server:
        await server.run_until_signal()


async def run(command: Callable[[Settings], Awaitable[None]], settings: Settings) -> None:
    """Do `command`."""
    async with telemetry(settings.process, serving=command is serve):
        await command(settings)


COMMANDS = {"": serve, "migrate": migrate}


def main() -> None:
    """Read the settings and do what the command line says."""
    arguments = sys.argv[1:]
    command = COMMANDS.get(" ".join(arguments))
    if command is None:
        sys.exit("usage: python -m context_retrieval [migrate]")
    try:
        settings = Settings.from_env(os.environ)
    except SettingsError as error:
        sys.exit(f"context_retrieval: {error}")
    try:
        uvloop.run(run(command, settings))
    except (SettingsError, AppError) as error:
        sys.exit(f"context_retrieval: {error}")


if __name__ == "__main__":
    main()
