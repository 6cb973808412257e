"""The operations document is kept: its version is the project's and its review is not overdue."""

import re
import tomllib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).parents[3]
DOCUMENT = (ROOT / "docs/operations.md").read_text()


def stated(name: str) -> str:
    """What the table of versions says under `name`."""
    found = re.search(rf"^\| {name} \| (\S+) \|$", DOCUMENT, re.MULTILINE)
    assert found, f"docs/operations.md does not state: {name}"
    return found[1]


def test_the_document_states_the_version_of_every_package() -> None:
    packages = [*ROOT.glob("services/*/pyproject.toml"), *ROOT.glob("libs/*/pyproject.toml")]
    versions = {tomllib.loads(path.read_text())["project"]["version"] for path in packages}
    assert versions == {stated("Version")}


def test_the_next_review_is_to_come_and_within_a_year_of_the_last_change() -> None:
    changed, review = (date.fromisoformat(stated(name)) for name in ("Last updated", "Next review"))
    assert changed < review <= changed + timedelta(days=366)
    assert datetime.now(UTC).date() <= review, "docs/operations.md is due for a review: read it, then set both dates"
