"""New migrations only add and never hold a lock for long, so that the release before goes on while they run and after.

squawk knows what does; what it objects to on purpose is allowed beside the statement: `-- squawk-ignore rule`.
"""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from context_common.postgres.migrate import ALONE

ROOT = Path(__file__).parents[2]
SQUAWK = shutil.which("squawk", path=str(Path(sys.executable).parent)) or "squawk"
# They made the first schema, on databases without services.
FIRST = {"knowledge": 5, "retrieval": 5}
# The runner sets the timeouts; sizes are limited where texts come in; and a number need not be a bigint.
EXCLUDED = (
    "require-lock-timeout",
    "require-statement-timeout",
    "prefer-text-field",
    "prefer-bigint-over-int",
    "prefer-bigint-over-smallint",
    "prefer-identity",
)
# Runs once, in a transaction: it need not be safe to run again.
IN_TRANSACTION = (*EXCLUDED, "prefer-robust-stmts")


def migrations() -> list[Path]:
    """Every migration."""
    return [path for schema in FIRST for path in sorted((ROOT / f"services/{schema}/context_{schema}").glob("*/*.sql"))]


def test_no_migration_changes_once_it_is_committed() -> None:
    """A database that ran it would refuse to start. A new one adds its line: `sha256sum services/*/*/migrations/*`."""
    digests = {
        path.relative_to(ROOT).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in migrations()
    }
    lines = (Path(__file__).parent / "migrations.sha256").read_text().splitlines()
    assert digests == {path: digest for digest, path in (line.split() for line in lines)}


def new_migrations() -> list[Path]:
    """Every migration that databases with services on them see."""
    return [path for path in migrations() if int(path.name[:4]) > FIRST[path.parts[-4]]]


def objections(content: bytes) -> set[str]:
    """The rules of squawk that a migration breaks."""
    alone = content.startswith(ALONE)
    options = ["--pg-version=17.0", "--reporter=json", "--exclude", ",".join(EXCLUDED if alone else IN_TRANSACTION)]
    content = content if alone else b"BEGIN;\n" + content + b"\nCOMMIT;\n"
    done = subprocess.run([SQUAWK, *options], input=content, capture_output=True, timeout=30, check=False)
    return {found["rule_name"] for found in json.loads(done.stdout or b"[]")}


@pytest.mark.parametrize("path", new_migrations(), ids=lambda path: f"{path.parent.parent.name}/{path.name}")
def test_a_new_migration_lets_the_release_before_it_live(path: Path) -> None:
    assert objections(path.read_bytes()) == set()


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("ALTER TABLE items DROP COLUMN title;", "ban-drop-column"),
        ("DROP TABLE items;", "ban-drop-table"),
        ("ALTER TABLE items RENAME COLUMN title TO name;", "renaming-column"),
        ("ALTER TABLE items ALTER COLUMN title TYPE int;", "changing-column-type"),
        ("ALTER TABLE items ADD COLUMN more text NOT NULL;", "adding-required-field"),
        ("ALTER TABLE items ALTER COLUMN title SET NOT NULL;", "adding-not-nullable-field"),
        ("ALTER TABLE items ADD CONSTRAINT positive CHECK (version > 0);", "constraint-missing-not-valid"),
        ("CREATE INDEX items_more ON items (title);", "require-concurrent-index-creation"),
        ("CREATE INDEX CONCURRENTLY items_more ON items (title);", "ban-concurrent-index-creation-in-transaction"),
        ("-- no transaction\nCREATE INDEX CONCURRENTLY more ON items (title);", "prefer-robust-stmts"),
    ],
)
def test_what_would_not_is_found(statement: str, rule: str) -> None:
    assert rule in objections(statement.encode())


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE items ADD COLUMN more text NOT NULL DEFAULT '';",
        "CREATE TABLE more (id text PRIMARY KEY); CREATE INDEX more_id ON more (id);",
        "-- no transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS items_more ON items (title);",
        "ALTER TABLE items ADD CONSTRAINT positive CHECK (version > 0) NOT VALID;",
        "-- squawk-ignore ban-drop-column\nALTER TABLE items DROP COLUMN unread_for_a_release;",
    ],
)
def test_what_adds_passes(statement: str) -> None:
    assert objections(statement.encode()) == set()


@pytest.mark.parametrize("path", new_migrations(), ids=lambda path: f"{path.parent.parent.name}/{path.name}")
def test_a_file_without_a_transaction_holds_one_statement(path: Path) -> None:
    """Several would be one transaction to the server."""
    content = path.read_text()
    assert not content.startswith(ALONE.decode()) or content.count(";") == 1
