"""`context-wal archive PATH NAME` and `context-wal fetch NAME PATH`: what Postgres runs for each segment of WAL.

The same as `contextctl wal …`, without the time that a command line for people takes to load. Exit codes are what
Postgres expects: 0 done; of `fetch` 1 not there, which ends a recovery; 200 anything else, which aborts it instead.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from context_client.errors import CommandFailed
from context_ops import wal
from context_ops.settings import Settings
from context_ops.storage import Missing, open_storage

ABSENT, TROUBLE = 1, 200
USAGE = "usage: context-wal archive PATH NAME | fetch NAME PATH"


def main() -> None:
    """Do what the command line says."""
    try:
        _do(sys.argv[1:])
    except Missing as error:
        print(f"context-wal: {error}", file=sys.stderr)
        sys.exit(ABSENT)
    except (CommandFailed, OSError, EOFError) as error:
        print(f"context-wal: {error}", file=sys.stderr)
        sys.exit(TROUBLE)


def _do(arguments: Sequence[str]) -> None:
    if len(arguments) != 3 or arguments[0] not in ("archive", "fetch"):
        raise CommandFailed(USAGE)
    storage = open_storage(Settings.from_env(os.environ))
    if arguments[0] == "archive":
        wal.archive(storage, Path(arguments[1]), arguments[2])
    else:
        wal.fetch(storage, arguments[1], Path(arguments[2]))


if __name__ == "__main__":
    main()
