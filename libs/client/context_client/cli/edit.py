"""The commands that take an item away, and draw and erase relationships."""

from typing import Annotated

import typer

from context_client.cli.app import NOT_FOUND, Session, app, command
from context_client.errors import CommandFailed

Id = Annotated[str, typer.Argument(metavar="ID", help="Such as ADR-004.")]
From = Annotated[str, typer.Argument(metavar="FROM", help="The id where it begins.")]
Kind = Annotated[
    str,
    typer.Argument(
        metavar="TYPE",
        help="supersedes, caused_by, related_to, references, discussed_in, resolved_by, implements or contradicts.",
    ),
]
To = Annotated[str, typer.Argument(metavar="TO", help="The id where it ends.")]


@command(app)
def delete(
    session: Session,
    id: Id,  # noqa: A002 - what people call it
    version: Annotated[int, typer.Option(min=0, help="Only where the item is still at this version.")] = 0,
) -> None:
    """Delete an item for good; takes the scope admin. Example: contextctl delete ADR-004."""
    from context_client.cli import show

    with session.client() as client:
        client.delete(id, version)
    session.answer({"id": id, "deleted": True}, show.values)


@command(app)
def link(session: Session, start: From, kind: Kind, end: To) -> None:
    """Draw a relationship. Example: contextctl link FAIL-042 caused_by ADR-004."""
    from context_client.cli import show

    with session.client() as client:
        session.answer(client.relate(start, end, kind), show.values)


@command(app)
def unlink(session: Session, start: From, kind: Kind, end: To) -> None:
    """Erase a relationship. Example: contextctl unlink FAIL-042 caused_by ADR-004."""
    from context_client.cli import show

    with session.client() as client:
        if not client.unrelate(start, end, kind):
            raise CommandFailed(f"Not found: nothing of type {kind} leads from {start} to {end}", NOT_FOUND)
    session.answer({"from": start, "to": end, "type": kind, "deleted": True}, show.values)
