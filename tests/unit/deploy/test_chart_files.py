"""What the chart carries of other files, and what its README says of its values, is what they are now."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_copies_and_readme_are_what_make_chart_would_write() -> None:
    command = [sys.executable, str(ROOT / "deploy/helm/generate.py"), "--check"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
