"""The export's pins: what the lock must and must not hold."""

import re
import tomllib
from pathlib import Path

from context_embedding.export import environment

SERVICE = Path(__file__).parents[3] / "services" / "embedding"


def requirements(text: str) -> set[str]:
    return {line for line in text.splitlines() if line and not line.startswith(("#", " "))}


def test_the_extra_the_list_and_the_step_name_the_same_packages() -> None:
    extra = tomllib.loads((SERVICE / "pyproject.toml").read_text())["project"]["optional-dependencies"]["export"]
    listed = requirements((SERVICE / "export.in").read_text())
    assert listed - {"onnxruntime"} == set(extra)
    assert environment.TORCH in listed


def test_everything_is_pinned_by_hash_but_torch() -> None:
    lock = environment.LOCK.read_text()
    pinned = re.findall(r"^([a-z0-9-]+)==\S+ \\\n    --hash=sha256:", lock, re.MULTILINE)
    assert {"optimum", "optimum-onnx", "transformers", "onnx", "onnxruntime"} <= set(pinned)
    assert len(pinned) == len(requirements(lock))
    assert "torch" not in pinned
    weights = environment.WEIGHTS_LOCK.read_text()
    assert weights.startswith(environment.WEIGHTS)
    assert "--hash=sha256:" in weights


def test_the_locks_name_no_host() -> None:
    for path in (environment.LOCK, environment.WEIGHTS_LOCK):
        assert not re.search(r"//|file:|index-url|find-links", path.read_text())
