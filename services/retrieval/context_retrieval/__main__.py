"""Starts the retrieval service: `python -m context_retrieval`; with `migrate` it brings its schema up to date."""

import os
import sys
from pathlib import Path

import uvloop

from context_common import logs, metrics, postgres
from context_common.settings import SettingsError
from context_retrieval.service import build
from context_retrieval.settings import Settings
from context_retrieval.store import SESSION

MIGRATIONS = Path(__file__).parent / "migrations"


async def migrate(settings: Settings) -> None:
    """Bring the schema up to date, as its owner, and make the login that the service is to have."""
    owner = settings.owner_url or settings.database_url
    await postgres.migrate(owner, schema=SESSION.schema, directory=MIGRATIONS)
    await postgres.make_login(owner, settings.database_url, SESSION.role)


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
    try:
        uvloop.run(migrate(settings) if sys.argv[1:] == ["migrate"] else serve(settings))
    except SettingsError as error:
        sys.exit(f"context_retrieval: {error}")


if __name__ == "__main__":
    main()
