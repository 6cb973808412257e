"""Starts contextctl."""

import io
import os
import signal
import sys

from context_client.cli import add, app, ask, bring

COMMANDS = (add, ask, bring)  # importing them makes them known to the app


def main() -> None:
    """Do what the command line says."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # What is stored may hold any character; JSON is UTF-8 wherever it is printed.
            stream.reconfigure(encoding="utf-8" if "--json" in sys.argv else None, errors="replace")
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `contextctl list adr | head` ends quietly
    app.app(prog_name="contextctl", obj=app.Session(os.environ))


if __name__ == "__main__":
    main()
