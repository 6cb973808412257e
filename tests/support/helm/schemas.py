"""Objects against the schemas of Kubernetes' releases, each object and release once."""

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from kubernetes_validate import utils
from packaging.version import Version
from referencing import Registry, Resource

from tests.support.helm.chart import metadata
from tests.support.helm.objects import Object

# Kinds that other projects bring: no schema of Kubernetes', so one of ours for the fields that the chart uses.
CUSTOM = Path(__file__).parent / "custom_resources.yaml"


@lru_cache
def custom() -> Mapping[str, Any]:
    """Our schemas, by `apiVersion kind`."""
    return {name: schema for name, schema in yaml.safe_load(CUSTOM.read_text()).items() if name != "$anchors"}


@lru_cache
def releases() -> tuple[str, str]:
    """The oldest release of Kubernetes that the chart takes and there are schemas of, and the newest of them."""
    least = re.fullmatch(r">=\s*([\d.]+)(-0)?", metadata()["kubeVersion"])
    assert least, "kubeVersion is expected to be `>=x.y.z-0`"
    known = [version for version in utils.all_versions() if Version(version) >= Version(least[1])]
    return known[0], known[-1]


def refused(objects: Iterable[Object]) -> list[str]:
    """What the API servers of the oldest and the newest release would not take."""
    return [
        f"Kubernetes {release}: {found.title}: {why}"
        for release in releases()
        for found in objects
        for why in faults(found, release)
    ]


def faults(found: Object, release: str) -> list[str]:
    """What the API server of `release` would not take."""
    return list(_faults(json.dumps(found, sort_keys=True), release))


@cache
def _faults(text: str, release: str) -> tuple[str, ...]:
    found = json.loads(text)
    validator = _validator(found["apiVersion"], found["kind"], release)
    return tuple(f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(found))


@cache
def _validator(api_version: str, kind: str, release: str) -> jsonschema.Draft202012Validator:
    """The validator of a kind.

    Raises:
        LookupError: The release does not have the kind, nor is it one of `custom`.
    """
    if f"{api_version} {kind}" in custom():
        return jsonschema.Draft202012Validator(custom()[f"{api_version} {kind}"])
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api_version)
    file = f"kubernetes-json-schema/v{release}-local-strict/{kind.lower()}-{group}.json"
    try:
        schema = utils.schema_contents(file, release)
    except FileNotFoundError:
        raise LookupError(f"Kubernetes {release} has no {api_version} {kind}") from None
    return jsonschema.Draft202012Validator(schema, registry=_registry(release))


@cache
def _registry(release: str) -> Registry[Any]:
    """The definitions that a release's schemas share; the package's own function would read them for each object."""
    definitions = utils.schema_contents(f"kubernetes-json-schema/v{release}-local-strict/_definitions.json", release)
    return Resource.from_contents(definitions) @ Registry()
