"""Holds every lock to its rules, offline: hashes for all, no address, no weakness that advisories.toml knows.

python deploy/audit/audit.py [directory]
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
ADVISORIES = Path(__file__).with_name("advisories.toml")
PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)")
LEAST_LOCKS = 4  # one a service; finding fewer means that we look in the wrong place


@dataclass(frozen=True)
class Advisory:
    """A published weakness of `package` in every version before `fixed`; `accepted`: by lock, why it may stay there."""

    package: str
    fixed: str
    id: str
    about: str
    accepted: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Pin:
    """One entry of a lock."""

    name: str
    version: str
    hashed: bool


def locks(root: Path) -> list[Path]:
    """Every lock of the project."""
    return sorted(path for path in root.rglob("*.lock") if not {".venv", ".data"} & set(path.relative_to(root).parts))


def pins(text: str) -> Iterator[Pin]:
    """The entries of a lock's `text`."""
    for entry in re.split(r"\n(?=\S)", text):
        if found := PIN.match(entry):
            yield Pin(canonicalize_name(found[1]), found[2], "--hash=sha256:" in entry)


def complaints(lock: str, text: str, advisories: list[Advisory]) -> Iterator[str]:
    """What is wrong with the lock of that name."""
    if "://" in text:
        yield f"{lock}: names an address"
    for pin in pins(text):
        if not pin.hashed:
            yield f"{lock}: {pin.name} has no hash"
        for advisory in advisories:
            old = advisory.package == pin.name and Version(pin.version) < Version(advisory.fixed)
            if old and lock not in advisory.accepted:
                yield f"{lock}: {pin.name} {pin.version}: {advisory.id}: {advisory.about}; fixed in {advisory.fixed}"


def accepted(lock: str, text: str, advisories: list[Advisory]) -> Iterator[str]:
    """What is known and stays, with the reason."""
    versions = {pin.name: pin.version for pin in pins(text)}
    for advisory in advisories:
        if lock in advisory.accepted and advisory.package in versions:
            yield f"{lock}: {advisory.package} {versions[advisory.package]}: {advisory.id}: {advisory.accepted[lock]}"


def main() -> None:
    """Print what is accepted and what is wrong; exits with 1 where anything is."""
    root = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT
    advisories = [Advisory(**entry) for entry in tomllib.loads(ADVISORIES.read_text())["advisory"]]
    texts = {str(path.relative_to(root)): path.read_text() for path in locks(root)}
    wrong = [line for lock, text in texts.items() for line in complaints(lock, text, advisories)]
    if len(texts) < LEAST_LOCKS:
        wrong.append(f"only {len(texts)} locks under {root}")
    for lock, text in texts.items():
        for line in accepted(lock, text, advisories):
            print(f"accepted: {line}")
    for line in wrong:
        print(f"wrong: {line}")
    count = len({pin for text in texts.values() for pin in pins(text)})
    print(f"{len(texts)} locks, {count} pinned versions, held to {len(advisories)} advisories: {len(wrong)} wrong")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
