"""Runs the whole context engine on this machine: `make run`, or `python -m context_local`."""

import asyncio
import os
import sys

from context_common.settings import SettingsError
from context_local import health, lock
from context_local.demo import PROJECT
from context_local.settings import Settings
from context_local.stack import Stack


def main() -> None:
    """Run until told to stop; the exit code says whether that was all."""
    try:
        settings = Settings.from_env(os.environ)
        with lock.hold(settings.data_dir):
            health.check_free(settings.port)
            code = asyncio.run(Stack(settings, {**_own_skills(), **os.environ}).run())
    except (SettingsError, lock.InUseError, health.PortTakenError) as error:
        sys.exit(f"make run: {error}")
    sys.exit(code)


def _own_skills() -> dict[str, str]:
    """Where the project's skills are; nothing where this package does not stand in its project."""
    folder = PROJECT / "skills"
    return {"SKILLS_PATH": str(folder)} if folder.is_dir() else {}


if __name__ == "__main__":
    main()
