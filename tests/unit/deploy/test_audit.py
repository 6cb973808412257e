"""The audit of the locks finds what it is there to find."""

import subprocess
import sys
from pathlib import Path

import pytest

AUDIT = Path(__file__).parents[3] / "deploy" / "audit" / "audit.py"
GOOD = "starlette==1.10.0 \\\n    --hash=sha256:00 \\\n    --hash=sha256:11\nidna==3.20 \\\n    --hash=sha256:22\n"


def audit(directory: Path, **changed: str) -> "subprocess.CompletedProcess[str]":
    """Run it over four locks that are good but for those `changed`."""
    for name in ("gateway", "knowledge", "retrieval", "embedding"):
        (directory / f"{name}.lock").write_text(changed.get(name, GOOD))
    return subprocess.run([sys.executable, str(AUDIT), str(directory)], capture_output=True, text=True, check=False)


def test_locks_without_a_fault_pass(tmp_path: Path) -> None:
    ran = audit(tmp_path)
    assert ran.returncode == 0
    assert "4 locks, 2 pinned versions" in ran.stdout


@pytest.mark.parametrize(
    ("lock", "complaint"),
    [
        (GOOD.replace("1.10.0", "0.48.0"), "gateway.lock: starlette 0.48.0: CVE-2025-62727"),
        (GOOD.replace("starlette", "PyJWT").replace("1.10.0", "2.11.0"), "gateway.lock: pyjwt 2.11.0: CVE-2026-32597"),
        ("idna==3.20\n", "gateway.lock: idna has no hash"),
        (f"--index-url https://packages.example/simple\n{GOOD}", "gateway.lock: names an address"),
    ],
)
def test_a_fault_is_named(tmp_path: Path, lock: str, complaint: str) -> None:
    ran = audit(tmp_path, gateway=lock)
    assert ran.returncode == 1
    assert complaint in ran.stdout


def test_too_few_locks_are_a_fault(tmp_path: Path) -> None:
    (tmp_path / "one.lock").write_text(GOOD)
    ran = subprocess.run([sys.executable, str(AUDIT), str(tmp_path)], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "only 1 locks" in ran.stdout
