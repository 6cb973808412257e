"""Where backups lie: a directory or an S3 bucket, behind one small protocol."""

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from context_client.errors import CommandFailed
from context_ops.settings import USAGE, Settings

CHUNK = 1 << 20  # bytes read at once
NOT_FOUND, AWAY = 3, 5  # exit codes


class Exists(CommandFailed):
    """Something is stored under that name, and nothing is ever overwritten."""


class Missing(CommandFailed):
    """Nothing is stored under that name."""

    def __init__(self, message: str) -> None:
        super().__init__(message, NOT_FOUND)


class Storage(Protocol):
    """Files by name; names have slashes. Whatever fails raises CommandFailed, and what was put is there for good."""

    @property
    def where(self) -> str:
        """As people write it."""

    def names(self, prefix: str = "") -> dict[str, int]:
        """All names with a prefix, and their sizes in bytes; unfinished ones are not among them."""

    def read(self, name: str) -> Iterator[bytes]:
        """The content, in pieces. Raises Missing."""

    def put(self, path: Path, name: str) -> None:
        """Store a file that lies in `staging()`, which is gone from there afterwards. Raises Exists."""

    def write(self, name: str, content: bytes) -> None:
        """Store some bytes, whole or not at all. Raises Exists, of several writers for all but one."""

    def delete(self, name: str) -> None:
        """Remove a file."""

    def at_hand(self, name: str) -> AbstractContextManager[Path]:
        """Where programs can read it, for the block: itself, or a copy in `TMPDIR`. Raises Missing."""

    def staging(self) -> AbstractContextManager[Path]:
        """A directory to prepare files in, for the block."""


def open_storage(settings: Settings) -> Storage:
    """The storage that `BACKUP_TO` names.

    Raises:
        CommandFailed: It names none, or one that is not there.
    """
    if not settings.to:
        raise CommandFailed("missing: BACKUP_TO or --to, a directory or s3://bucket/prefix", USAGE)
    if settings.to.startswith("s3://"):
        from context_ops.s3 import Bucket  # boto3 takes half a second to import

        return Bucket(settings.to, settings.s3)
    if "://" in settings.to:
        raise CommandFailed(f"backups go to a directory or s3://bucket/prefix, not {settings.to}", USAGE)
    from context_ops.directory import Directory

    return Directory(Path(settings.to))


def digest(storage: Storage, name: str) -> tuple[int, str]:
    """Size and SHA-256 of what is stored, read back."""
    return _digest(storage.read(name))


def digest_file(path: Path) -> tuple[int, str]:
    """Size and SHA-256 of a file."""
    with path.open("rb") as file:
        return _digest(iter(lambda: file.read(CHUNK), b""))


def fetch(storage: Storage, name: str, path: Path) -> tuple[int, str]:
    """Copy what is stored to `path`; answers size and SHA-256 of it."""

    def copied() -> Iterator[bytes]:
        with path.open("xb") as file:
            for piece in storage.read(name):
                file.write(piece)
                yield piece

    return _digest(copied())


def _digest(pieces: Iterator[bytes]) -> tuple[int, str]:
    size, sha256 = 0, hashlib.sha256()
    for piece in pieces:
        size += len(piece)
        sha256.update(piece)
    return size, sha256.hexdigest()
