"""The commands by which administrators look at text that nobody vouched for."""

from typing import Annotated, Literal

import typer

from context_client.cli.app import Session, app, command

review = typer.Typer(help="See and decide what is held for review.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(review, name="review")

Id = Annotated[str, typer.Argument(metavar="ID", help="Such as ADR-004.")]
Note = Annotated[str, typer.Option(help="Why; kept in the audit trail.")]
Version = Annotated[int, typer.Option(min=0, help="Only where the item is still at this version.")]


@command(review, "list")
def list_held(
    session: Session,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    cursor: Annotated[str, typer.Option(help="Where the last page ended.")] = "",
) -> None:
    """Show what looks like instructions to an agent and is shown to none, longest unchanged first."""
    from context_client.cli import show_admin

    with session.client() as client:
        session.answer(client.review.list(cursor, limit), show_admin.held)


@command(review)
def approve(session: Session, id: Id, note: Note = "", version: Version = 0) -> None:  # noqa: A002
    """Let an item be found and trusted. Example: contextctl review approve ADR-004 --version 1."""
    _decide(session, id, "approve", note, version)


@command(review)
def reject(session: Session, id: Id, note: Note = "", version: Version = 0) -> None:  # noqa: A002
    """Keep an item out for good. Example: contextctl review reject ADR-004 --note "tells agents to push"."""
    _decide(session, id, "reject", note, version)


def _decide(session: Session, item_id: str, verdict: Literal["approve", "reject"], note: str, version: int) -> None:
    from context_client.cli import show_admin

    with session.client() as client:
        session.answer(client.review.decide(item_id, verdict, note, version), show_admin.decided)
