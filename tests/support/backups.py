"""What tests of backups share."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from context_ops import manifest
from context_ops.manifest import Dump
from context_ops.settings import Settings

Make = Callable[..., Settings]


def quiet(_: str) -> None:
    """Nobody listens."""


def folder(settings: Settings) -> Path:
    """Where the backups are."""
    return Path(settings.to)


def old(dump: Dump, days: int) -> Dump:
    """The same, taken `days` earlier."""
    when = datetime.now(UTC) - timedelta(days=days)
    name = manifest.PREFIX + when.strftime(manifest.STAMP)
    return replace(dump, name=name, taken_at=when, finished_at=when)


def keep_old(settings: Settings, dump: Dump, *days: int) -> list[str]:
    """Put older backups beside `dump`; answers their names."""
    made = [old(dump, count) for count in days]
    for entry in made:
        (folder(settings) / entry.file_name).write_bytes((folder(settings) / dump.file_name).read_bytes())
        (folder(settings) / f"{entry.name}.json").write_bytes(manifest.write(entry))
    return [entry.name for entry in made]


def contextctl(environ: Mapping[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command line as an operator does."""
    command = [sys.executable, "-m", "context_client", *arguments]
    return subprocess.run(command, env={**os.environ, **environ}, capture_output=True, text=True, check=False)
