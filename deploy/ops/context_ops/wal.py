"""WAL on its way into the archive and back. Run by Postgres for every segment, so it imports little."""

import gzip
import re
from collections.abc import Iterable
from pathlib import Path

from context_client.errors import CommandFailed
from context_ops.storage import Exists, Missing, Storage

FOLDER = "wal/"
SUFFIX = ".gz"
SEGMENT = re.compile(r"[0-9A-F]{24}")
NAME = re.compile(r"[0-9A-F]{24}(\.partial|\.[0-9A-F]{8}\.backup)?|[0-9A-F]{8}\.history")


def archive(storage: Storage, path: Path, name: str) -> None:
    """Store a segment, compressed. One that is there already is never overwritten: the same again is no failure.

    Raises:
        CommandFailed: It is not in the archive, or something else is under its name.
    """
    if not NAME.fullmatch(name):
        raise CommandFailed(f"{name} is no name of WAL")
    content = path.read_bytes()
    stored = f"{FOLDER}{name}{SUFFIX}"
    try:
        storage.write(stored, gzip.compress(content, 1, mtime=0))
    except Exists:
        # A server that crashed in between hands it over again.
        if gzip.decompress(b"".join(storage.read(stored))) != content:
            raise CommandFailed(f"another {name} is in {storage.where}: two servers archive to one place") from None


def fetch(storage: Storage, name: str, path: Path) -> None:
    """Bring a segment back to `path`.

    Raises:
        Missing: The archive has none of that name, which ends a recovery.
        CommandFailed: It could not be looked up, which must not end one.
    """
    if not NAME.fullmatch(name):
        raise Missing(f"{name} is no name of WAL")
    path.write_bytes(gzip.decompress(b"".join(storage.read(f"{FOLDER}{name}{SUFFIX}"))))


def names(storage: Storage) -> list[str]:
    """What is in the archive, in order of names."""
    return [name[len(FOLDER) :].removesuffix(SUFFIX) for name in storage.names(FOLDER) if name.endswith(SUFFIX)]


def needed(archived: Iterable[str], first: str) -> list[str]:
    """What a recovery from segment `first` may ask for: later segments of any timeline, and the timelines' history."""
    return [
        name
        for name in archived
        if name.endswith(".history") or (SEGMENT.fullmatch(name) and name[8:] >= first[8:] and name[:8] >= first[:8])
    ]


def gaps(archived: Iterable[str], segment_size: int) -> list[str]:
    """Segments that are missing between others of their timeline, each gap's first."""
    per_log = 2**32 // segment_size
    found, before = [], ("", -1)
    for name in sorted({name for name in archived if SEGMENT.fullmatch(name)}):
        timeline, number = name[:8], int(name[8:16], 16) * per_log + int(name[16:], 16)
        if before[0] == timeline and number != before[1] + 1:
            missing = before[1] + 1
            found.append(f"{timeline}{missing // per_log:08X}{missing % per_log:08X}")
        before = (timeline, number)
    return found


def rotate(storage: Storage, first: str) -> list[str]:
    """Remove the WAL before segment `first`, which is the first that a base backup needs. Histories stay."""
    gone = []
    for name in names(storage):
        if name[8:24] < first[8:] and not name.endswith(".history"):
            storage.delete(f"{FOLDER}{name}{SUFFIX}")
            gone.append(name)
    return gone
