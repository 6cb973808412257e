"""The commands that read."""

from typing import Annotated, Any

import typer

from context_client.cli.app import AWAY, Session, app, command
from context_client.types import ITEM_TYPES

Types = Annotated[
    list[str] | None, typer.Option("--type", metavar="TEXT", help=f"{', '.join(ITEM_TYPES)}; may be repeated.")
]
From = Annotated[str, typer.Option("--from", help="First day, YYYY-MM-DD.", metavar="DAY")]
To = Annotated[str, typer.Option("--to", help="Last day, YYYY-MM-DD.", metavar="DAY")]
Explain = Annotated[bool, typer.Option("--explain", help="Say why each item was found.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="Such as ADR-001, FAIL-042, MEET-007 or SNAP-123.")]


@command(app)
def get(session: Session, id: Id) -> None:  # noqa: A002 - what people call it
    """Show one item. Example: contextctl get ADR-001."""
    from context_client.cli import show

    with session.client() as client:
        session.answer(client.get(id), show.item)


@command(app, "list")
def list_items(
    session: Session,
    type: Annotated[str, typer.Argument(metavar="TYPE", help=", ".join(ITEM_TYPES))],  # noqa: A002 - what people call it
    status: Annotated[list[str] | None, typer.Option(metavar="TEXT", help="May be repeated.")] = None,
    tag: Annotated[list[str] | None, typer.Option(metavar="TEXT", help="All of them; may be repeated.")] = None,
    author: str = "",
    from_day: From = "",
    to_day: To = "",
    text: Annotated[str, typer.Option("--text", "-q", help="Words that the item must hold.")] = "",
    severity: Annotated[str, typer.Option(help="Of failures.")] = "",
    pattern: Annotated[str, typer.Option(help="Of failures.")] = "",
    app_name: Annotated[str, typer.Option(help="Of failures.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    cursor: Annotated[str, typer.Option(help="Where the last page ended.")] = "",
    every: Annotated[bool, typer.Option("--all", help="All pages.")] = False,
) -> None:
    """List items of a type, newest first. Example: contextctl list adr --status active --tag database."""
    from context_client.cli import show

    if type not in ITEM_TYPES:
        raise typer.BadParameter(f"{type!r} is not one of {', '.join(ITEM_TYPES)}", param_hint="TYPE")
    filters: dict[str, Any] = {
        "status": status, "tags": tag, "author": author, "from": from_day, "to": to_day, "q": text,
        "severity": severity, "pattern": pattern, "app_name": app_name, "limit": limit, "cursor": cursor,
    }  # fmt: skip
    with session.client() as client:
        page = client.list_items(type, filters)
        while every and page["next_cursor"]:
            more = client.list_items(type, filters | {"cursor": page["next_cursor"]})
            page = {"items": page["items"] + more["items"], "next_cursor": more["next_cursor"]}
    session.answer(page, show.items)


@command(app)
def query(
    session: Session,
    question: Annotated[str, typer.Argument(metavar="QUESTION")],
    max_tokens: Annotated[int, typer.Option(help="What the answer may cost.")] = 4000,
    domain: Annotated[list[str] | None, typer.Option(metavar="TEXT", help="A tag; may be repeated.")] = None,
    type: Types = None,  # noqa: A002 - what people call it
    in_namespace: Annotated[
        list[str] | None, typer.Option("--in", metavar="TEXT", help="Namespaces to read; may be repeated.")
    ] = None,
    from_day: From = "",
    to_day: To = "",
    min_score: Annotated[float | None, typer.Option(help="From 0 to 1.")] = None,
    include_history: Annotated[bool, typer.Option("--include-history", help="Also what no longer holds.")] = False,
    explain: Explain = False,
) -> None:
    """Ask a question. Example: contextctl query "why did we leave MongoDB?" --domain database."""
    from context_client.cli import show

    options = {
        "max_tokens": max_tokens, "domains": domain, "types": type, "namespaces": in_namespace, "from": from_day,
        "to": to_day, "min_score": min_score, "include_history": include_history, "explain": explain,
    }  # fmt: skip
    with session.client() as client:
        session.answer(client.query(question, given(options)), show.bundle)


@command(app)
def search(
    session: Session,
    words: Annotated[str, typer.Argument(metavar="WORDS")],
    top_k: Annotated[int, typer.Option(help="At most so many.")] = 20,
    type: Types = None,  # noqa: A002 - what people call it
    tag: Annotated[list[str] | None, typer.Option(metavar="TEXT", help="May be repeated.")] = None,
    status: Annotated[list[str] | None, typer.Option(metavar="TEXT", help="May be repeated.")] = None,
    from_day: From = "",
    to_day: To = "",
    mode: Annotated[str, typer.Option(help="hybrid, semantic or keyword.")] = "hybrid",
    explain: Explain = False,
) -> None:
    """Search items by meaning and by words. Example: contextctl search "connection pool exhausted"."""
    from context_client.cli import show

    options = {
        "top_k": top_k, "types": type, "tags": tag, "statuses": status, "from": from_day, "to": to_day, "mode": mode,
        "explain": explain,
    }  # fmt: skip
    with session.client() as client:
        session.answer(client.search(words, given(options)), show.found)


@command(app)
def related(
    session: Session,
    id: Id,  # noqa: A002 - what people call it
    depth: Annotated[int, typer.Option(min=1, max=5)] = 2,
    direction: Annotated[str, typer.Option(help="both, outgoing or incoming.")] = "both",
    follow: Annotated[
        list[str] | None, typer.Option("--type", metavar="TEXT", help="Relationships to follow; may be repeated.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
) -> None:
    """Show what is related to an item, nearest first. Example: contextctl related ADR-001 --depth 1."""
    from context_client.cli import show

    options = {"depth": depth, "direction": direction, "types": follow, "limit": limit}
    with session.client() as client:
        session.answer(client.related(id, options), show.related)


@command(app)
def receipt(
    session: Session,
    id: Annotated[str, typer.Argument(metavar="ID", help="The query_id of an answer.")],  # noqa: A002
) -> None:
    """Show what a query was asked and answered. Example: contextctl receipt 01a2089d-8b63-731c-af1c-60c2ebca334f."""
    from context_client.cli import show

    with session.client() as client:
        session.answer(client.receipt(id), show.receipt)


@command(app)
def index(session: Session) -> None:
    """Show how far the index is: what is pending, and which model made it."""
    from context_client.cli import show

    with session.client() as client:
        session.answer(client.index(), show.values)


@command(app)
def health(session: Session) -> None:
    """Show how the engine and its parts are; exit code 5 unless all is well."""
    from context_client.cli import show

    with session.client() as client:
        state, well = client.health()
    session.answer(state, show.values)
    if not well:
        raise typer.Exit(AWAY)


def given(options: dict[str, Any]) -> dict[str, Any]:
    """The options that were given; 0 is one, though it equals False."""
    return {name: value for name, value in options.items() if value is not False and value not in (None, "", [])}
