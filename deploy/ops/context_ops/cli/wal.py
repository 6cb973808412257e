"""`contextctl wal`: what Postgres runs for its WAL, and how that goes."""

from pathlib import Path
from typing import Annotated, Any

import typer

from context_client.cli.app import FAILED, Session, command
from context_client.errors import CommandFailed
from context_ops.cli.groups import HELP_OPTIONS
from context_ops.cli.options import To

app = typer.Typer(
    help="Archive WAL, fetch it, and see how archiving goes.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    context_settings=HELP_OPTIONS,
)
PathOf = Annotated[Path, typer.Argument(metavar="PATH", help="What Postgres puts for %p.")]
NameOf = Annotated[str, typer.Argument(metavar="NAME", help="What Postgres puts for %f.")]


@command(app, local=True)
def archive(session: Session, path: PathOf, name: NameOf, to: To = "") -> None:
    """Store a segment, never over another. Example: archive_command = 'contextctl wal archive %p %f'."""
    from context_ops import wal
    from context_ops.settings import Settings
    from context_ops.storage import open_storage

    wal.archive(open_storage(Settings.from_env(session.environ, to=to)), path, name)


@command(app, local=True)
def fetch(session: Session, name: NameOf, path: PathOf, to: To = "") -> None:
    """Bring a segment back. Example: restore_command = 'contextctl wal fetch %f %p'."""
    from context_ops import wal
    from context_ops.__main__ import ABSENT, TROUBLE
    from context_ops.settings import Settings
    from context_ops.storage import Missing, open_storage

    try:
        wal.fetch(open_storage(Settings.from_env(session.environ, to=to)), name, path)
    except Missing as error:
        raise CommandFailed(str(error), ABSENT) from error
    except CommandFailed as error:
        raise CommandFailed(str(error), TROUBLE) from error  # must not pass for the end of the WAL


@command(app, local=True)
def status(session: Session, to: To = "") -> None:
    """Show how archiving goes and whether the archive has gaps; exit code 1 where either is bad."""
    from context_ops import catalogue, wal
    from context_ops.cli import show
    from context_ops.settings import Settings
    from context_ops.storage import open_storage
    from context_ops.store import connect, source

    settings = Settings.from_env(session.environ, to=to)
    storage = open_storage(settings)
    with connect(settings.database()) as connection:
        goes = source.archiver(connection)
        segment_size = source.segment_size(connection)
    names = wal.names(storage)
    bases = catalogue.bases(storage)
    missing = wal.gaps(names, segment_size)
    answer: dict[str, Any] = {
        **goes, "archived_files": len(names), "base_backups": len(bases), "missing": missing,
        "recoverable_from": bases[0].finished_at.isoformat() if bases else None,
    }  # fmt: skip
    session.answer(answer, show.archiving)
    if goes["archive_mode"] == "off" or goes["failing"] or missing:
        raise CommandFailed("WAL is not archived as it should be", FAILED)
