"""Brings a dump back and compares every table with what stood in the database when it was taken."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from context_client.errors import CommandFailed
from context_ops import tools
from context_ops.backup import verify_archive
from context_ops.manifest import Dump, File, Table
from context_ops.settings import Settings
from context_ops.storage import Storage, digest_file
from context_ops.store import REFUSED, Connection, connect, content, login, target
from context_ops.tools import Tell


@dataclass(frozen=True)
class Restored:
    """What a restore came to."""

    dump: Dump
    seconds: float
    roles_made: list[str]
    differences: Mapping[str, str]  # by table; none in a good restore
    live_keys: int  # API keys that the dump made live again; some may have been revoked since it was taken

    @property
    def rows(self) -> int:
        """Of all tables, as they were backed up."""
        return sum(table.rows for table in self.dump.tables.values())


@dataclass(frozen=True)
class How:
    """Options of a restore."""

    jobs: int = 4
    force: bool = False  # drop what is there
    revoke_keys: bool = False  # end every API key that the dump brings


def restore(storage: Storage, dump: Dump, into: str, settings: Settings, tell: Tell, how: How = How()) -> Restored:
    """Restore `dump` into the database at `into`, whose login becomes the owner of everything.

    The dump is verified before anything there is touched.

    Raises:
        CommandFailed: The target holds something and `how` has no force, or it went wrong: then it is not whole.
    """
    began = time.monotonic()
    with connect(into) as connection:
        content.check_sees_all(connection)
        held = target.content(connection)
        if held and not how.force:
            raise CommandFailed(f"the target is not empty: it has {', '.join(held)}; --force drops that first", REFUSED)
        major = connection.info.server_version // 10000
        tell(f"reading {dump.file_name}, {dump.file.size} bytes")
        with storage.at_hand(dump.file_name) as path:
            _check(path, dump, settings)
            schemas = {name.partition(".")[0] for name in (*dump.tables, *dump.owners)} - {"public"}
            if held:
                tell(f"dropping {', '.join(sorted(schemas))}")
                target.clear(connection, sorted(schemas))
            made = target.make_roles(connection, dump.roles)
            _load(path, into, settings, tell, max(major, int(dump.tools["pg_dump"])), how.jobs)
        _finish(connection, dump, tell)
        differences = compare(dump.tables, content.tables(connection))
        keys = target.live_keys(connection)
        if how.revoke_keys:
            target.revoke_keys(connection)
    return Restored(dump, time.monotonic() - began, made, differences, keys)


def compare(wanted: Mapping[str, Table], found: Mapping[str, Table]) -> dict[str, str]:
    """What differs, by table."""
    pairs = {name: (wanted.get(name), found.get(name)) for name in sorted({*wanted, *found})}
    return {
        name: f"{there or 'no such table'}, not {here or 'no such table'}"
        for name, (here, there) in pairs.items()
        if not (here and there) or (here.rows, here.digest) != (there.rows, there.digest)
    }


def _check(path: Path, dump: Dump, settings: Settings) -> None:
    if File(*digest_file(path)) != dump.file:
        raise CommandFailed(f"{dump.file_name} is not what was backed up: its checksum differs")
    verify_archive(path, settings, int(dump.tools["pg_dump"]))


def _load(path: Path, into: str, settings: Settings, tell: Tell, version: int, jobs: int) -> None:
    who = login(into, settings.programs)
    command = [
        tools.tool("pg_restore", version, settings.programs),
        "--exit-on-error",
        "--no-owner",
        "--no-comments",
        f"--jobs={jobs}",
    ]
    command += ["--no-password", f"--dbname={who.address}", str(path)]
    began = time.monotonic()
    with tools.started(command, who.environ) as process:
        tools.finish(process, lambda: "restoring", tell)
    tell(f"loaded in {time.monotonic() - began:.1f} s; comparing")


def _finish(connection: Connection, dump: Dump, tell: Tell) -> None:
    """What no dump brings: owners that matter, and statistics."""
    target.hand_over(connection, dump.owners)
    target.analyse(connection)
    tell("owners and statistics are there")
