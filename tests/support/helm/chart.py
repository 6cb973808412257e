"""Renders the chart with the real Helm library, each set of values once."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import helm_python
import yaml

from tests.support.helm.objects import Object, read_objects

ROOT = Path(__file__).parents[3]
CHART = ROOT / "deploy" / "helm" / "context"
SETS = ROOT / "tests" / "deploy" / "helm" / "values"
RELEASE, NAMESPACE = "prod", "context"
BASED_ON = "# -f "  # how the first line of a set names the preset it goes on top of

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Rendering:
    """What Helm makes of one set of values; made once for all tests, so that whoever changes objects copies them first.

    Args:
        objects: Every object, hooks and tests too.
        notes: What an installation prints.
        values: The values as templates see them: the chart's own with the set's on top.
        upgrade: Whether something stands already.
    """

    objects: tuple[Object, ...]
    notes: str
    values: Values
    upgrade: bool = False

    def of(self, *kinds: str) -> list[Object]:
        """The objects of some kinds."""
        return [found for found in self.objects if found.kind in kinds]

    def find(self, kind: str, component: str) -> Object:
        """The one object of a kind that belongs to a component."""
        [found] = [each for each in self.of(kind) if each.component == component]
        return found

    def named(self, kind: str, name: str) -> Object | None:
        """The object of that kind and name, if the chart makes it."""
        return next((found for found in self.of(kind) if found.name == name), None)


@lru_cache
def chart() -> helm_python.Chart:
    """The chart, loaded."""
    return helm_python.Chart.load(CHART)


@cache
def metadata() -> Mapping[str, Any]:
    """Chart.yaml."""
    return chart().metadata


def render(
    values: Values | None = None, *, release: str = RELEASE, namespace: str = NAMESPACE, upgrade: bool = False
) -> Rendering:
    """What a new installation of `values`, or with `upgrade` one that stands already, consists of.

    Raises:
        helm_python.HelmError: The values are refused, by the schema or by a template.
    """
    return _render(json.dumps(values or {}, sort_keys=True), release, namespace, upgrade=upgrade)


@cache
def _render(values: str, release: str, namespace: str, *, upgrade: bool) -> Rendering:
    given = json.loads(values)
    files = chart().render(given, name=release, namespace=namespace, is_install=not upgrade, is_upgrade=upgrade)
    notes = [text for path, text in files.items() if path.endswith("NOTES.txt")]
    manifests = {path: text for path, text in files.items() if path.endswith((".yaml", ".yml", ".tpl"))}
    return Rendering(tuple(read_objects(manifests)), "".join(notes), chart().merge_values(given), upgrade)


def presets() -> list[str]:
    """The names of the value files that the chart ships beside its defaults."""
    return sorted(path.name for path in CHART.glob("values-*.yaml"))


def set_names() -> list[str]:
    """Every set of values: the defaults, the chart's presets, and the files of the tests."""
    return ["defaults", *presets(), *sorted(path.name for path in SETS.glob("*.yaml"))]


@cache
def load_set(name: str) -> Values:
    """A set of values by its name."""
    if name == "defaults":
        return {}
    path = CHART / name if name in presets() else SETS / name
    text = path.read_text()
    first = text.partition("\n")[0]
    own = yaml.safe_load(text) or {}
    return merge(load_set(first.removeprefix(BASED_ON)), own) if first.startswith(BASED_ON) else own


def rendered(name: str, *, upgrade: bool = False) -> Rendering:
    """A set of values, rendered."""
    return render(load_set(name), upgrade=upgrade)


def merge(base: Values, *over: Values) -> dict[str, Any]:
    """Values on top of others, as `helm -f base -f over` does."""
    merged = dict(base)
    for values in over:
        for key, value in values.items():
            old = merged.get(key)
            merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def walk(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf of nested maps and lists, with the way to it."""
    if isinstance(value, Mapping):
        for key, child in value.items():
            yield from walk(child, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for index, child in enumerate(value):
            yield from walk(child, f"{path}[{index}]")
    else:
        yield path, value
