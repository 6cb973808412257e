"""`contextctl db`: for whoever is called because the database is slow or full, or holds what it must not."""

from dataclasses import asdict, replace
from enum import StrEnum
from typing import Annotated, Any, Literal

import typer

from context_client.cli.app import FAILED, Session, command
from context_client.errors import CommandFailed
from context_ops.cli.groups import HELP_OPTIONS
from context_ops.cli.options import Database

app = typer.Typer(
    help="Look into the database, tend it, and take out of it what must not be there.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    context_settings=HELP_OPTIONS,
)
NEARLY_FULL = 0.8  # of what the server allows


class Method(StrEnum):
    """Kinds of indexes, by how they are searched."""

    HNSW = "hnsw"
    GIN = "gin"
    BTREE = "btree"
    NONE = "none"


# What changes leave holes in, and autovacuum does not make compact again.
REBUILT = [Method.HNSW, Method.GIN]


@command(app, local=True)
def slow(
    session: Session,
    order: Annotated[Literal["total", "mean", "calls"], typer.Option("--by", help="What to order by.")] = "total",
    limit: Annotated[int, typer.Option(min=1, max=500)] = 20,
    least_calls: Annotated[int, typer.Option("--calls", min=1, help="Only what was called so often.")] = 1,
    database: Database = "",
) -> None:
    """Show the statements that take most time, without their values. Example: contextctl db slow --by mean."""
    from context_ops.cli import show
    from context_ops.store import look

    session.answer({"statements": _ask(session, database, look.slow, order, limit, least_calls)}, show.slow)


@command(app, local=True)
def connections(session: Session, database: Database = "") -> None:
    """Show connections by pool and state, and what is left; exit code 1 where four fifths are in use."""
    from context_ops.cli import show
    from context_ops.store import look

    found = _ask(session, database, look.connections)
    session.answer(found, show.connections)
    if found["used"] > NEARLY_FULL * (found["most"] - found["reserved"]):
        raise CommandFailed(f"{found['used']} of {found['most'] - found['reserved']} connections are in use", FAILED)


@command(app, local=True)
def indexes(session: Session, database: Database = "") -> None:
    """Show indexes that are invalid, unused, bloated or missing; exit code 1 where one is invalid or missing."""
    from context_ops.cli import show
    from context_ops.store import look

    found = _ask(session, database, look.indexes)
    session.answer(found, show.indexes)
    if found["broken"]:
        raise CommandFailed(f"not usable: {', '.join(found['broken'])}", FAILED)


@command(app, local=True)
def size(session: Session, database: Database = "") -> None:
    """Show tables by size, and their growth since a backup of about a week ago where BACKUP_TO is set."""
    from context_ops.cli import show
    from context_ops.growth import growth
    from context_ops.settings import Settings
    from context_ops.store import look

    found = _ask(session, database, look.sizes)
    session.answer(growth(found, Settings.from_env(session.environ)), show.sizes)


@command(app, local=True)
def upkeep(
    session: Session,
    methods: Annotated[list[Method], typer.Option("--method", help="Indexes to rebuild.")] = REBUILT,
    memory: Annotated[str, typer.Option("--memory", help="For one rebuild.")] = "256MB",
    database: Database = "",
) -> None:
    """Rebuild indexes and vacuum tables in use, as their owner. Example: contextctl db upkeep --method hnsw."""
    from context_ops.cli import show
    from context_ops.settings import Settings
    from context_ops.upkeep import tend

    url = Settings.from_env(session.environ, url=database).owner()
    steps = [asdict(step) for step in tend(url, [name for name in methods if name is not Method.NONE], memory)]
    session.answer({"steps": steps}, show.upkeep)


@command(app, local=True)
def erase(
    session: Session,
    item_id: Annotated[str, typer.Argument(metavar="ID", help="As it was given out, such as ADR-050.")],
    of: Annotated[str, typer.Option("--namespace", "-n", metavar="NAME", help="Whose item it is or was.")],
    yes: Annotated[bool, typer.Option("--yes", help="Without a question.")] = False,
    quoting: Annotated[
        list[str] | None,
        typer.Option("--quoting", metavar="TEXT", help="Kept questions and feedback that say so go too; repeat."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be gone.")] = False,
    database: Database = "",
) -> None:
    """Take an item's text out of all its versions for good. Example: contextctl db erase ADR-050 --namespace web."""
    from context_ops.cli import show
    from context_ops.settings import Settings
    from context_ops.store import connect
    from context_ops.store.erasure import Erasure

    url = Settings.from_env(session.environ, url=database).owner()
    if not (yes or dry_run):
        typer.confirm(f"Take {item_id} of {of} out of the database for good?", abort=True, err=True)
    with connect(url) as connection:
        erasure = Erasure(connection, of, item_id, dry_run=dry_run)
        done = erasure.text(quoting or ())
        session.say("its text is done; looking through the receipts of questions")
        done = replace(done, questions=erasure.questions(quoting or ()), feedback=len(erasure.feedback))
    session.answer({"id": item_id, "namespace": of, "dry_run": dry_run, **asdict(done)}, show.erased)


def _ask(session: Session, database: str, question: Any, *values: Any) -> Any:
    from context_ops.settings import Settings
    from context_ops.store import connect

    with connect(Settings.from_env(session.environ, url=database).database()) as connection:
        return question(connection, *values)
