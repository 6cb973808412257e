"""The commands that record or change one item: a flag for every field, or JSON."""

import inspect
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from context_client.cli.app import Session, app, command
from context_client.types import ItemType, item_type

add = typer.Typer(help="Record a decision, a failure, a meeting or a commit.", no_args_is_help=True)
app.add_typer(add, name="add")
change = typer.Typer(help="Change the fields given of an item.", no_args_is_help=True)
app.add_typer(change, name="set")

Many = list[str] | None
Fields = Callable[..., dict[str, Any]]
Tags = Annotated[
    Many, typer.Option("--tag", metavar="TEXT", help="May be repeated; found in the text if there is none.")
]
Author = Annotated[str, typer.Option(help="Who recorded it.")]
Status = Annotated[str, typer.Option(help="The API lists each type's.")]
Source = Annotated[str, typer.Option(help="Where it came from.")]
Pinned = Annotated[bool | None, typer.Option("--pinned/--not-pinned", help="Keep it from decaying.")]
OwnId = Annotated[str, typer.Option("--id", help="A free id; else the next one.")]
File = Annotated[str, typer.Option("--file", "-f", help="A JSON object of fields; `-` is stdin. Flags win.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="Such as ADR-004.")]
Version = Annotated[int, typer.Option(min=0, help="Only where the item is still at this version.")]
Day = Annotated[str, typer.Option(metavar="DAY", help="YYYY-MM-DD.")]


def _commands(kind: ItemType, says: str) -> Callable[[Fields], Fields]:
    """Make `add` and `set` for a type, of a function that answers the fields that its flags give.

    Its docstring is the help of `add`, and `says` that of `set`.
    """

    def decorate(fields_of: Fields) -> Fields:
        def create(session: Session, *, file: File = "", **flags: Any) -> None:
            from context_client.cli import show

            fields = _given(fields_of(**flags), file)
            with session.client() as client:
                session.answer(client.create(kind, fields), show.written)

        def update(session: Session, id: Id, *, version: Version = 0, file: File = "", **flags: Any) -> None:  # noqa: A002
            from context_client.cli import show

            if item_type(id) != kind:
                raise typer.BadParameter(f"{id!r} is no {kind}", param_hint="ID")
            fields = _given(fields_of(**flags), file)
            with session.client() as client:
                session.answer(client.update(id, fields, version), show.written)

        create.__doc__, update.__doc__ = fields_of.__doc__, says
        command(add, kind)(_with_flags(create, fields_of))
        command(change, kind)(_with_flags(update, fields_of))
        return fields_of

    return decorate


def _with_flags(function: Callable[..., None], fields_of: Fields) -> Callable[..., None]:
    """`function`, whose signature names the flags that it takes beside its own."""
    *own, _ = inspect.signature(function).parameters.values()
    names = {parameter.name for parameter in own}
    flags = [flag for flag in inspect.signature(fields_of).parameters.values() if flag.name not in names]
    parameters = sorted([*own, *flags], key=lambda parameter: parameter.kind)
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what command reads
    return function


def _given(flags: dict[str, Any], file: str) -> dict[str, Any]:
    fields = _from_file(file) | {name: value for name, value in flags.items() if value not in (None, "", [], {})}
    if not fields:
        raise typer.BadParameter(
            "give at least one flag that says something, or --file, where null clears a field", param_hint="fields"
        )
    return fields


@_commands("adr", "Change a decision. Example: contextctl set adr ADR-004 --status rejected.")
def adr(
    title: str = "",
    decision: str = "",
    context_text: Annotated[str, typer.Option("--context", help="What made it necessary.")] = "",
    option: Annotated[
        Many, typer.Option(metavar="TEXT", help='"name" or "name=for and against"; may be repeated.')
    ] = None,
    consequences: str = "",
    outcome: str = "",
    created_date: Day = "",
    supersedes: Annotated[
        Many, typer.Option(metavar="ID", help="An ADR that this one replaces; may be repeated.")
    ] = None,
    superseded_by: Annotated[str, typer.Option(metavar="ID")] = "",
    stakeholder: Annotated[Many, typer.Option(metavar="TEXT", help="May be repeated.")] = None,
    tag: Tags = None,
    author: Author = "",
    status: Status = "",
    source_uri: Source = "",
    pinned: Pinned = None,
    id: OwnId = "",  # noqa: A002 - the field's name
) -> dict[str, Any]:
    """Record a decision. Example: contextctl add adr --title "Use Postgres" --decision "We use Postgres 17."."""
    considered = {name.strip(): text.strip() for name, _, text in (entry.partition("=") for entry in option or [])}
    return {
        "title": title, "decision": decision, "context": context_text, "options_considered": considered,
        "consequences": consequences, "outcome": outcome, "created_date": created_date, "supersedes": supersedes,
        "superseded_by": superseded_by, "stakeholders": stakeholder, "tags": tag, "author": author, "status": status,
        "source_uri": source_uri, "pinned": pinned, "id": id,
    }  # fmt: skip


@_commands("failure", "Change a failure. Example: contextctl set failure FAIL-042 --status resolved.")
def failure(
    title: str = "",
    root_cause: str = "",
    incident_date: Day = "",
    severity: Annotated[str, typer.Option(help="low, medium, high or critical.")] = "",
    symptoms: str = "",
    impact: str = "",
    resolution: str = "",
    prevention: Annotated[Many, typer.Option(metavar="TEXT", help="May be repeated.")] = None,
    pattern: str = "",
    lessons_learned: str = "",
    app_name: str = "",
    environment: str = "",
    occurrence_count: Annotated[int | None, typer.Option(min=1)] = None,
    first_seen: Annotated[str, typer.Option(metavar="TIME", help="2026-01-31T12:00:00Z.")] = "",
    last_seen: Annotated[str, typer.Option(metavar="TIME")] = "",
    tag: Tags = None,
    author: Author = "",
    status: Status = "",
    source_uri: Source = "",
    pinned: Pinned = None,
    id: OwnId = "",  # noqa: A002 - the field's name
) -> dict[str, Any]:
    """Record a failure. Example: contextctl add failure --title "API down" --root-cause "Pool exhausted"."""
    return {
        "title": title, "root_cause": root_cause, "incident_date": incident_date, "severity": severity,
        "symptoms": symptoms, "impact": impact, "resolution": resolution, "prevention": prevention,
        "pattern": pattern, "lessons_learned": lessons_learned, "app_name": app_name, "environment": environment,
        "occurrence_count": occurrence_count, "first_seen": first_seen, "last_seen": last_seen, "tags": tag,
        "author": author, "status": status, "source_uri": source_uri, "pinned": pinned, "id": id,
    }  # fmt: skip


@_commands("meeting", "Change a meeting. Example: contextctl set meeting MEET-007 --attendee Ada.")
def meeting(
    title: str = "",
    date: Day = "",
    decision: Annotated[
        Many,
        typer.Option(
            metavar="TEXT",
            help='A text, or {"decision", "rationale", "action_items": [{"task", "owner", "due", "status"}]}.',
        ),
    ] = None,
    attendee: Annotated[Many, typer.Option(metavar="TEXT", help="May be repeated.")] = None,
    tag: Tags = None,
    author: Author = "",
    status: Status = "",
    source_uri: Source = "",
    pinned: Pinned = None,
    id: OwnId = "",  # noqa: A002 - the field's name
) -> dict[str, Any]:
    """Record a meeting. Example: contextctl add meeting --title Weekly --date 2026-01-31 --decision "Ship it"."""
    return {
        "meeting_title": title, "date": date, "decisions": [_decision(text) for text in decision or []],
        "attendees": attendee, "tags": tag, "author": author, "status": status, "source_uri": source_uri,
        "pinned": pinned, "id": id,
    }  # fmt: skip


@_commands("snapshot", "Change a commit or a deploy. Example: contextctl set snapshot SNAP-123 --tag release.")
def snapshot(
    commit_hash: str = "",
    commit_message: str = "",
    author: Author = "",
    date: Day = "",
    changed_file: Annotated[Many, typer.Option(metavar="TEXT", help="May be repeated.")] = None,
    commit_type: Annotated[str, typer.Option(help="Else from the message's prefix.")] = "",
    reference: Annotated[Many, typer.Option(metavar="ID", help="May be repeated.")] = None,
    title: str = "",
    tag: Tags = None,
    status: Status = "",
    source_uri: Source = "",
    pinned: Pinned = None,
    id: OwnId = "",  # noqa: A002 - the field's name
) -> dict[str, Any]:
    """Record a commit or a deploy; the same hash again changes nothing."""
    return {
        "commit_hash": commit_hash, "commit_message": commit_message, "author": author, "date": date,
        "changed_files": changed_file, "commit_type": commit_type, "references": reference, "title": title,
        "tags": tag, "status": status, "source_uri": source_uri, "pinned": pinned, "id": id,
    }  # fmt: skip


def _from_file(name: str) -> dict[str, Any]:
    if not name:
        return {}
    try:
        raw = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        fields = json.loads(raw.decode("utf-8-sig"))
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{name}: {error}", param_hint="--file") from error
    if not isinstance(fields, dict):
        raise typer.BadParameter(f"{name} holds no JSON object", param_hint="--file")
    return fields


def _decision(text: str) -> Any:
    if not text.lstrip().startswith("{"):
        return {"decision": text}
    try:
        return json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"is no JSON: {error}", param_hint="--decision") from error
