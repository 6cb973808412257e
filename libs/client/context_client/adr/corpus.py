"""Records that lie together: who they are wherever they lie, and which of them their links mean."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from os.path import normpath
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote, unquote_to_bytes, urlsplit

from context_client import git
from context_client.adr.claims import Claim, Kind, Relation
from context_client.adr.record import Record

# Folder names that say nothing of whose records they hold.
COMMON = {
    "adr", "adrs", "decisions", "decision", "decision-records", "architecture-decisions", "architecture", "arch",
    "records", "docs", "doc", "documentation", "design", "src", "content", ".github", "wiki",
}  # fmt: skip
SLUG_NUMBER = re.compile(r"^ADR[-_ ]?(\d{1,6})$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Edge:
    """A relationship between two records, by their places in the corpus."""

    start: int
    end: int
    type: str


class Names:
    """Gives files names that stay: the same after a move, a clone, or a call from another directory.

    In git: the address of the repository and the path in it. Elsewhere: the nearest folder whose name is not one of
    COMMON, and the path from there. `project` takes the place of either, with the path from the directory given.
    """

    def __init__(self, project: str = "") -> None:
        self._project = project
        self._tops: dict[Path, tuple[Path, str] | None] = {}

    def source_uri(self, path: Path, root: Path) -> str:
        """The name of the file at `path`, found under `root`."""
        if self._project:
            return _join(f"project:{quote(self._project)}", path.relative_to(root))
        repository = self.repository(path.parent)
        if repository:
            top, name = repository
            return _join(name, path.relative_to(top))
        base = path.parent
        while base.name.lower() in COMMON and base.parent != base:
            base = base.parent
        return _join(f"folder:{quote(base.name)}", path.relative_to(base))

    def repository(self, directory: Path) -> tuple[Path, str] | None:
        """The work tree around `directory` and its repository's name."""
        if directory not in self._tops:
            top = git.top(directory)
            name = git.repository(top) if top else ""
            self._tops[directory] = (top, name) if top and name and directory.is_relative_to(top) else None
        return self._tops[directory]


class Corpus:
    """The records of one import, and what their links mean."""

    def __init__(self, records: Sequence[Record], names: Names) -> None:
        self.records, self._names = records, names
        self._paths = {record.path: index for index, record in enumerate(records)}
        self._numbers: dict[tuple[Path, int], list[int]] = {}
        self._stems: dict[tuple[Path, str], list[int]] = {}
        for index, record in enumerate(records):
            if record.number is not None:
                self._numbers.setdefault((record.path.parent, record.number), []).append(index)
            self._stems.setdefault((record.path.parent, record.path.stem.lower()), []).append(index)

    def numbered(self, index: int, number: int) -> int | None:
        """The record that the record at `index` means by a number: the only one beside it that has it."""
        return _only(self._numbers.get((self.records[index].path.parent, number), ()))

    def edges(self) -> list[Edge]:
        """What to draw: for each pair of records the strongest that is said, in the order of the records."""
        said: dict[tuple[int, int], set[str]] = {}
        for start, end, kind in self._said():
            said.setdefault((start, end), set()).add(kind)
        found = []
        for (start, end), kinds in said.items():
            if "supersedes" in kinds and self.records[end].partly_superseded:
                kinds = (kinds - {"supersedes"}) | {"related_to"}  # the older one says that the rest of it holds
            kind = next(kind for kind in ("supersedes", "related_to", "references") if kind in kinds)
            back = said.get((end, start), set())
            weaker = back & ({"supersedes", "related_to"} if kind == "references" else set())
            if kind == "related_to" and ("supersedes" in back or ("related_to" in back and end < start)):
                continue
            if not weaker:
                found.append(Edge(start, end, kind))
        return sorted(found, key=lambda edge: (edge.start, edge.end, edge.type))

    def _said(self) -> Iterator[tuple[int, int, str]]:
        for index, record in enumerate(self.records):
            for claim in record.claims:
                other = self._resolve(index, claim)
                if other is None or other == index:
                    continue
                match claim.relation:
                    case Relation.SUPERSEDES:
                        yield index, other, "supersedes"
                    case Relation.SUPERSEDED_BY:
                        yield other, index, "supersedes"
                    case Relation.RELATES:
                        yield index, other, "related_to"
                    case Relation.RELATED_BY:
                        yield other, index, "related_to"
                    case Relation.MENTIONS:
                        yield index, other, "references"

    def _resolve(self, index: int, claim: Claim) -> int | None:
        if claim.kind is Kind.NUMBER:
            return self.numbered(index, int(claim.target))
        if claim.kind is Kind.PATH:
            return self._by_path(index, claim.target)
        name = claim.target.rsplit("/", 1)[-1]
        number = SLUG_NUMBER.match(name)
        return self.numbered(index, int(number[1])) if number else self._by_stem(index, name)

    def _by_path(self, index: int, href: str) -> int | None:
        """The record behind a link: by the way to it, else by its file name in the same folder."""
        parts = urlsplit(href)
        path = unquote(parts.path).rstrip("/")
        if not path:
            return None
        here = self.records[index].path.parent
        if parts.scheme or parts.netloc:
            repository = self._names.repository(here)
            address = f"https://{(parts.hostname or '').lower()}{path}"
            if repository is None or not address.startswith(f"{repository[1]}/"):
                return None
        elif (target := self._paths.get(Path(normpath(here / path)))) is not None:
            return target
        return self._by_stem(index, PurePosixPath(path).name)

    def _by_stem(self, index: int, name: str) -> int | None:
        stem = re.sub(r"\.(?:md|markdown|mdown|html?)$", "", name.lower())
        return _only(self._stems.get((self.records[index].path.parent, stem), ()))


def order(records: Iterable[Record]) -> list[Record]:
    """Folder by folder, by number and then by name, so that ids follow the order of the decisions."""
    return sorted(
        records,
        key=lambda record: (str(record.path.parent), record.number is None, record.number or 0, record.path.name),
    )


def folder_and_name(source_uri: str) -> tuple[str, str]:
    """The folder that a file's name says, as far as names have it in common, and what the file is called there."""
    base, _, path = source_uri.rpartition("#")
    folder, _, name = path.rpartition("/")
    return f"{base}#{folder}", os.fsdecode(unquote_to_bytes(name))


def _join(base: str, path: Path) -> str:
    return f"{base}#{quote(os.fsencode(path.as_posix()))}"


def _only(found: Sequence[int]) -> int | None:
    return found[0] if len(found) == 1 else None
