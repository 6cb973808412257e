"""WAL goes into the archive once, whole and never over another; and comes back, or says why not as Postgres expects."""

import gzip
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from context_client.errors import CommandFailed
from context_ops import wal
from context_ops.settings import S3
from context_ops.storage import Missing, Storage, open_storage
from tests.support.backups import Make

SEGMENT = "000000010000000000000007"
SCRIPT = Path(__file__).parents[3] / "deploy" / "ops" / "wal.sh"
COMMANDS = {"context-wal": [sys.executable, "-m", "context_ops"], "wal.sh": ["sh", str(SCRIPT)]}
Run = Callable[..., int]


@pytest.fixture(params=["directory", "bucket"])
def storage(request: pytest.FixtureRequest, make_settings: Make) -> Storage:
    if request.param == "directory":
        return open_storage(make_settings())
    s3: S3 = request.getfixturevalue("s3")
    return open_storage(replace(make_settings(), to=f"s3://backups/{os.urandom(4).hex()}", s3=s3))


@pytest.fixture(params=list(COMMANDS))
def run(request: pytest.FixtureRequest, make_settings: Make) -> Run:
    """Does what Postgres does with its archive_command and its restore_command."""
    to = make_settings().to

    def call(*arguments: object, backup_to: str = to) -> int:
        command = [*COMMANDS[request.param], *map(str, arguments)]
        return subprocess.run(command, env={**os.environ, "BACKUP_TO": backup_to}, check=False).returncode

    return call


def test_a_segment_is_archived_once_and_never_overwritten(storage: Storage, tmp_path: Path) -> None:
    segment = tmp_path / "segment"
    segment.write_bytes(b"one" * 1000)
    wal.archive(storage, segment, SEGMENT)
    wal.archive(storage, segment, SEGMENT)  # as after a crash
    segment.write_bytes(b"two" * 1000)
    with pytest.raises(CommandFailed, match="another"):
        wal.archive(storage, segment, SEGMENT)
    assert wal.names(storage) == [SEGMENT]
    wal.fetch(storage, SEGMENT, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"one" * 1000
    with pytest.raises(Missing):
        wal.fetch(storage, SEGMENT.replace("7", "8"), tmp_path / "none")
    with pytest.raises(CommandFailed, match="no name"):
        wal.archive(storage, segment, "../../etc/passwd")


def test_both_commands_archive_alike_and_answer_as_postgres_expects(
    run: Run, make_settings: Make, tmp_path: Path
) -> None:
    segment, back = tmp_path / "segment", tmp_path / "back"
    segment.write_bytes(b"one" * 1000)
    assert run("archive", segment, SEGMENT) == 0
    assert run("archive", segment, SEGMENT) == 0
    segment.write_bytes(b"two" * 1000)
    assert run("archive", segment, SEGMENT) not in (0, 126, 127)
    stored = Path(make_settings().to) / "wal" / f"{SEGMENT}.gz"
    assert gzip.decompress(stored.read_bytes()) == b"one" * 1000
    assert [path.name for path in stored.parent.iterdir()] == [stored.name]
    assert run("fetch", SEGMENT, back) == 0
    assert back.read_bytes() == b"one" * 1000
    assert run("fetch", SEGMENT.replace("7", "8"), back) == 1
    # What is no answer must not pass for the end of the WAL: above 125 recovery stops instead of going on without.
    assert run("fetch", SEGMENT, back, backup_to="/nowhere") > 125
    stored.write_bytes(b"damaged")
    assert run("fetch", SEGMENT, back) > 125
    assert run("archive", segment, SEGMENT, backup_to="/nowhere") != 0
    assert not Path("/nowhere").exists()
    assert run("fetch") > 125


def test_gaps_and_what_a_recovery_needs_go_by_timeline() -> None:
    names = [f"00000001000000000000000{n}" for n in (3, 4, 6)] + [
        "0000000100000001000000FF",
        "000000010000000200000000",
    ]
    names += ["000000020000000000000006", "00000002.history", "000000010000000000000004.00000028.backup"]
    assert wal.gaps(names, 16 << 20) == ["000000010000000000000005", "000000010000000000000007"]
    needed = wal.needed(names, "000000010000000000000004")
    assert "000000010000000000000003" not in needed
    assert {"000000010000000000000004", "000000020000000000000006", "00000002.history"} <= set(needed)
    assert not [name for name in needed if name.endswith(".backup")]
    assert "000000010000000000000004" not in wal.needed(names, "000000020000000000000004")


def test_rotation_leaves_what_a_base_backup_needs(storage: Storage, tmp_path: Path) -> None:
    segment = tmp_path / "segment"
    segment.write_bytes(b"x")
    for number in range(1, 6):
        wal.archive(storage, segment, f"00000001000000000000000{number}")
    wal.archive(storage, segment, "00000002.history")
    gone = wal.rotate(storage, "000000020000000000000004")
    assert gone == [f"00000001000000000000000{number}" for number in (1, 2, 3)]
    assert wal.names(storage) == ["000000010000000000000004", "000000010000000000000005", "00000002.history"]
