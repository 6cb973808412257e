"""Writes the Python stubs for protos/ into libs/common/context; with --check only says whether they are current.

Run by `make proto` and `make check`.
"""

import argparse
import filecmp
import os
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent
STUBS = ROOT.parent / "libs" / "common"
PLUGINS = (("python", ""), ("grpc_python", ""), ("mypy", "quiet:"), ("mypy_grpc", "quiet:"))


def generate(target: Path) -> None:
    """Compile every proto into `target`, laid out as the package path says."""
    # protoc finds its mypy plugins on the path, which need not name this interpreter's environment.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    protos = sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*.proto"))
    outputs = [f"--{kind}_out={quiet}{target}" for kind, quiet in PLUGINS]
    googleapis = files("google.rpc").joinpath("../..").resolve()  # type: ignore[attr-defined]
    well_known = files("grpc_tools").joinpath("_proto")
    includes = [f"-I{path}" for path in (ROOT, well_known, googleapis)]
    if protoc.main(["protoc", *includes, *outputs, *protos]) != 0:
        sys.exit("protoc failed")
    for package in ("context", "context/v1"):
        (target / package / "__init__.py").write_text('"""Generated from protos/ by `make proto`: do not edit."""\n')
        (target / package / "py.typed").touch()


def differences(fresh: Path) -> list[str]:
    """Names of the stubs that are missing, stale or left over."""
    names = {str(path.relative_to(base)) for base in (fresh, STUBS) for path in (base / "context").rglob("*.py*")}
    names = {name for name in names if "__pycache__" not in name}
    return sorted(name for name in names if not same(fresh / name, STUBS / name))


def same(left: Path, right: Path) -> bool:
    """Whether both files exist with the same content."""
    return left.exists() and right.exists() and filecmp.cmp(left, right, shallow=False)


def main() -> None:
    """Regenerate, or with --check compare with a fresh generation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    if not parser.parse_args().check:
        generate(STUBS)
        return
    with tempfile.TemporaryDirectory() as scratch:
        generate(Path(scratch))
        stale = differences(Path(scratch))
    if stale:
        sys.exit("stubs differ from protos/, run `make proto`: " + ", ".join(stale))


if __name__ == "__main__":
    main()
