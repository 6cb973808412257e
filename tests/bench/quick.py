"""Ratios of ours to the bare limit in three minutes, beside those that were kept: `make bench-quick`.

Only ratios, because they mean about the same on every machine. Ends with 1 where one is worse than the kept one by more
than TOLERANCE; `--save` keeps those of this run instead.
"""

import argparse
import json
import sys
from pathlib import Path

from tests.bench import corpus, rounds
from tests.bench.show import number, table

KEPT = Path(__file__).with_name("ratios.json")
DOCUMENTS, QUESTIONS = 1000, 240
TOLERANCE = 0.35  # of the kept value: what a shared machine alone makes of it
HIGHER_IS_BETTER = ("search rate / limit", "context rate / search", "ingest / bare embedding")


def measure() -> dict[str, float]:
    """The ratios of this run."""
    with rounds.beside(list(corpus.items(DOCUMENTS))) as both:
        found = {"ingest.rate": DOCUMENTS / both.ingested, "embed.rate": DOCUMENTS / both.limit.embed(both.texts)}
        found |= rounds.measure(both.stack.url, both.limit, QUESTIONS)
    return rounds.ratios(found)


def worsened(name: str, kept: float, now: float) -> bool:
    """Whether `now` is worse than `kept` by more than is bearable."""
    return now < kept * (1 - TOLERANCE) if name in HIGHER_IS_BETTER else now > kept * (1 + TOLERANCE)


def main() -> int:
    """Measure and compare; the exit code."""
    read = argparse.ArgumentParser(description=__doc__)
    read.add_argument("--save", action="store_true", help=f"keep the ratios of this run in {KEPT.name}")
    save = read.parse_args().save
    kept: dict[str, float] = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    found = measure()
    worse = [name for name, value in found.items() if name in kept and worsened(name, kept[name], value)]
    rows = [
        (name, number(kept.get(name)), number(value), "worse" if name in worse else "") for name, value in found.items()
    ]
    table(("ratio", "kept", "now", ""), rows)
    if save:
        KEPT.write_text(json.dumps({name: round(value, 3) for name, value in found.items()}, indent=1) + "\n")
        return 0
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
