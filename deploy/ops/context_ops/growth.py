"""How fast tables grow: against what stood in a backup of about a week ago."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from context_ops import catalogue
from context_ops.manifest import Dump
from context_ops.settings import Settings
from context_ops.storage import open_storage

AGO = timedelta(days=7)


def growth(sizes: Sequence[Mapping[str, Any]], settings: Settings) -> dict[str, Any]:
    """`sizes` with what each table has grown by, in bytes, and since when; without backups nobody can tell."""
    before = _before(settings)
    total = sum(row["bytes"] for row in sizes)
    if before is None:
        return {"bytes": total, "since": None, "tables": [{**row, "grown": None} for row in sizes]}
    earlier = {name: table.bytes for name, table in before.tables.items()}
    grown = [{**row, "grown": row["bytes"] - earlier.get(row["name"], 0)} for row in sizes]
    return {"bytes": total, "since": before.taken_at.isoformat(timespec="seconds"), "tables": grown}


def _before(settings: Settings) -> Dump | None:
    """The newest dump that is a week old, else the oldest."""
    if not settings.to:
        return None
    found = catalogue.dumps(open_storage(settings))
    old = [dump for dump in found if dump.taken_at <= datetime.now(UTC) - AGO]
    nearest = old[-1:] or found[:1]
    return nearest[0] if nearest else None
