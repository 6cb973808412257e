"""Commands that other installed packages add: each entry point of the group `contextctl.commands` is a typer.Typer."""

import functools
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from typer._click import Command, Context

GROUP = "contextctl.commands"


class Commands(TyperGroup):
    """Our own commands, and those of others under the names of their entry points.

    Others are looked for only when a name is not ours, or all are listed: that takes a look at every installed package.
    """

    def list_commands(self, ctx: "Context") -> list[str]:
        """The names of all commands, ours first."""
        return [*super().list_commands(ctx), *_found()]

    def get_command(self, ctx: "Context", cmd_name: str) -> "Command | None":
        """The command of a name, if there is one."""
        return super().get_command(ctx, cmd_name) or _load(cmd_name)


@functools.cache
def _found() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name)}


def _load(name: str) -> "Command | None":
    entry = _found().get(name)
    if entry is None:
        return None
    command = typer.main.get_command(entry.load())
    command.name = name
    return command
