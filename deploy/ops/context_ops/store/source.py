"""The database that is backed up: a snapshot that others can read too, and where a good backup is noted."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from context_client.errors import CommandFailed
from context_ops.store import REFUSED, Connection, connect, one
from context_ops.store.content import FREE

NOTE = """
INSERT INTO knowledge.backups (kind, name, finished_at, bytes, seconds) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (kind, name) DO NOTHING"""
SEGMENT = "SELECT setting::bigint AS size FROM pg_settings WHERE name = 'wal_segment_size'"
ARCHIVER = """
SELECT current_setting('archive_mode') AS archive_mode, current_setting('wal_level') AS wal_level, archived_count,
    last_archived_wal, last_archived_time, failed_count, last_failed_wal, last_failed_time,
    coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) AS failing
FROM pg_stat_archiver"""


@contextmanager
def snapshot(connection: Connection) -> Iterator[tuple[str, datetime]]:
    """A snapshot, for the block: its name, by which pg_dump sees exactly what this session sees, and its time."""
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    try:
        row = one(connection, "SELECT pg_export_snapshot() AS name, now() AS at")
        yield row["name"], row["at"]
    finally:
        if not connection.closed:
            connection.execute("ROLLBACK")


def note(url: str, kind: str, name: str, finished_at: datetime, size: int, seconds: float) -> str:
    """Note a good backup where knowledge's gauges find it; answers why that could not be, or nothing."""
    try:
        with connect(url) as connection:
            connection.execute(NOTE, (kind, name, finished_at, size, seconds))
    except CommandFailed as error:
        return str(error)
    return ""


def check_copies(connection: Connection) -> None:
    """See that whoever is logged in may copy the cluster.

    Raises:
        CommandFailed: It may not.
    """
    found = one(connection, FREE)
    if not found["copies"]:
        raise CommandFailed(f"{found['name']} has no REPLICATION, which a base backup needs", REFUSED)


def segment_size(connection: Connection) -> int:
    """Bytes of one segment of WAL."""
    return int(one(connection, SEGMENT)["size"])


def system_id(connection: Connection) -> str:
    """What tells one cluster from another."""
    return str(one(connection, "SELECT system_identifier::text AS id FROM pg_control_system()")["id"])


def archives(connection: Connection) -> bool:
    """Whether the server archives its WAL."""
    return bool(one(connection, "SELECT current_setting('archive_mode') <> 'off' AS yes")["yes"])


def now(connection: Connection) -> datetime:
    """The server's time."""
    found: datetime = one(connection, "SELECT clock_timestamp() AS at")["at"]
    return found


def archiver(connection: Connection) -> dict[str, Any]:
    """How the archiving of WAL goes."""
    row = one(connection, ARCHIVER)
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
