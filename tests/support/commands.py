"""What contextctl can be told to do."""

from collections.abc import Iterator
from typing import Any

import typer

from context_client.__main__ import COMMANDS
from context_client.cli import app


def _walk(command: Any, path: str) -> Iterator[tuple[str, str]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, (command.help or "").partition("\n")[0]
        return
    for name, child in inner.items():
        yield from _walk(child, f"{path} {name}")


def described() -> dict[str, str]:
    """The first line of each command's help, by `contextctl add adr`."""
    assert COMMANDS
    return dict(_walk(typer.main.get_command(app.app), "contextctl"))


def commands() -> set[str]:
    """Every command."""
    return set(described())
