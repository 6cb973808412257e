"""Starts contextctl."""

import io
import os
import signal
import sys
from typing import NoReturn

from context_client.cli import add, app, aside, ask, bring, doctor, edit, feedback, keys, review

COMMANDS = (add, aside, ask, bring, doctor, edit, feedback, keys, review)  # importing them makes them known to the app
TERMINATED = 128 + signal.SIGTERM  # exit code


def main() -> None:
    """Do what the command line says."""
    signal.signal(signal.SIGTERM, _end)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # What is stored may hold any character; JSON is UTF-8 wherever it is printed.
            stream.reconfigure(encoding="utf-8" if "--json" in sys.argv else None, errors="replace")
    try:
        app.app(prog_name="contextctl", obj=app.Session(os.environ))
    finally:
        _flush()


def _end(_number: int, _frame: object) -> NoReturn:
    """End, but not before what a command started and wrote for a while is gone."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one would break that off
    sys.exit(TERMINATED)


def _flush() -> None:
    """Write what is left; `contextctl list adr | head` ends quietly once the reader has seen enough."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
