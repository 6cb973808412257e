"""The commands that look at a live installation: doctor, smoke, load."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from context_client.cli.app import FAILED, Session, app, command

if TYPE_CHECKING:
    from context_client.doctor import Finding
    from context_client.load import Outcome

DASHBOARDS = Path("deploy/monitoring/grafana/dashboards")  # from the project's root, where it is there


@command(app)
def doctor(
    session: Session,
    prometheus: Annotated[str, typer.Option(metavar="URL", help="Prometheus, for errors, backups and alerts.")] = "",
    alertmanager: Annotated[str, typer.Option(metavar="URL", help="Alertmanager.")] = "",
    dashboards: Annotated[Path, typer.Option(help="Folder of dashboards, whose metrics must be there.")] = DASHBOARDS,
    try_alert: Annotated[bool, typer.Option("--try-alert", help="Send a harmless alert through Alertmanager.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="What was not looked at, or is a warning, fails too.")
    ] = False,
) -> None:
    """Check an installation as on its first day; exit code 1 where something failed. Example: contextctl doctor."""
    from context_client.doctor import Installation, Places, State

    places = Places(prometheus, alertmanager, dashboards if dashboards.is_dir() else None, try_alert)
    with Installation(session.settings(), places, session.transport) as installation:
        _judge(session, installation.findings(), (State.OK,) if strict else (State.OK, State.UNKNOWN, State.WARNING))


@command(app)
def smoke(session: Session) -> None:
    """Record, find and delete something; exit code 1 where that fails. Example: contextctl -n smoke smoke."""
    from context_client.doctor import State
    from context_client.smoke import Smoke

    with session.client() as client:
        _judge(session, Smoke(client).run(), (State.OK, State.WARNING))


@command(app)
def load(
    session: Session,
    rate: Annotated[float, typer.Option(min=0.1, max=5000, help="Questions a second.")] = 10.0,
    seconds: Annotated[float, typer.Option(min=1, max=86400, help="For how long.")] = 30.0,
    questions: Annotated[Path | None, typer.Option(help="File with a question a line; else titles of items.")] = None,
    max_tokens: Annotated[int, typer.Option(min=200, max=200_000, help="Budget of each answer.")] = 4000,
) -> None:
    """Ask at a steady rate, and print how the answers came; exit code 1 where any failed.

    Example: contextctl load --rate 50 --seconds 60.
    """
    import asyncio

    from context_client.load import Plan, drive

    asked = _lines(questions) if questions else _titles(session)
    if not asked:
        raise typer.BadParameter("there is nothing to ask about: record something, or give --questions")
    plan = Plan(asked, rate, seconds, max_tokens)
    outcome = asyncio.run(drive(session.settings(), plan, lambda so_far: session.say(_progress(so_far))))
    session.answer(outcome.as_json(), _values)
    if outcome.failed:
        raise typer.Exit(FAILED)


def _judge(session: Session, findings: "Iterable[Finding]", good: tuple[Any, ...]) -> None:
    """Print what was found, and fail unless all is as good as `good`."""
    found = []
    for finding in findings:
        found.append(finding)
        session.say(f"{finding.check}: {finding.state}")
    session.answer([finding.as_json() for finding in found], _table)
    if any(finding.state not in good for finding in found):
        raise typer.Exit(FAILED)


def _table(console: Any, content: list[dict[str, Any]]) -> None:
    from context_client.cli.show import coloured, columns, plain

    rows = columns("check", "state", "what was seen", "what to do")
    for line in content:
        rows.add_row(plain(line["check"]), coloured(line["state"]), plain(line["detail"]), plain(line["advice"], "dim"))
    console.print(rows)


def _values(console: Any, content: dict[str, Any]) -> None:
    from context_client.cli.show import values

    values(console, {name: str(value) for name, value in content.items()})


def _progress(outcome: "Outcome") -> str:
    slowest = f"p99 {outcome.percentile(0.99):.0f} ms"
    return f"{outcome.seconds:.0f} s: {outcome.sent} answered, {slowest}, {outcome.failed} failed"


def _lines(path: Path) -> list[str]:
    return [line.strip() for line in path.read_text().splitlines() if line.strip()]


def _titles(session: Session) -> list[str]:
    with session.client() as client:
        pages: list[Any] = [client.list_items(kind, {"limit": 200}) for kind in ("adr", "failure", "meeting")]
    return [item["title"] for page in pages for item in page["items"]]
