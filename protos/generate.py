"""Writes the Python stubs for protos/ into libs/common/context; with --check only says whether they are current.

Run by `make proto` and `make check`. Beside the stubs it keeps context/v1/wire.json, a list of all that is on the wire:
what stands there may not go or change, since clients of other versions are out there. What no client has seen yet may
be struck from the file by hand.
"""

import argparse
import filecmp
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent
STUBS = ROOT.parent / "libs" / "common"
WIRE = ROOT / "context" / "v1" / "wire.json"
PLUGINS = (("python", ""), ("grpc_python", ""), ("mypy", "quiet:"), ("mypy_grpc", "quiet:"))


def generate(target: Path) -> dict[str, str]:
    """Compile every proto into `target`, laid out as the package path says; answers what is on the wire."""
    # protoc finds its mypy plugins on the path, which need not name this interpreter's environment.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    protos = sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*.proto"))
    outputs = [f"--{kind}_out={quiet}{target}" for kind, quiet in PLUGINS]
    googleapis = files("google.rpc").joinpath("../..").resolve()  # type: ignore[attr-defined]
    well_known = files("grpc_tools").joinpath("_proto")
    includes = [f"-I{path}" for path in (ROOT, well_known, googleapis)]
    with tempfile.NamedTemporaryFile() as described:
        if protoc.main(["protoc", *includes, *outputs, f"--descriptor_set_out={described.name}", *protos]) != 0:
            sys.exit("protoc failed")
        compiled = FileDescriptorSet.FromString(Path(described.name).read_bytes())
    for package in ("context", "context/v1"):
        (target / package / "__init__.py").write_text('"""Generated from protos/ by `make proto`: do not edit."""\n')
        (target / package / "py.typed").touch()
    return dict(sorted(on_the_wire(compiled)))


def on_the_wire(compiled: FileDescriptorSet) -> Iterator[tuple[str, str]]:
    """Full name and shape of every field, enum value and rpc."""
    for file in compiled.file:
        for message in file.message_type:
            yield from shapes(message, file.package)
        for enum in file.enum_type:
            yield from values(enum, file.package)
        for service in file.service:
            for rpc in service.method:
                request = f"{'stream ' * rpc.client_streaming}{rpc.input_type}"
                response = f"{'stream ' * rpc.server_streaming}{rpc.output_type}"
                yield f"{file.package}.{service.name}.{rpc.name}", f"{request} -> {response}"


def shapes(message: DescriptorProto, parent: str) -> Iterator[tuple[str, str]]:
    """Name and shape of every field and enum value in a message and those within it."""
    name = f"{parent}.{message.name}"
    for field in message.field:
        kind = field.type_name or Field.Type.Name(field.type).removeprefix("TYPE_").lower()
        label = "repeated " if field.label == Field.LABEL_REPEATED else "optional " if field.proto3_optional else ""
        yield f"{name}.{field.name}", f"{field.number}: {label}{kind}"
    for nested in message.nested_type:
        yield from shapes(nested, name)
    for enum in message.enum_type:
        yield from values(enum, name)


def values(enum: EnumDescriptorProto, parent: str) -> Iterator[tuple[str, str]]:
    """Name and number of every value of an enum."""
    for value in enum.value:
        yield f"{parent}.{enum.name}.{value.name}", str(value.number)


def broken(kept: dict[str, str], fresh: dict[str, str]) -> list[str]:
    """What clients of `kept` rely on and `fresh` no longer has as it was."""
    return [
        f"{name} was {was!r} and is {fresh.get(name, 'gone')!r}" for name, was in kept.items() if fresh.get(name) != was
    ]


def compare(kept: dict[str, str], fresh: dict[str, str]) -> None:
    """Exit where `fresh` breaks clients of `kept`."""
    if faults := broken(kept, fresh):
        sys.exit("changed on the wire: " + "; ".join(faults))


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
    check = parser.parse_args().check
    kept = json.loads(WIRE.read_text()) if WIRE.exists() else {}
    with tempfile.TemporaryDirectory() as scratch:
        fresh = generate(Path(scratch))
        stale = differences(Path(scratch)) + ([] if fresh == kept else [WIRE.name])
    compare(kept, fresh)
    if not check:
        generate(STUBS)
        WIRE.write_text(json.dumps(fresh, indent=1) + "\n")
    elif stale:
        sys.exit("stubs differ from protos/, run `make proto`: " + ", ".join(stale))


if __name__ == "__main__":
    main()
