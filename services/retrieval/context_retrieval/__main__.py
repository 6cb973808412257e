"""Starts the retrieval service: `python -m context_retrieval`; with `migrate` it brings its schema up to date."""

import os
import sys
from pathlib import Path

import uvloop

from context_common import logs, metrics, postgres
from context_common.settings import SettingsError
from context_retrieval.service import build
from context_retrieval.settings import Settings

MIGRATIONS = Path(__file__).parent / "migrations"


async def migrate(settings: Settings) -> None:
    """Bring the schema up to date."""
    await postgres.migrate(settings.database_url, schema="retrieval", directory=MIGRATIONS)


async def serve(settings: Settings) -> None:
    """Serve until a signal."""
    metrics.serve(settings.metrics_listen)
    async with build(settings) as server:
        await server.run_until_signal()


def main() -> None:
    """Read the settings and do what the command line says."""
    try:
        settings = Settings.from_env(os.environ)
    except SettingsError as error:
        sys.exit(f"context_retrieval: {error}")
    logs.configure("retrieval", settings.log_level)
    uvloop.run(migrate(settings) if sys.argv[1:] == ["migrate"] else serve(settings))


if __name__ == "__main__":
    main()
