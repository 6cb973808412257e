"""`contextctl restore` and `contextctl drill`: bring back what was backed up, and prove that it could be."""

from pathlib import Path
from typing import Annotated

import typer

from context_client.cli.app import FAILED, Session, command
from context_client.errors import CommandFailed
from context_ops.cli.groups import HELP_OPTIONS, group
from context_ops.cli.options import From, Jobs

app = group("dump", "Restore a backup: a dump into a database, or the whole cluster at a named moment.")
alone = typer.Typer(rich_markup_mode=None, add_completion=False, context_settings=HELP_OPTIONS)
Name = Annotated[str, typer.Argument(metavar="NAME", help="As `contextctl backup list` shows it; latest.")]
LATEST = "latest"


@command(app, local=True)
def dump(
    session: Session,
    name: Name = LATEST,
    into: Annotated[str, typer.Option("--into", metavar="URL", help="The owner's url; RESTORE_DATABASE_URL.")] = "",
    source: From = "",
    force: Annotated[
        bool, typer.Option("--force", "--yes", help="Drop what is there first, without a question.")
    ] = False,
    revoke_keys: Annotated[
        bool, typer.Option("--revoke-keys", help="End every API key: some may have been revoked since the dump.")
    ] = False,
    jobs: Jobs = 4,
) -> None:
    """Restore a dump into an empty database. Example: contextctl restore latest --into postgresql://owner@db/new."""
    from context_ops import catalogue, restore
    from context_ops.cli import show
    from context_ops.settings import Settings
    from context_ops.storage import open_storage

    settings = Settings.from_env(session.environ, to=source)
    storage = open_storage(settings)
    found = catalogue.newest(storage) if name == LATEST else catalogue.named(storage, name)
    done = restore.restore(
        storage,
        found,
        settings.complete(into) or settings.restore_into(),
        settings,
        session.say,
        restore.How(jobs, force, revoke_keys),
    )
    keys = {
        "taken_at": found.taken_at.isoformat(timespec="seconds"),
        "live_keys": done.live_keys,
        "revoked": revoke_keys,
    }
    answer = {"name": found.name, "seconds": round(done.seconds, 1), "rows": done.rows, "tables": len(found.tables)}
    session.answer(
        {**answer, **keys, "roles_made": done.roles_made, "differences": dict(done.differences)}, show.restored
    )
    if done.differences:
        raise CommandFailed("what was restored is not what was backed up", FAILED)


@command(app, local=True)
def pitr(
    session: Session,
    target_time: Annotated[str, typer.Option("--target-time", metavar="TIME", help="Such as 2026-01-31T12:00:00Z.")],
    into: Annotated[Path, typer.Option("--into", metavar="DIR", help="Absent or empty.")],
    source: From = "",
    pause: Annotated[bool, typer.Option("--pause", help="Stay read-only at that moment, to look first.")] = False,
) -> None:
    """Prepare a data directory that recovers to a moment; needs `backup base` and archived WAL."""
    from context_ops import pitr as recovery
    from context_ops.base import moment
    from context_ops.cli import show
    from context_ops.settings import Settings

    settings = Settings.from_env(session.environ, to=source)
    done = recovery.prepare(settings, moment(target_time), into, session.say, pause=pause)
    answer = {"base": done.base.name, "target_time": done.target.isoformat(), "directory": str(done.directory)}
    session.answer({**answer, "server": done.base.server, "wal": len(done.wal), "pause": pause}, show.prepared)


@command(app, local=True)
def drill(
    session: Session,
    name: Name = LATEST,
    source: From = "",
    server: Annotated[
        str, typer.Option("--server", metavar="URL", help="Where to make the scratch database; else one of our own.")
    ] = "",
    jobs: Jobs = 4,
) -> None:
    """Restore a backup into a scratch database, compare, search, and clean up; exit code 1 unless all is well."""
    from context_ops import drill as rehearsal
    from context_ops.cli import show
    from context_ops.settings import Settings

    settings = Settings.from_env(session.environ, to=source)
    wanted = "" if name == LATEST else name
    verdict = rehearsal.drill(settings, session.say, name=wanted, server=settings.complete(server), jobs=jobs)
    answer = {
        "name": verdict.dump.name, "good": verdict.good, "age_seconds": round(verdict.age_seconds),
        "restore_seconds": round(verdict.restore_seconds, 1), "checks": verdict.checks,
    }  # fmt: skip
    session.answer(answer, show.verdict)
    if not verdict.good:
        raise CommandFailed("the backup is not good", FAILED)


alone.command("drill")(drill)  # `contextctl drill` is the same
