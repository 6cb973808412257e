"""Finds the files of an import and reads each."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from context_client import git
from context_client.adr.corpus import Names, order
from context_client.adr.record import NO_DATE, LeftOut, Record, read

LARGEST = 1024 * 1024  # bytes of a record, as of a line of the API
PASSED_OVER = ("node_modules", "__pycache__")


@dataclass
class Harvest:
    """What lay under the directories given: records in their order, and the rest with reasons."""

    records: list[Record] = field(default_factory=list)
    source_uris: list[str] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


def harvest(directories: Sequence[Path], names: Names) -> Harvest:
    """Read every file under `directories`; a file given by name is read too.

    Raises:
        FileNotFoundError: One of them is not there.
    """
    result, found, uris = Harvest(), {}, {}
    for root, path in _files(directories):
        if path in uris:
            continue
        uris[path] = names.source_uri(path, root)
        read_one = _read(path, in_git=names.repository(path.parent) is not None)
        if isinstance(read_one, LeftOut):
            result.left_out.append(read_one)
        else:
            found[path] = read_one
    taken: dict[str, Path] = {}
    for record in order(found.values()):
        uri = uris[record.path]
        if uri in taken:
            reason = f"has the same identity as {taken[uri]}; import one of the two with --project NAME"
            result.left_out.append(LeftOut(record.path, reason))
            continue
        taken[uri] = record.path
        result.records.append(record)
        result.source_uris.append(uri)
    return result


def _files(directories: Sequence[Path]) -> Iterator[tuple[Path, Path]]:
    for given in directories:
        root = given.resolve()
        if root.is_file():
            yield root.parent, root
            continue
        if not root.is_dir():
            raise FileNotFoundError(f"there is no directory {given}")
        for folder, folders, files in os.walk(root):
            folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in PASSED_OVER)
            yield from ((root, Path(folder, name)) for name in sorted(files) if not name.startswith("."))


def _read(path: Path, *, in_git: bool) -> Record | LeftOut:
    try:
        if path.stat().st_size > LARGEST:
            return LeftOut(path, "larger than 1 MiB")
        record = read(path, path.read_bytes())
    except OSError as error:
        return LeftOut(path, f"cannot be read: {error.strerror}")
    if isinstance(record, LeftOut) or record.fields["created_date"] or not in_git:
        return record
    day = git.first_day(path)
    if not day:
        return record
    notes = tuple("date from git" if note == NO_DATE else note for note in record.notes)
    return replace(record, fields=record.fields | {"created_date": day}, notes=notes)
