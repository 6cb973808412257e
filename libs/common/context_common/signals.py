"""How a process ends while it starts. Imports nothing that takes time."""

import signal
import sys

TERMINATED = 128 + signal.SIGTERM  # exit code


def exit_on_sigterm() -> None:
    """End on SIGTERM until a loop sets a handler of its own, which drains. Without any, process 1 of a container would
    ignore it for good.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
