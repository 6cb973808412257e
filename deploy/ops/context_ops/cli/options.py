"""Options that several commands share, and how sizes and times are read and written."""

import re
from typing import Annotated

import typer

from context_client.errors import CommandFailed

To = Annotated[str, typer.Option("--to", help="A directory or s3://bucket/prefix; BACKUP_TO.", metavar="WHERE")]
From = Annotated[str, typer.Option("--from", help="Where backups are; BACKUP_TO.", metavar="WHERE")]
Jobs = Annotated[int, typer.Option("--jobs", min=1, max=64, help="Connections that load at once.")]
Database = Annotated[
    str,
    typer.Option(
        "--database", help="Its url; BACKUP_DATABASE_URL. Not on a command line with a password.", metavar="URL"
    ),
]
AGE = re.compile(r"([0-9]{1,6})(m|h|d)")
SECONDS = {"m": 60, "h": 3600, "d": 86400}
UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def age(text: str) -> int:
    """Seconds of `26h`, `90m` or `2d`."""
    found = AGE.fullmatch(text)
    if found is None:
        raise CommandFailed(f"{text!r} is no age such as 26h, 90m or 2d", 2)
    return int(found[1]) * SECONDS[found[2]]


def size(count: float | None) -> str:
    """Bytes for people."""
    if count is None:
        return ""
    sign, left = ("-" if count < 0 else ""), float(abs(count))
    for unit in UNITS:
        if left < 1024 or unit == UNITS[-1]:
            break
        left /= 1024
    return f"{sign}{left:.0f} {unit}" if unit == "B" else f"{sign}{left:.1f} {unit}"


def since(seconds: float) -> str:
    """An age for people."""
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86400:.1f} days"
