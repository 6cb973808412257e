"""What a bench tells: its progress on standard error, its figures as a Markdown table and as JSON."""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

STARTED = time.monotonic()


def say(words: str) -> None:
    """Progress, with the seconds since the start."""
    print(f"{time.monotonic() - STARTED:7.1f} s  {words}", file=sys.stderr, flush=True)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A Markdown table and an empty line after it."""
    for row in (head, ["---", *["---:"] * (len(head) - 1)], *rows):
        print(f"| {' | '.join(row)} |")
    print()


def number(value: float | None) -> str:
    """Three digits that count; a dash for what there is not."""
    if value is None:
        return "–"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def keep(path: Path | None, figures: Mapping[str, Any]) -> None:
    """Write `figures` as JSON to `path`, where one is given."""
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(figures, indent=1) + "\n")
