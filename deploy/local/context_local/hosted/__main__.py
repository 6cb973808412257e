"""`python -m context_local.hosted` runs the container; `first-key` prints a key for everything where there is none."""

from context_common.signals import exit_on_sigterm

if __name__ == "__main__":
    exit_on_sigterm()  # before the imports, which take a while

import asyncio
import os
import sys

from context_common import logs
from context_common.settings import SettingsError
from context_local.hosted import container
from context_local.hosted.settings import Settings

USAGE = "usage: python -m context_local.hosted [first-key]"


def main() -> None:
    """Do what the command line says."""
    if sys.argv[1:] not in ([], ["first-key"]):
        sys.exit(USAGE)
    try:
        settings = Settings.from_env(os.environ)
    except SettingsError as error:
        sys.exit(f"context-engine: {error}")
    logs.configure("engine", settings.log_level)
    if sys.argv[1:]:
        container.first_key(settings, os.environ)
    sys.exit(asyncio.run(container.run(settings, os.environ)))


if __name__ == "__main__":
    main()
