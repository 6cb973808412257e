"""Starts contextctl."""

import io
import os
import sys

from context_client.cli import add, app, aside, ask, bring, doctor, keys, review

COMMANDS = (add, aside, ask, bring, doctor, keys, review)  # importing them makes them known to the app


def main() -> None:
    """Do what the command line says."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # What is stored may hold any character; JSON is UTF-8 wherever it is printed.
            stream.reconfigure(encoding="utf-8" if "--json" in sys.argv else None, errors="replace")
    try:
        app.app(prog_name="contextctl", obj=app.Session(os.environ))
    finally:
        _flush()


def _flush() -> None:
    """Write what is left; `contextctl list adr | head` ends quietly once the reader has seen enough."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
