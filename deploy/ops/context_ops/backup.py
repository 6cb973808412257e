"""Takes a dump, proves it twice, and only then lets old ones go."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from context_client.errors import CommandFailed
from context_ops import catalogue, manifest, tools
from context_ops.manifest import Dump, File
from context_ops.settings import Settings
from context_ops.storage import Storage, digest, digest_file, open_storage
from context_ops.store import connect, content, login, source
from context_ops.tools import Tell

LOCK_WAIT = "60s"  # for a migration that is under way


@dataclass(frozen=True)
class Done:
    """What a backup came to."""

    dump: Dump
    seconds: float
    removed: list[str]
    not_noted: str = ""  # why the database does not know of it


def backup(settings: Settings, tell: Tell) -> Done:
    """Dump, verify, store, verify there, and rotate, in this order: whatever fails ends it, and older backups stay.

    Raises:
        CommandFailed: Nothing was stored, or what was stored is not whole and has no manifest.
    """
    began = time.monotonic()
    storage = open_storage(settings)
    with storage.staging() as staging:
        dump = _dump(settings, staging, tell)
        tell(f"verified {dump.file_name}: {dump.file.size} bytes, {len(dump.tables)} tables")
        _store(storage, staging / dump.file_name, dump, tell)
    finished, seconds = dump.finished_at, time.monotonic() - began
    removed = catalogue.rotate_dumps(storage, settings.keep_days, finished)
    not_noted = source.note(settings.database(), "dump", dump.name, finished, dump.file.size, seconds)
    return Done(dump, seconds, removed, not_noted)


def verify_archive(path: Path, settings: Settings, server: int) -> int:
    """See that pg_restore can read a dump's table of contents; answers how many entries it has."""
    listed = tools.run([tools.tool("pg_restore", server, settings.programs), "--list", str(path)], settings.programs)
    entries = [line for line in listed.splitlines() if line and not line.startswith(";")]
    if not entries:
        raise CommandFailed(f"{path.name} has no entries")
    return len(entries)


def _dump(settings: Settings, staging: Path, tell: Tell) -> Dump:
    """A verified dump in `staging`. Rows are counted in the very snapshot that is dumped, while it is."""
    url = settings.database()
    with connect(url) as connection:
        content.check_sees_all(connection)
        major = connection.info.server_version // 10000
        program = tools.tool("pg_dump", major, settings.programs)
        with source.snapshot(connection) as (snapshot, taken_at):
            name = manifest.PREFIX + taken_at.astimezone(UTC).strftime(manifest.STAMP)
            path = staging / f"{name}.dump"
            tell(f"dumping {connection.info.dbname} to {path}")
            who = login(url, settings.programs)
            command = [program, "--format=custom", f"--file={path}", f"--snapshot={snapshot}"]
            command += [f"--lock-wait-timeout={LOCK_WAIT}", "--no-password", f"--dbname={who.address}"]
            with tools.started(command, who.environ) as process:
                tables = content.tables(connection)
                tools.finish(process, lambda: f"{_size(path)} bytes so far", tell)
            size, sha256 = digest_file(path)
            verify_archive(path, settings, major)
            return Dump(
                name=name,
                taken_at=taken_at,
                finished_at=datetime.now(UTC),
                database=connection.info.dbname,
                server=content.server_version(connection),
                tools={"pg_dump": str(tools.major(program)), "context-ops": version("context-ops")},
                migrations=content.migrations(connection),
                tables=tables,
                roles=content.roles(connection),
                owners=content.owners(connection),
                file=File(size, sha256),
            )


def _store(storage: Storage, path: Path, dump: Dump, tell: Tell) -> None:
    """Store the dump, read it back, and let its manifest vouch for it."""
    storage.put(path, dump.file_name)
    found = File(*digest(storage, dump.file_name))
    if found != dump.file:
        storage.delete(dump.file_name)
        raise CommandFailed(
            f"{dump.file_name} came back from {storage.where} as something else; older backups are kept"
        )
    storage.write(f"{dump.name}.json", manifest.write(dump))
    tell(f"stored in {storage.where}, read back and the same: sha256 {dump.file.sha256}")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
