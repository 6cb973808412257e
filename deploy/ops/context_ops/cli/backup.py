"""`contextctl backup`: take, list and watch backups."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from context_client.cli.app import FAILED, NOT_FOUND, Session, command
from context_client.errors import CommandFailed
from context_ops.cli.groups import group
from context_ops.cli.options import To, age, since

app = group("create", "Back up the database, list backups, and see how old the last good one is.")
NOT_NOTED = "the backup is good, but the database could not be told, so alerts on its age will fire: {why}"
NOT_ARCHIVED = "the server archives no WAL (archive_mode is off): only the end of this copy can be recovered"


@command(app, local=True)
def create(
    session: Session,
    to: To = "",
    keep_days: Annotated[int, typer.Option(min=0, help="Days to keep; 0 is BACKUP_KEEP_DAYS (30).")] = 0,
) -> None:
    """Dump the database, verify it twice, and let old dumps go. Example: contextctl backup --to /backups."""
    from dataclasses import replace

    from context_ops import backup, catalogue
    from context_ops.cli import show
    from context_ops.settings import Settings

    settings = Settings.from_env(session.environ, to=to)
    done = backup.backup(replace(settings, keep_days=keep_days or settings.keep_days), session.say)
    if done.not_noted:
        session.say(NOT_NOTED.format(why=done.not_noted))
    extra = {"to": settings.to, "sha256": done.dump.file.sha256, "seconds": round(done.seconds, 1)}
    session.answer(
        {**catalogue.describe(done.dump), **extra, "removed": done.removed, "noted": not done.not_noted}, show.done
    )


@command(app, local=True)
def base(session: Session, to: To = "") -> None:
    """Copy the whole cluster, for point-in-time recovery; needs REPLICATION. Example: contextctl backup base."""
    from context_ops import base as basis
    from context_ops import catalogue
    from context_ops.cli import show
    from context_ops.settings import Settings

    settings = Settings.from_env(session.environ, to=to)
    done = basis.base_backup(settings, session.say)
    if done.not_noted:
        session.say(NOT_NOTED.format(why=done.not_noted))
    if not done.archives:
        session.say(NOT_ARCHIVED)
    extra = {"to": settings.to, "seconds": round(done.seconds, 1), "first_wal": done.base.first_wal}
    answer = {**catalogue.describe_base(done.base), **extra, "archives": done.archives}
    session.answer({**answer, "removed": done.removed, "noted": not done.not_noted}, show.done)


@command(app, "list", local=True)
def list_backups(session: Session, to: To = "") -> None:
    """List whole backups, oldest first. Example: contextctl backup list --to s3://backups/context."""
    from context_ops import catalogue
    from context_ops.cli import show
    from context_ops.settings import Settings
    from context_ops.storage import open_storage

    storage = open_storage(Settings.from_env(session.environ, to=to))
    session.answer({"where": storage.where, "backups": catalogue.everything(storage)}, show.backups)


@command(app, local=True)
def status(
    session: Session,
    to: To = "",
    max_age: Annotated[str, typer.Option("--max-age", metavar="AGE", help="Older is a failure.")] = "26h",
) -> None:
    """Say how old the newest whole dump is; exit code 1 where it is too old, 3 where there is none."""
    from context_ops import catalogue
    from context_ops.cli import show
    from context_ops.settings import Settings
    from context_ops.storage import open_storage

    limit = age(max_age)
    storage = open_storage(Settings.from_env(session.environ, to=to))
    found = catalogue.dumps(storage)
    if not found:
        raise CommandFailed(f"no backup in {storage.where}", NOT_FOUND)
    seconds = (datetime.now(UTC) - found[-1].taken_at).total_seconds()
    answer = {**catalogue.describe(found[-1]), "age_seconds": round(seconds), "backups": len(found)}
    session.answer({**answer, "good": seconds <= limit}, show.status)
    if seconds > limit:
        raise CommandFailed(f"the newest backup is {since(seconds)} old; {max_age} are allowed", FAILED)
