"""Watches log files and passes on what went wrong, so that nobody has to look for it."""

import json
import time
from collections.abc import Callable
from pathlib import Path

LEVELS = ("error", "critical")
QUIET = 30.0  # seconds in which the same event of the same process is not told again


class Tail:
    """Reads what was added to the files `*.log` of a directory since it last looked."""

    def __init__(self, directory: Path, report: Callable[[str], None]) -> None:
        self._directory, self._report = directory, report
        self._read: dict[Path, int] = {}
        self._told: dict[tuple[str, str], float] = {}

    def look(self) -> None:
        """Report the errors among what is new."""
        for path in sorted(self._directory.glob("*.log")):
            start = self._read.get(path, 0)
            size = path.stat().st_size
            if size < start:  # begun anew
                start = 0
            if size == start:
                continue
            with path.open("rb") as file:
                file.seek(start)
                added = file.read()
            whole = added.rfind(b"\n") + 1
            self._read[path] = start + whole
            for line in added[:whole].splitlines():
                self._consider(path.stem, line.decode(errors="replace"))

    def _consider(self, name: str, line: str) -> None:
        event = _error(line)
        now = time.monotonic()
        if event is None or now - self._told.get((name, event), -QUIET) < QUIET:
            return
        self._told[name, event] = now
        self._report(f"{name}: {event}")


def _error(line: str) -> str | None:
    """What an error line says, None for any other."""
    try:
        entry = json.loads(line)
    except ValueError:
        return line if "FATAL: " in line or "PANIC: " in line else None
    if not isinstance(entry, dict) or entry.get("level") not in LEVELS:
        return None
    exception = str(entry.get("exception", "")).strip().splitlines()
    return " ".join([str(entry.get("message", "")), *exception[-1:]])
