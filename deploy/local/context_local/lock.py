"""One stack per data directory, by a lock that the kernel drops when its holder goes."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class InUseError(Exception):
    """Another stack runs in the data directory."""


@contextmanager
def hold(directory: Path) -> Iterator[None]:
    """Hold `directory` for the block.

    Raises:
        InUseError: Another process holds it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise InUseError(
                f"a stack is running already in {directory} (process {file.read().strip()}); stop it, or set"
                " CONTEXT_DATA_DIR and PORT to start another beside it"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
        file.truncate(0)
