"""A group of commands that does one of them where none is named: `contextctl backup` is `contextctl backup create`."""

from typing import TYPE_CHECKING

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from typer._click import Context

HELP = ("--help", "-h")
HELP_OPTIONS = {"help_option_names": list(HELP)}


def group(default: str, text: str) -> typer.Typer:
    """A group whose command `default` is meant where the first word is none of its commands."""

    class Group(TyperGroup):
        def parse_args(self, ctx: "Context", args: list[str]) -> list[str]:
            if not args or (args[0] not in self.commands and args[0] not in HELP):
                args = [default, *args]
            return super().parse_args(ctx, args)

    return typer.Typer(cls=Group, help=text, rich_markup_mode=None, add_completion=False, context_settings=HELP_OPTIONS)
