"""Writes k8s/: the chart as plain manifests, for `kubectl apply -f k8s/` without Helm; with --check only compares.

What only Helm understands is taken out. A migration becomes an ordinary Job, named by what it is, since a Job cannot be
changed; pods that start before it is done start again until the schema is there.
"""

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import helm_python
import yaml

HERE = Path(__file__).parent
CHART, TARGET = HERE / "context", HERE.parents[1] / "k8s"
RELEASE, NAMESPACE = "context-engineering", "production"
FIRST = "00-namespace.yaml"  # kubectl takes files by their names
HEADER = (
    "# Rendered from deploy/helm/context with deploy/helm/manifests.yaml by `make manifests`: change those instead.\n"
)
HELMS_LABELS = ("helm.sh/chart", "app.kubernetes.io/managed-by")


def main() -> None:
    """Write, or with --check compare."""
    wanted = files()
    there = {path.name: path.read_text() for path in TARGET.glob("*.yaml")}
    if sys.argv[1:] == ["--check"]:
        stale = sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))
        sys.exit(f"k8s/ is out of date: {', '.join(stale)}; run `make manifests`" if stale else 0)
    TARGET.mkdir(exist_ok=True)
    for name in there.keys() - wanted.keys():
        (TARGET / name).unlink()
    for name, text in wanted.items():
        (TARGET / name).write_text(text)


def files() -> dict[str, str]:
    """The manifests, by the names of their files."""
    values = yaml.safe_load((HERE / "manifests.yaml").read_text())
    with helm_python.Chart.load(CHART) as chart:
        rendered = chart.render(values, name=RELEASE, namespace=NAMESPACE)
    made = {FIRST: [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}]}
    made |= {Path(path).name: list(objects(text)) for path, text in sorted(rendered.items()) if path.endswith(".yaml")}
    return {
        name: HEADER + yaml.safe_dump_all(found, sort_keys=False, width=120) for name, found in made.items() if found
    }


def objects(text: str) -> Iterator[dict[str, Any]]:
    """The objects of one rendered file as they are without Helm; its tests are left out."""
    for found in yaml.safe_load_all(text):
        if found and found["metadata"]["labels"].get("app.kubernetes.io/component") != "test":
            yield plain(found)


def plain(found: dict[str, Any]) -> dict[str, Any]:
    """An object in its namespace, without what only Helm understands."""
    metadata = found["metadata"]
    metadata["namespace"] = NAMESPACE
    kept = {key: value for key, value in metadata.pop("annotations", {}).items() if not key.startswith("helm.sh/")}
    if kept:
        metadata["annotations"] = kept
    for labels in labels_of(found):
        for name in HELMS_LABELS:
            labels.pop(name, None)
    if found["kind"] == "Job":
        metadata["name"] += f"-{hashlib.sha256(json.dumps(found['spec']).encode()).hexdigest()[:8]}"
    return found


def labels_of(value: Any) -> Iterator[dict[str, str]]:
    """Every map of labels in an object."""
    if isinstance(value, dict):
        for key, child in value.items():
            if key == "labels":
                yield child
            else:
                yield from labels_of(child)
    elif isinstance(value, list):
        for child in value:
            yield from labels_of(child)


if __name__ == "__main__":
    main()
