"""The stubs are those of the protos, and nothing that clients rely on has left the wire."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    """protos/generate.py, which is a script and in no package."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "protos" / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def fresh(generate: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """Stubs generated anew, and what is on their wire."""
    target = tmp_path_factory.mktemp("stubs")
    return target, generate.generate(target)


def test_stubs_are_current(generate: ModuleType, fresh: tuple[Path, dict[str, str]]) -> None:
    assert generate.differences(fresh[0]) == [], "run `make proto`"


def test_a_stale_stub_is_named(generate: ModuleType, fresh: tuple[Path, dict[str, str]]) -> None:
    stub = fresh[0] / "context" / "v1" / "types_pb2.py"
    content = stub.read_text()
    stub.write_text(content + "# edited\n")
    assert generate.differences(fresh[0]) == ["context/v1/types_pb2.py"]
    stub.write_text(content)


def test_nothing_left_the_wire(generate: ModuleType, fresh: tuple[Path, dict[str, str]]) -> None:
    kept = json.loads(generate.WIRE.read_text())
    assert generate.broken(kept, fresh[1]) == []


def test_what_is_new_on_the_wire_is_in_the_snapshot(generate: ModuleType, fresh: tuple[Path, dict[str, str]]) -> None:
    kept = json.loads(generate.WIRE.read_text())
    assert fresh[1].keys() - kept.keys() == set(), "run `make proto`"


def test_removed_and_renumbered_fields_are_told_apart_from_new_ones(generate: ModuleType) -> None:
    kept = {"v1.Adr.title": "1: string", "v1.Adr.status": "2: string", "v1.Adr.pinned": "3: bool"}
    fresh = {"v1.Adr.title": "1: string", "v1.Adr.status": "4: string", "v1.Adr.new": "5: bool"}
    assert generate.broken(kept, fresh) == [
        "v1.Adr.status was '2: string' and is '4: string'",
        "v1.Adr.pinned was '3: bool' and is 'gone'",
    ]
    with pytest.raises(SystemExit, match="changed on the wire"):
        generate.compare(kept, fresh)
