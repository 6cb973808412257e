"""What contextctl can be told to do."""

from collections.abc import Iterator
from typing import Any

import typer

from context_client.__main__ import COMMANDS
from context_client.cli import app


def _walk(command: Any, path: str) -> Iterator[tuple[str, str]]:
    if not hasattr(command, "list_commands"):
        yield path, (command.help or "").partition("\n")[0]
        return
    context = command.context_class(command)
    for name in command.list_commands(context):  # those of other packages too
        yield from _walk(command.get_command(context, name), f"{path} {name}")


def described() -> dict[str, str]:
    """The first line of each command's help, by `contextctl add adr`."""
    assert COMMANDS
    return dict(_walk(typer.main.get_command(app.app), "contextctl"))


def commands() -> set[str]:
    """Every command."""
    return set(described())
