"""Prepares a data directory from which Postgres recovers to a named moment."""

import tarfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from context_client.errors import CommandFailed
from context_ops import catalogue, contents, wal
from context_ops.manifest import Base, File
from context_ops.settings import Settings
from context_ops.storage import NOT_FOUND, Storage, digest_file, fetch, open_storage
from context_ops.store import REFUSED
from context_ops.tools import Tell

ARCHIVED = "restored_wal"  # in the data directory: a server in any image finds it there, and needs only gzip
FETCH_WAL = f'gzip -dc < "{ARCHIVED}/%f{wal.SUFFIX}" > "%p"'
ARCHIVES = {contents.ARCHIVE: "", contents.WAL_ARCHIVE: "pg_wal"}  # and where they are unpacked to
# Older Pythons have no filters.
FILTER: dict[str, Any] = {"filter": "tar"} if hasattr(tarfile, "tar_filter") else {}


@dataclass(frozen=True)
class Prepared:
    """A directory that is ready for Postgres to start on."""

    base: Base
    target: datetime
    directory: Path
    wal: list[str]


def prepare(settings: Settings, when: datetime, into: Path, tell: Tell, *, pause: bool = False) -> Prepared:
    """Unpack the base backup that is nearest before `when` into `into`, with the WAL that leads on from it.

    Args:
        settings: Where backups are.
        when: The moment to recover to.
        into: Absent or empty.
        tell: Hears what is done.
        pause: Stay read-only at that moment, to look; else the server takes writes once it is there.

    Raises:
        CommandFailed: No base backup ended before `when`, WAL is missing, or `into` holds something.
    """
    if into.exists() and any(into.iterdir()):
        raise CommandFailed(f"{into} is not empty", REFUSED)
    storage = open_storage(settings)
    base = _nearest(storage, when)
    into.mkdir(parents=True, exist_ok=True)
    into.chmod(0o700)
    tell(f"unpacking base backup {base.name}")
    _unpack(storage, base, into)
    segments = _bring_wal(storage, base, into, tell)
    _configure(into, when, pause=pause)
    return Prepared(base, when, into, segments)


def _nearest(storage: Storage, when: datetime) -> Base:
    found = catalogue.bases(storage)
    before = [base for base in found if base.finished_at <= when]
    if not before:
        first = f"the first is of {found[0].finished_at.isoformat()}" if found else "there is none"
        raise CommandFailed(f"no base backup in {storage.where} ended before {when.isoformat()}: {first}", NOT_FOUND)
    return before[-1]


def _unpack(storage: Storage, base: Base, into: Path) -> None:
    """Unpack what was backed up, once its checksums are right."""
    if unknown := set(base.files) - {*ARCHIVES, contents.LIST}:
        raise CommandFailed(f"{base.name} has tablespaces, which are restored by hand: {', '.join(sorted(unknown))}")
    for name, folder in ARCHIVES.items():
        with storage.at_hand(base.folder + name) as path:
            if File(*digest_file(path)) != base.files[name]:
                raise CommandFailed(f"{name} of {base.name} is not what was backed up: its checksum differs")
            with tarfile.open(path) as archive:
                archive.extractall(into / folder, **FILTER)  # noqa: S202 - its checksum is right


def _bring_wal(storage: Storage, base: Base, into: Path, tell: Tell) -> list[str]:
    """Put the archived WAL beside the data, where the server's restore_command looks for it."""
    names = wal.needed(wal.names(storage), base.first_wal)
    if missing := wal.gaps([base.first_wal, *names], base.segment_size):
        raise CommandFailed(f"the archive has gaps; missing from {', '.join(missing)} on")
    tell(f"bringing {len(names)} files of WAL")
    folder = into / ARCHIVED
    folder.mkdir()
    for name in names:
        fetch(storage, f"{wal.FOLDER}{name}{wal.SUFFIX}", folder / f"{name}{wal.SUFFIX}")
    return names


def _configure(into: Path, when: datetime, *, pause: bool) -> None:
    """Say where to recover to. The signal file, not a recovery.conf: that one keeps Postgres from starting."""
    settings = {
        "restore_command": FETCH_WAL,
        "recovery_target_time": when.astimezone(UTC).isoformat(sep=" "),
        "recovery_target_timeline": "latest",
        "recovery_target_action": "pause" if pause else "promote",
    }
    with (into / "postgresql.auto.conf").open("a") as file:
        file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
    (into / "recovery.signal").touch()
