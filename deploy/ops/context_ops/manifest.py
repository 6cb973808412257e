"""What stands beside a backup: what is in it, so that a restore can be compared with it. Written last, as JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Self

PREFIX = "context_engineering_"
BASES = "base/"
STAMP = "%Y%m%d_%H%M%S"


@dataclass(frozen=True)
class Table:
    """A table at the moment of the snapshot. `digest` depends on every value and on no order."""

    rows: int
    digest: str
    bytes: int = 0  # with indexes

    def __str__(self) -> str:
        return f"{self.rows} rows, digest {self.digest}"


@dataclass(frozen=True)
class File:
    """A file of a backup."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Role:
    """A role that owns something in the database or holds a right in it."""

    name: str
    member_of: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dump:
    """A dump of the database by pg_dump, in its custom format."""

    name: str
    taken_at: datetime  # of the snapshot: everything committed before is in it
    finished_at: datetime
    database: str
    server: str
    tools: Mapping[str, str]
    migrations: Mapping[str, tuple[str, ...]]  # by schema
    tables: Mapping[str, Table]
    roles: tuple[Role, ...]
    owners: Mapping[str, str]  # of what its schema's owner does not own
    file: File

    @property
    def file_name(self) -> str:
        """The dump itself."""
        return f"{self.name}.dump"

    @classmethod
    def read(cls, content: bytes) -> Self:
        """From its JSON. Raises ValueError where that is none of ours."""
        return cls(**_known(cls, content, file=_file, tables=_tables, roles=_roles, migrations=_names, **_TIMES))


@dataclass(frozen=True)
class Base:
    """A copy of the whole cluster by pg_basebackup, from which WAL leads on."""

    name: str
    finished_at: datetime  # by the server's clock: moments after it can be recovered
    server: str
    system_id: str
    segment_size: int  # bytes
    first_wal: str
    files: Mapping[str, File]

    @property
    def folder(self) -> str:
        """Where its files are."""
        return f"{BASES}{self.name}/"

    @classmethod
    def read(cls, content: bytes) -> Self:
        """From its JSON. Raises ValueError where that is none of ours."""
        return cls(**_known(cls, content, files=_files, **_TIMES))


def write(manifest: Dump | Base) -> bytes:
    """As JSON."""
    return json.dumps(asdict(manifest), default=_plain, indent=2, ensure_ascii=False).encode() + b"\n"


def moment(name: str) -> datetime | None:
    """When a backup of that name began; None where it is no such name."""
    try:
        return datetime.strptime(name[-15:], STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def _known(cls: Any, content: bytes, **readers: Any) -> dict[str, Any]:
    try:
        found = json.loads(content)
        named = {name: found[name] for name in cls.__dataclass_fields__}
        return {name: readers.get(name, lambda value: value)(value) for name, value in named.items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a manifest: {error!r}") from error


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value)} is not for JSON")


def _time(value: str) -> datetime:
    return datetime.fromisoformat(value)


def _file(value: Mapping[str, Any]) -> File:
    return File(**value)


def _files(value: Mapping[str, Any]) -> dict[str, File]:
    return {name: File(**entry) for name, entry in value.items()}


def _tables(value: Mapping[str, Any]) -> dict[str, Table]:
    return {name: Table(**entry) for name, entry in value.items()}


def _roles(value: Any) -> tuple[Role, ...]:
    return tuple(Role(entry["name"], tuple(entry["member_of"])) for entry in value)


def _names(value: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    return {schema: tuple(names) for schema, names in value.items()}


_TIMES = {"finished_at": _time, "taken_at": _time}
