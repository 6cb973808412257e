"""The runs, by command line: `python -m tests.chaos.run storm --seconds 300 --faults 50`."""

import argparse
import asyncio
import random
import sys
from pathlib import Path

from tests.chaos.storm import Storm, ride_out


def main() -> int:
    """Run what the command line says, print its figures, and answer whether all are as they must be."""
    options = _parser().parse_args()
    command = f"python -m tests.chaos.run {' '.join(sys.argv[1:])}"
    storm = Storm(
        options.seed, options.seconds, options.faults, options.writers, options.readers, options.think, options.only
    )
    print(f"seed {storm.seed}", flush=True)
    return asyncio.run(ride_out(storm, command)).show(options.json)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.run", description=__doc__)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    runs = parser.add_subparsers(dest="run", required=True)
    storm = runs.add_parser("storm", help="faults under load")
    storm.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    storm.add_argument("--seconds", type=float, default=300)
    storm.add_argument("--faults", type=int, default=50)
    storm.add_argument("--writers", type=int, default=16)
    storm.add_argument("--readers", type=int, default=16)
    storm.add_argument("--think", type=float, default=0.4)
    storm.add_argument("--only", nargs="*", default=())
    return parser


if __name__ == "__main__":
    sys.exit(main())
