"""Takes a base backup of the whole cluster, from which archived WAL leads to any later moment."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from context_client.errors import CommandFailed
from context_ops import catalogue, contents, manifest, tools, wal
from context_ops.manifest import Base, File
from context_ops.settings import Settings
from context_ops.storage import Storage, digest, digest_file, open_storage
from context_ops.store import connect, content, login, source
from context_ops.tools import Tell


@dataclass(frozen=True)
class Done:
    """What a base backup came to."""

    base: Base
    seconds: float
    removed: list[str]
    archives: bool  # whether the server archives WAL: without it only the base backup's own end can be recovered
    not_noted: str = ""


def base_backup(settings: Settings, tell: Tell) -> Done:
    """Copy, verify, store, verify there; then remove base backups and WAL that nothing needs any more.

    Raises:
        CommandFailed: There is no new base backup, and everything older stays.
    """
    began = time.monotonic()
    storage = open_storage(settings)
    with connect(settings.database()) as connection:
        source.check_copies(connection)
        version, major = content.server_version(connection), connection.info.server_version // 10000
        segment_size = source.segment_size(connection)
        name = source.now(connection).astimezone(UTC).strftime(manifest.STAMP)
        with storage.staging() as staging:
            _copy(settings, staging, major, tell)
            first_wal = contents.verify(staging, segment_size)
            tell("verified against its own list")
            finished = source.now(connection)
            files = {path.name: File(*digest_file(path)) for path in sorted(staging.iterdir())}
            base = Base(
                name=name,
                finished_at=finished,
                server=version,
                system_id=source.system_id(connection),
                segment_size=segment_size,
                first_wal=first_wal,
                files=files,
            )
            _store(storage, staging, base, tell)
        archives = source.archives(connection)
    removed, oldest = catalogue.rotate_bases(storage, settings.keep_days, finished)
    removed += wal.rotate(storage, oldest.first_wal)
    seconds = time.monotonic() - began
    size = sum(file.size for file in base.files.values())
    not_noted = source.note(settings.database(), "base", base.name, finished, size, seconds)
    return Done(base, seconds, removed, archives, not_noted)


def _copy(settings: Settings, staging: Path, major: int, tell: Tell) -> None:
    """A base backup in `staging`, as compressed archives with the WAL that makes them consistent."""
    who = login(settings.database(), settings.programs)
    command = [
        tools.tool("pg_basebackup", major, settings.programs),
        f"--pgdata={staging}",
        "--format=tar",
        "--gzip",
        "--wal-method=stream",
    ]
    command += ["--checkpoint=fast", "--manifest-checksums=SHA256", "--no-password", f"--dbname={who.address}"]
    tell("copying the cluster")
    with tools.started(command, who.environ) as process:
        tools.finish(process, lambda: f"{sum(f.stat().st_size for f in staging.iterdir())} bytes so far", tell)


def _store(storage: Storage, staging: Path, base: Base, tell: Tell) -> None:
    for name, file in base.files.items():
        storage.put(staging / name, base.folder + name)
        if File(*digest(storage, base.folder + name)) != file:
            raise CommandFailed(f"{name} came back from {storage.where} as something else; older backups are kept")
    storage.write(f"{base.folder}base.json", manifest.write(base))
    tell(f"stored in {storage.where}, read back and the same")


def moment(text: str) -> datetime:
    """A time with its zone; without one it is UTC.

    Raises:
        CommandFailed: It is no time.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise CommandFailed(f"{text!r} is no time such as 2026-01-31T12:00:00Z", 2) from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)
