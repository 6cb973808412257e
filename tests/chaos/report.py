"""Figures: what was measured, what it must be, and whether it was; as a table for people and as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One number. `ok` is None where nothing is asked of it."""

    name: str
    value: Any
    wanted: str = ""
    ok: bool | None = None


@dataclass
class Report:
    """The figures of one run."""

    run: str
    command: str
    figures: list[Figure] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)

    def tell(self, name: str, value: Any) -> None:
        """A figure of which nothing is asked."""
        self.figures.append(Figure(name, value))

    def ask(self, name: str, value: Any, wanted: str, *, ok: bool) -> None:
        """A figure that must be so."""
        self.figures.append(Figure(name, value, wanted, ok))

    @property
    def passed(self) -> bool:
        """Whether every figure is as it must be."""
        return all(figure.ok is not False for figure in self.figures)

    def show(self, to: Path | None) -> int:
        """Print all of it, write it as JSON to `to`, and give the exit code."""
        rows = [(f.name, _text(f.value), f.wanted, {None: "", True: "ok", False: "FAILED"}[f.ok]) for f in self.figures]
        print(f"\n{self.run}: {self.command}\n")
        print_table(("figure", "value", "wanted", ""), rows)
        print(f"\n{self.run}: {'PASSED' if self.passed else 'FAILED'}")
        document = json.dumps({**asdict(self), "passed": self.passed}, indent=1, default=str)
        if to:
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_text(document + "\n")
        else:
            print(document)
        return 0 if self.passed else 1


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as what stands in them."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    for row in [head, ["-" * width for width in widths], *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of `values` lie; 0 for none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def _text(value: Any) -> str:
    return (
        f"{value:.3g}"
        if isinstance(value, float) and abs(value) < 100
        else f"{value:.0f}"
        if isinstance(value, float)
        else str(value)
    )
