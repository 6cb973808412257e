"""The runs, by command line: `python -m tests.chaos.run storm --seconds 300 --faults 50`."""

import argparse
import asyncio
import random
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from tests.chaos.capacity import Load, find_limits
from tests.chaos.report import Report
from tests.chaos.rolling import Rolling, restart_all
from tests.chaos.soak import Soak, soak
from tests.chaos.storm import Storm, ride_out
from tests.chaos.upgrade import Upgrade, upgrade


@dataclass(frozen=True)
class Run:
    """What a word on the command line stands for; the fields of `settings` are its options."""

    settings: type[Any]
    start: Callable[[Any, str], Coroutine[Any, Any, Report]]
    about: str


RUNS = {
    "storm": Run(Storm, ride_out, "faults under load, and what was lost"),
    "rolling": Run(Rolling, restart_all, "every process restarted under load"),
    "upgrade": Run(Upgrade, upgrade, "an upgrade from an earlier commit and back, under load"),
    "load": Run(Load, find_limits, "the highest rate held, and twice that"),
    "soak": Run(Soak, soak, "mixed work for long, and what grows"),
}


def main() -> int:
    """Run what the command line says, print its figures, and answer whether all are as they must be."""
    options = vars(_parser().parse_args())
    run, to = RUNS[options.pop("run")], options.pop("json")
    settings = run.settings(**options)
    print(settings, flush=True)
    return asyncio.run(run.start(settings, f"python -m tests.chaos.run {' '.join(sys.argv[1:])}")).show(to)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.run", description=__doc__)
    parser.add_argument("--json", type=Path, help="where to write the figures; else they are printed")
    words = parser.add_subparsers(dest="run", required=True)
    for name, run in RUNS.items():
        word = words.add_parser(name, help=run.about, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
        for field in fields(run.settings):
            default = random.SystemRandom().randrange(10**6) if field.name == "seed" else field.default
            several = {"nargs": "*", "type": str} if isinstance(default, tuple) else {"type": type(default)}
            word.add_argument(f"--{field.name.replace('_', '-')}", default=default, help=" ", **several)
    return parser


if __name__ == "__main__":
    sys.exit(main())
