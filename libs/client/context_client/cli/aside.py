"""The commands by which administrators look at what the index could not take."""

from typing import Annotated

import typer

from context_client.cli.app import Session, app, command

aside = typer.Typer(
    help="See and retry changes that the index could not take.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(aside, name="set-aside")


@command(aside, "list")
def list_set_aside(
    session: Session,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    cursor: Annotated[str, typer.Option(help="Where the last page ended.")] = "",
) -> None:
    """Show the changes that were given up on, and why."""
    from context_client.cli import show_admin

    with session.client() as client:
        session.answer(client.set_aside(cursor, limit), show_admin.set_aside)


@command(aside)
def retry(
    session: Session,
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID", help="Such as ADR-004; without one, all.")] = None,
) -> None:
    """Try changes again that were set aside. Example: contextctl set-aside retry ADR-004."""
    from context_client.cli import show

    with session.client() as client:
        session.answer({"retried": client.retry_set_aside(ids or ())}, show.values)
