"""Which backups there are, and which of them have had their time."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from context_client.errors import CommandFailed
from context_ops.manifest import BASES, PREFIX, Base, Dump, moment
from context_ops.storage import NOT_FOUND, Storage

LEAST = 3  # good dumps that stay, however old
Kind = TypeVar("Kind", Dump, Base)


def dumps(storage: Storage) -> list[Dump]:
    """Every whole dump, oldest first: one whose manifest is there, and its file with the size that stands in it."""
    names = storage.names(PREFIX)
    found = [_read(storage, name, Dump) for name in names if name.endswith(".json")]
    return [dump for dump in found if dump and names.get(dump.file_name) == dump.file.size]


def bases(storage: Storage) -> list[Base]:
    """Every whole base backup, oldest first."""
    names = storage.names(BASES)
    found = [_read(storage, name, Base) for name in names if name.endswith("/base.json")]
    return [base for base in found if base and _complete(base, names)]


def newest(storage: Storage) -> Dump:
    """The newest dump.

    Raises:
        CommandFailed: There is none.
    """
    found = dumps(storage)
    if not found:
        raise CommandFailed(f"no backup in {storage.where}", NOT_FOUND)
    return found[-1]


def named(storage: Storage, name: str) -> Dump:
    """The dump of a name, which may be a file's.

    Raises:
        CommandFailed: There is none, or it is not whole.
    """
    wanted = name.removesuffix(".dump").removesuffix(".json")
    for dump in dumps(storage):
        if dump.name == wanted:
            return dump
    raise CommandFailed(f"{storage.where} has no whole backup {wanted}", NOT_FOUND)


def rotate_dumps(storage: Storage, keep_days: int, now: datetime) -> list[str]:
    """Remove dumps older than `keep_days` and what is left of unfinished ones; the last good ones stay.

    Call it only after a new backup has been verified. Answers what was removed.
    """
    cutoff = now - timedelta(days=keep_days)
    good = dumps(storage)
    stays = {dump.name for dump in good[-LEAST:]} | {dump.name for dump in good if dump.taken_at >= cutoff}
    gone = []
    for name in storage.names(PREFIX):
        stem = name.rpartition(".")[0]
        began = moment(stem)
        if began and began < cutoff and stem not in stays:
            storage.delete(name)
            gone.append(name)
    return gone


def rotate_bases(storage: Storage, keep_days: int, now: datetime) -> tuple[list[str], Base]:
    """Remove base backups that no moment of the last `keep_days` needs any more.

    The newest one from before those days stays: moments at their beginning are recovered from it. Answers what was
    removed, and the oldest base backup that is left, whose first WAL is the first that is still needed.
    """
    cutoff = now - timedelta(days=keep_days)
    good = bases(storage)
    before = [base for base in good if base.finished_at < cutoff]
    stays = [*before[-1:], *(base for base in good if base.finished_at >= cutoff)]
    folders = {base.folder for base in stays}
    gone = []
    for name in storage.names(BASES):
        folder = name[: name.rfind("/") + 1]
        began = moment(folder.rstrip("/"))
        if began and began < cutoff and folder not in folders:
            storage.delete(name)
            gone.append(name)
    return gone, stays[0]


def _complete(base: Base, names: Mapping[str, int]) -> bool:
    return all(names.get(base.folder + name) == file.size for name, file in base.files.items())


def _read(storage: Storage, name: str, kind: type[Kind]) -> Kind | None:
    try:
        return kind.read(b"".join(storage.read(name)))
    except ValueError:
        return None


def describe(dump: Dump) -> Mapping[str, object]:
    """A dump in a line, for lists."""
    rows = sum(table.rows for table in dump.tables.values())
    return {
        "name": dump.name,
        "kind": "dump",
        "finished_at": dump.finished_at.isoformat(timespec="seconds"),
        "bytes": dump.file.size,
        "rows": rows,
        "server": dump.server,
    }


def describe_base(base: Base) -> Mapping[str, object]:
    """A base backup in a line, for lists."""
    return {
        "name": base.name,
        "kind": "base",
        "finished_at": base.finished_at.isoformat(timespec="seconds"),
        "bytes": sum(file.size for file in base.files.values()),
        "rows": None,
        "server": base.server,
    }


def everything(storage: Storage) -> Sequence[Mapping[str, object]]:
    """All whole backups, oldest first."""
    found = [*map(describe, dumps(storage)), *map(describe_base, bases(storage))]
    return sorted(found, key=lambda entry: str(entry["finished_at"]))
