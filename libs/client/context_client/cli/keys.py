"""The commands of administrators: keys, and the audit trail."""

import re
from typing import Annotated, Any

import typer

from context_client.cli.app import Session, app, command

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600, "w": 7 * 24 * 3600}
DURATION = re.compile(r"([0-9]{1,6})([smhdw])")

keys = typer.Typer(help="Make, list and end API keys.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(keys, name="keys")

Id = Annotated[str, typer.Argument(metavar="ID", help="As `contextctl keys list` shows it.")]


@command(keys)
def create(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for.")],
    scope: Annotated[
        list[str] | None, typer.Option(metavar="SCOPE", help="context:read, knowledge:write or admin; may be repeated.")
    ] = None,
    grant: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Namespace to read and write, * for all; may be repeated.")
    ] = None,
    read: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Namespace to read as well; may be repeated.")
    ] = None,
    provenance: Annotated[str, typer.Option(help="Of what is written with it: human, agent or event.")] = "human",
    expires_in: Annotated[str, typer.Option(metavar="TIME", help="Such as 12h or 90d; without it, never.")] = "",
) -> None:
    """Make a key and print it, once. Example: contextctl keys create ci --scope context:read --grant web."""
    fields: dict[str, Any] = {"name": name, "scopes": scope or ["context:read"], "provenance": provenance}
    own = [session.own_namespace()] if not grant and not read else []
    fields |= {"namespaces": grant or own, "read_namespaces": read or []}
    if expires_in:
        fields["expires_in"] = duration(expires_in, "--expires-in")
    with session.client() as client:
        made = client.keys.create(fields)
    _show_new(session, made)


@command(keys, "list")
def list_keys(
    session: Session,
    ended: Annotated[bool, typer.Option("--ended", help="Also revoked and expired ones.")] = False,
) -> None:
    """List the keys of the namespaces that are all yours, newest first."""
    from context_client.cli import show_admin

    with session.client() as client:
        page = client.keys.list(ended=ended)
        while page["next_cursor"]:
            more = client.keys.list(page["next_cursor"], ended=ended)
            page = {"items": page["items"] + more["items"], "next_cursor": more["next_cursor"]}
    session.answer(page, show_admin.keys)


@command(keys)
def revoke(session: Session, id: Id) -> None:  # noqa: A002 - what people call it
    """End a key, everywhere within seconds. Example: contextctl keys revoke 4k9x0a7p."""
    from context_client.cli import show_admin

    with session.client() as client:
        session.answer(client.keys.revoke(id), show_admin.key)


@command(keys)
def rotate(
    session: Session,
    id: Id,  # noqa: A002 - what people call it
    overlap: Annotated[str, typer.Option(metavar="TIME", help="How long the old one goes on, such as 1h.")] = "1h",
) -> None:
    """Make a key in another's place and print it, once. Example: contextctl keys rotate 4k9x0a7p --overlap 1d."""
    seconds = duration(overlap, "--overlap")
    with session.client() as client:
        made = client.keys.rotate(id, seconds)
    _show_new(session, made)


@command(app)
def audit(
    session: Session,
    principal: Annotated[str, typer.Option(help="Such as key:4k9x0a7p or user:ada.")] = "",
    action: Annotated[str, typer.Option(help="Such as create, update, delete or revoke_key.")] = "",
    item_id: Annotated[str, typer.Option("--item", metavar="ID", help="Or the id of a key.")] = "",
    request_id: Annotated[str, typer.Option("--request", metavar="ID", help="A request id.")] = "",
    since: Annotated[str, typer.Option("--from", metavar="TIME", help="A day, or a time.")] = "",
    until: Annotated[str, typer.Option("--to", metavar="TIME", help="A day, or a time.")] = "",
    denied: Annotated[bool, typer.Option("--denied", help="Only what was refused.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    cursor: Annotated[str, typer.Option(help="Where the last page ended.")] = "",
) -> None:
    """Show who did what to which item, newest first. Example: contextctl audit --item ADR-004."""
    from context_client.cli import show_admin

    filters = {
        "principal": principal, "action": action, "item_id": item_id, "request_id": request_id, "from": since,
        "to": until, "denied": "true" if denied else "", "limit": limit, "cursor": cursor,
    }  # fmt: skip
    with session.client() as client:
        session.answer(client.audit(filters), show_admin.audit)


def duration(text: str, option: str) -> int:
    """The seconds that `90d` and its like stand for."""
    match = DURATION.fullmatch(text)
    if not match:
        raise typer.BadParameter(f"{text!r} is no time such as 90s, 15m, 12h, 90d or 2w", param_hint=option)
    return int(match[1]) * SECONDS[match[2]]


def _show_new(session: Session, made: Any) -> None:
    """The key alone on standard output, for a file or a variable; what people should know of it beside that."""
    session.answer(made, lambda _, content: print(content["key"]))
    ends = made["expires_at"] or "never"
    session.say(f"key {made['id']} ({', '.join(made['scopes'])}) ends {ends}; it is not shown again")
    if replaced := made.get("replaced"):
        session.say(f"key {replaced['id']} ends {replaced['expires_at'] or 'now'}")
