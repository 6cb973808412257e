"""Remembers with which migrations the embedded database was last brought up, so that later starts need not ask."""

import hashlib
from pathlib import Path

PROJECT = Path(__file__).parents[3]
MARK = "context-migrations"  # stands in the database's own directory, and so goes wherever that goes


def current(data: Path) -> bool:
    """Whether the database in `data` has had all migrations that there are."""
    mark = data / MARK
    return mark.exists() and mark.read_text() == _fingerprint()


def remember(data: Path) -> None:
    """The database in `data` has them all."""
    (data / MARK).write_text(_fingerprint())


def _fingerprint() -> str:
    """Changes with every migration."""
    digest = hashlib.sha256(b"with logins")
    for path in sorted(PROJECT.glob("services/*/context_*/migrations/*.sql")):
        digest.update(f"{path.relative_to(PROJECT)} ".encode() + path.read_bytes())
    return digest.hexdigest()
