"""Proves that the newest backup can be restored, by restoring it somewhere else and asking it something."""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from context_ops import catalogue, restore
from context_ops.manifest import Dump
from context_ops.scratch import scratch_server
from context_ops.settings import Settings
from context_ops.storage import open_storage
from context_ops.store import connect, database, sample, target
from context_ops.tools import Tell


@dataclass(frozen=True)
class Verdict:
    """What a drill came to."""

    dump: Dump
    age_seconds: float  # of the backup: what would be lost
    restore_seconds: float  # how long one would be without
    checks: dict[str, str]  # what was looked at, and what is wrong with it; empty: nothing

    @property
    def good(self) -> bool:
        """Whether the backup is one."""
        return not any(self.checks.values())


def drill(settings: Settings, tell: Tell, *, name: str = "", server: str = "", jobs: int = 4) -> Verdict:
    """Restore a backup, the newest by default, into a scratch database; compare, search, and clean up.

    Raises:
        CommandFailed: There is no backup, or it cannot even be restored.
    """
    storage = open_storage(settings)
    dump = catalogue.named(storage, name) if name else catalogue.newest(storage)
    with _scratch(server) as url:
        began = time.monotonic()
        done = restore.restore(storage, dump, url, settings, tell, restore.How(jobs))
        took = time.monotonic() - began
        with connect(url) as connection:
            checks = _tables(done) | sample.checks(connection)
    return Verdict(dump, (datetime.now(UTC) - dump.taken_at).total_seconds(), took, checks)


def _tables(done: restore.Restored) -> dict[str, str]:
    wrong = "; ".join(f"{name}: {what}" for name, what in done.differences.items())
    return {f"{done.rows} rows of {len(done.dump.tables)} tables, counted and digested": wrong}


@contextmanager
def _scratch(server: str) -> Iterator[str]:
    """A database of our own, on `server` or on one that goes with it."""
    if not server:
        with scratch_server() as url, _database(url) as own:
            yield own
        return
    with _database(server) as own:
        yield own


@contextmanager
def _database(server: str) -> Iterator[str]:
    name = f"drill_{secrets.token_hex(4)}"
    with connect(server) as connection:
        target.create_database(connection, name)
    try:
        yield database(server, name)
    finally:
        with connect(server) as connection:
            target.drop_database(connection, name)
