"""The commands that import."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from context_client.cli.app import FAILED, Session, app, command
from context_client.git import GitError

bring = typer.Typer(help="Import decision records or git history; again changes nothing.", no_args_is_help=True)
app.add_typer(bring, name="import")


@command(bring)
def adr(
    session: Session,
    directories: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Where the records are.")],
    project: Annotated[str, typer.Option(help="Whose records they are, where git or their folder does not say.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent.")] = False,
) -> None:
    """Import decision records: Nygard's form, MADR or log4brains, in Markdown.

    A record keeps its identity by its repository and path (outside of git: its folder's name), so that importing it
    again updates it. Links and statuses such as "Superseded by [7](0007-….md)" become relationships.
    Example: contextctl import adr docs/adr.
    """
    from context_client.cli import show
    from context_client.imports import adrs

    try:
        planned = adrs.plan(directories, project)
    except FileNotFoundError as error:
        raise typer.BadParameter(str(error), param_hint="DIR") from error
    if dry_run:
        session.answer(_dry(planned), show.plan)
        return
    if not planned.items:
        session.say(f"There is no decision record in {', '.join(map(str, directories))}.")
    with session.client() as client, _progress(session, "records", len(planned.items)) as done:
        report = adrs.run(client, planned, session.say, done)
    _finish(session, report.as_json())


@command(bring)
def git(
    session: Session,
    directory: Annotated[Path, typer.Argument(metavar="[DIR]", help="A repository.")] = Path(),
    limit: Annotated[int, typer.Option(min=0, help="Only the newest; 0 is all.")] = 0,
) -> None:
    """Import git history: each commit that leads to HEAD is a snapshot, known by its hash.

    Example: contextctl import git --limit 500.
    """
    from context_client.git import commits
    from context_client.imports.commits import run

    try:
        found = commits(directory, limit)
    except GitError as error:
        raise typer.BadParameter(f"{directory}: {error}", param_hint="DIR") from error
    with session.client() as client, _progress(session, "commits", len(found)) as done:
        report = run(client, found, session.say, done)
    _finish(session, report.as_json())


def _finish(session: Session, report: dict[str, Any]) -> None:
    from context_client.cli import show

    session.answer(report, show.report)
    if report["failed"]:
        raise typer.Exit(FAILED)


def _dry(planned: Any) -> dict[str, Any]:
    from context_client.imports.adrs import start_report

    report = start_report(planned)
    return {
        "items": planned.items,
        "links": [
            {"from": planned.source(edge.start), "to": planned.source(edge.end), "type": edge.type}
            for edge in planned.edges
        ],
        "left_out": report.left_out,
        "notes": report.notes,
    }


@contextmanager
def _progress(session: Session, what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Shows how far an import is: a bar on a terminal, else a line for every tenth."""
    console = session.console(stderr=True)
    if console.is_terminal:
        from rich.progress import Progress

        with Progress(console=console, transient=True) as bar:
            task = bar.add_task(what, total=total)
            yield lambda count: bar.advance(task, count)
        return
    seen = 0

    def done(count: int) -> None:
        nonlocal seen
        before, seen = seen, seen + count
        if total and seen * 10 // total > before * 10 // total:
            session.say(f"{seen:,} of {total:,} {what}")

    yield done
