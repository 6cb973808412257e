"""The commands that say what answers were worth."""

from typing import Annotated

import typer

from context_client.cli.app import Session, app, command
from context_client.cli.ask import given

Ids = list[str] | None


@command(app)
def feedback(
    session: Session,
    query_id: Annotated[str, typer.Argument(metavar="QUERY_ID", help="That of the answer; a search has none.")] = "",
    rating: Annotated[int | None, typer.Option(min=1, max=5, help="Of the whole answer.")] = None,
    helpful: Annotated[Ids, typer.Option(metavar="ID", help="An item that helped; may be repeated.")] = None,
    not_helpful: Annotated[Ids, typer.Option(metavar="ID", help="One that did not; may be repeated.")] = None,
    used: Annotated[Ids, typer.Option(metavar="ID", help="One that you relied on; may be repeated.")] = None,
    missing: Annotated[str, typer.Option(metavar="TEXT", help="What the answer should have had.")] = "",
) -> None:
    """Say what of an answer helped. Example: contextctl feedback QUERY_ID --rating 4 --helpful ADR-003."""
    from context_client.cli import show

    fields = {
        "query_id": query_id, "overall_rating": rating, "items_helpful": helpful, "items_not_helpful": not_helpful,
        "items_used": used, "missing_context": missing,
    }  # fmt: skip
    with session.client() as client:
        session.answer(client.feedback(given(fields)), show.feedback)


@command(app, "feedback-stats")
def feedback_stats(
    session: Session, days: Annotated[int, typer.Option(min=1, max=3650, help="Of so many days.")] = 30
) -> None:
    """Show how answers were rated, what helped and what was missing. Example: contextctl feedback-stats --days 7."""
    from context_client.cli import show

    with session.client() as client:
        session.answer(client.feedback_stats(days), show.feedback_stats)
