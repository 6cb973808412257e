"""The fuzzers, by command line: `python -m tests.fuzz.run --examples 20 --only rest wire`."""

import argparse
import asyncio
import random
import sys
from pathlib import Path

from tests.chaos.report import Report
from tests.fuzz.clients import send_nonsense, send_slowly, send_too_much, show_forgeries
from tests.fuzz.inject import inject
from tests.fuzz.rest import fuzz_rest
from tests.fuzz.target import engine
from tests.fuzz.wire import fuzz_wire

PARTS = ("tokens", "large", "slow", "nonsense", "inject", "wire", "rest")


def main() -> int:
    """Run the parts asked for against one engine, print the figures, and answer whether all are as they must be."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.run", description=__doc__)
    parser.add_argument("--json", type=Path, help="where to write the figures; else they are printed")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--examples", type=int, default=20, help="cases of one kind for one operation and credential")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=PARTS)
    options = parser.parse_args()
    report = Report("fuzz", f"python -m tests.fuzz.run {' '.join(sys.argv[1:])}")
    report.tell("seed", options.seed)
    asyncio.run(_run(set(options.only), options.examples, options.seed, report))
    return report.show(options.json)


async def _run(parts: set[str], examples: int, seed: int, report: Report) -> None:
    async with engine() as target:
        runs = {
            "tokens": lambda: show_forgeries(target, report),
            "large": lambda: send_too_much(target, report),
            "slow": lambda: send_slowly(target, report),
            "nonsense": lambda: send_nonsense(target, 20 * examples, seed, report),
            "inject": lambda: inject(target, seed, report),
            "wire": lambda: fuzz_wire(target, examples, seed, report),
            "rest": lambda: fuzz_rest(target, examples, seed, report),
        }
        for name in PARTS:
            if name in parts:
                print(f"-- {name}", flush=True)
                await runs[name]()
        errors = target.cluster.errors()
        report.ask("errors logged", sum(errors.values()), "0", ok=not errors)
        report.ask("processes that died", len(target.cluster.deaths), "0", ok=not target.cluster.deaths)
        report.details |= {"logged errors": dict(errors), "deaths": target.cluster.deaths}


if __name__ == "__main__":
    sys.exit(main())
