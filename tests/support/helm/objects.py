"""Kubernetes objects out of manifests, and the pods that they describe."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

HOOK, WEIGHT = "helm.sh/hook", "helm.sh/hook-weight"
PART = "app.kubernetes.io/"
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Pod")


class Strict(yaml.CSafeLoader):
    """As Kubernetes reads YAML: a key that stands twice is an error, not the last one's."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """A map, if its keys differ."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"twice: {sorted(twice)}", node.start_mark)
        return super().construct_mapping(node, deep)


class Object(dict[str, Any]):
    """One object as the API server gets it."""

    template = ""  # the file of the chart that it comes from

    @property
    def kind(self) -> str:
        return str(self["kind"])

    @property
    def name(self) -> str:
        return str(self["metadata"]["name"])

    @property
    def title(self) -> str:
        """How messages call it."""
        return f"{self.kind}/{self.name}"

    @property
    def labels(self) -> Mapping[str, str]:
        return dict(self["metadata"].get("labels") or {})

    @property
    def annotations(self) -> Mapping[str, str]:
        return dict(self["metadata"].get("annotations") or {})

    @property
    def component(self) -> str:
        return self.labels.get(f"{PART}component", "")

    @property
    def spec(self) -> Mapping[str, Any]:
        return dict(self.get("spec") or {})

    @property
    def hooks(self) -> tuple[str, ...]:
        """When Helm creates it, where that is not with all the others."""
        return tuple(filter(None, (when.strip() for when in self.annotations.get(HOOK, "").split(","))))

    @property
    def weight(self) -> int:
        """Where it stands among hooks; lower ones come first."""
        return int(self.annotations.get(WEIGHT, "0"))


@dataclass(frozen=True)
class Pod:
    """What a workload starts."""

    owner: Object
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    spec: Mapping[str, Any]

    @property
    def component(self) -> str:
        return self.labels.get(f"{PART}component", "")

    @property
    def containers(self) -> list[dict[str, Any]]:
        """All of them, those that prepare first."""
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]

    @property
    def main(self) -> dict[str, Any]:
        """The one that does the work."""
        first: dict[str, Any] = self.spec["containers"][0]
        return first

    def ports(self) -> dict[str, int]:
        """The ports that its containers open, by name."""
        return {
            port["name"]: port["containerPort"]
            for container in self.spec["containers"]
            for port in container.get("ports", [])
        }


def read_objects(manifests: Mapping[str, str]) -> Iterator[Object]:
    """The objects in rendered files.

    Raises:
        yaml.YAMLError: A file is none, or has a key twice; the message begins with its name.
    """
    for path, text in sorted(manifests.items()):
        try:
            documents = _parse(text)
        except yaml.YAMLError as error:
            raise yaml.YAMLError(f"{path}: {error}") from error
        for document in documents:
            if document:
                found = Object(document)
                found.template = path
                yield found


@cache
def _parse(text: str) -> list[Any]:
    """The documents of a file; most are the same for most values."""
    return list(yaml.load_all(text, Strict))


def pod_of(owner: Object) -> Pod | None:
    """The pods that an object starts, if it starts any."""
    if owner.kind not in WORKLOADS:
        return None
    spec = owner.spec
    if owner.kind == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    template = owner if owner.kind == "Pod" else spec["template"]
    metadata = template.get("metadata") or {}
    return Pod(owner, metadata.get("labels") or {}, metadata.get("annotations") or {}, template["spec"])


def pods_of(objects: tuple[Object, ...]) -> list[Pod]:
    """The pods that objects start, one for each workload."""
    return [pod for owner in objects if (pod := pod_of(owner))]


def matches(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a label selector selects; one without terms selects all."""
    selector = selector or {}
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_holds(term, labels) for term in selector.get("matchExpressions") or [])


def _holds(term: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    has, value = term["key"] in labels, labels.get(term["key"])
    known: dict[str, bool] = {
        "In": value in term.get("values", []),
        "NotIn": value not in term.get("values", []),
        "Exists": has,
        "DoesNotExist": not has,
    }
    return known[term["operator"]]
