"""docs/seed-coverage.md has every line of the seed's checklist, and names nothing that is not there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "seed-coverage.md").read_text()
# How many lines each part of the checklist has.
PARTS = {
    "Q": 7, "I": 7, "C": 6, "S": 7, "R": 6, "DC": 13, "K": 10, "P": 3, "E": 23, "N": 9, "A": 4, "V": 1, "L": 5, "M": 12,
    "B": 9, "SC": 8, "T": 4, "D": 1, "W": 1, "MO": 1, "O": 6,
}  # fmt: skip
IDS = [f"{part}{number}" for part, most in PARTS.items() for number in range(1, most + 1)]
ROWS = {row[0]: row[1:] for line in TEXT.splitlines() if len(row := [c.strip() for c in line.split("|")[1:-1]]) == 4}
NAMED = re.findall(r"`([^`]+)`", TEXT)
PATHS = [name for name in NAMED if re.match(r"(?:\.ci|deploy|docs|libs|protos|services|skills|tests)/", name)]


def test_every_line_is_there_once() -> None:
    found = re.findall(r"^\| ([A-Z]+[0-9]+) \|", TEXT, re.MULTILINE)
    assert sorted(found) == sorted(IDS)


@pytest.mark.parametrize("number", IDS)
def test_every_line_says_what_where_and_how_it_is_proven(number: str) -> None:
    what, where, proof = ROWS[number]
    assert what
    assert where
    assert re.search(r"`(?:tests/|make |contextctl )", proof), "a proof is a test or a command"


@pytest.mark.parametrize("name", sorted(set(PATHS)))
def test_what_it_names_is_there(name: str) -> None:
    path, _, test = name.partition("::")
    assert (ROOT / path).exists()
    assert not test or re.search(rf"^(?:async )?def {test}\b", (ROOT / path).read_text(), re.MULTILINE)


def test_targets_and_commands_are_there() -> None:
    targets = {name.split()[1] for name in NAMED if name.startswith("make ")}
    made = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert targets <= made, targets - made
    commands = {name for name in NAMED if name.startswith("contextctl ")}
    told = set(re.findall(r"\| `(contextctl [a-z -]+)` \|", (ROOT / "docs" / "contextctl.md").read_text()))
    assert commands <= told, commands - told


def test_links_lead_to_headings() -> None:
    for file, anchor in re.findall(r"\]\(([a-z-]+\.md)(?:#([a-z0-9-]+))?\)", TEXT):
        headings = re.findall(r"^#+ (.+)$", (ROOT / "docs" / file).read_text(), re.MULTILINE)
        slugs = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert not anchor or anchor in slugs, f"{file}#{anchor}"
