"""Compares a base backup with Postgres's own list of what is in it. Reads the archives as they lie, of any version."""

import gzip
import hashlib
import json
import tarfile
from pathlib import Path
from typing import Any

from context_client.errors import CommandFailed
from context_ops.storage import CHUNK

LIST = "backup_manifest"
ARCHIVE, WAL_ARCHIVE = "base.tar.gz", "pg_wal.tar.gz"
CLOSING = b'\n"Manifest-Checksum"'


def verify(folder: Path, segment_size: int) -> str:
    """See that every file that Postgres lists is in the archives as it was, and the WAL that makes them consistent.

    Answers the first segment of WAL that a recovery needs.

    Raises:
        CommandFailed: Something is missing, too much, or changed.
    """
    try:
        return _verify(folder, segment_size)
    except (tarfile.TarError, EOFError, OSError, ValueError, KeyError) as error:
        raise CommandFailed(f"the base backup is damaged: {error}") from error


def _verify(folder: Path, segment_size: int) -> str:
    listed = _read(folder / LIST)
    wanted = {entry["Path"]: (entry["Size"], entry["Checksum"]) for entry in listed["Files"]}
    found = _files(folder / ARCHIVE)
    wrong = sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))
    if wrong:
        raise CommandFailed(
            f"the base backup is not whole: {len(wrong)} files differ from its list, {wrong[0]} for one"
        )
    needed = [name for part in listed["WAL-Ranges"] for name in _segments(part, segment_size)]
    with tarfile.open(folder / WAL_ARCHIVE) as archive:
        missing = sorted(set(needed) - set(archive.getnames()))
    if missing:
        raise CommandFailed(f"the base backup is not whole: WAL {', '.join(missing)} is missing")
    return needed[0]


def _read(path: Path) -> Any:
    content = path.read_bytes()
    listed = json.loads(content)
    signed = content[: content.rindex(CLOSING) + 1]
    if hashlib.sha256(signed).hexdigest() != listed["Manifest-Checksum"]:
        raise CommandFailed("the base backup's own list is damaged")
    return listed


def _files(path: Path) -> dict[str, tuple[int, str]]:
    """Size and SHA-256 of each file in an archive; WAL has its own."""
    found = {}
    # Not by tarfile's own reading of gzip, which ends at the first of the parts that pg_basebackup may write.
    with gzip.open(path) as unpacked, tarfile.open(fileobj=unpacked, mode="r|") as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isreg() else None
            if content is None or member.name.startswith("pg_wal/"):
                continue
            sha256 = hashlib.sha256()
            while piece := content.read(CHUNK):
                sha256.update(piece)
            found[member.name] = (member.size, sha256.hexdigest())
    return found


def _segments(part: dict[str, Any], segment_size: int) -> list[str]:
    """The names of the segments from one position in the WAL to another."""
    start, end = (_position(part[name]) // segment_size for name in ("Start-LSN", "End-LSN"))
    per_log = 2**32 // segment_size
    return [f"{part['Timeline']:08X}{n // per_log:08X}{n % per_log:08X}" for n in range(start, end + 1)]


def _position(text: str) -> int:
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)
