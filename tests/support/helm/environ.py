"""The environment that a container gets, out of what the chart renders and the secrets that an installation has."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from tests.support.helm.chart import Rendering
from tests.support.helm.objects import Pod

Secret = Callable[[str, str, str], str]  # the variable's name, the Secret's and the key's → what it holds
SAMPLES = {
    "SECRET_KEY_BASE": "not a secret 0123456789 abcdefghijkl",
    "SERVICE_SECRET": "neither-is-this-0123456789-abcdefghi",
    "REDIS_URL": "redis://:password@redis.example.org:6379/0",
    "SENTRY_DSN": "https://key@sentry.example.org/1",
}
ADDRESS = "postgresql://login:password@db.example.org:5432/context"


def sample(variable: str, secret: str, key: str) -> str:
    """What could stand in a Secret."""
    return SAMPLES.get(variable, ADDRESS if variable.endswith("_URL") else f"{secret}.{key}")


def environment(
    chart: Rendering, pod: Pod, container: Mapping[str, Any], secret: Secret = sample, address: str = "10.244.0.9"
) -> dict[str, str]:
    """The variables of a container as its process sees them.

    Args:
        chart: Where ConfigMaps are looked up.
        pod: The container's.
        container: One of the pod's.
        secret: Knows the contents of Secrets.
        address: The pod's IP address.
    """
    environ: dict[str, str] = {}
    for source in container.get("envFrom", []):
        found = chart.named("ConfigMap", source["configMapRef"]["name"])
        assert found, f"{pod.owner.title} takes its environment from a ConfigMap that is not there: {source}"
        environ |= {f"{source.get('prefix', '')}{name}": value for name, value in found["data"].items()}
    for entry in container.get("env", []):
        if "valueFrom" in entry:
            environ[entry["name"]] = _from(entry, pod, container, secret, address)
        else:
            environ[entry["name"]] = expand(entry.get("value", ""), environ)
    return environ


def expand(text: str, environ: Mapping[str, str]) -> str:
    """`text` with `$(NAME)` replaced as Kubernetes does: `$$` stands for `$`, unknown names stay."""

    def value(found: re.Match[str]) -> str:
        return "$" if found[0] == "$$" else environ.get(found[1], found[0])

    return re.sub(r"\$\$|\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)", value, text)


def _from(entry: Mapping[str, Any], pod: Pod, container: Mapping[str, Any], secret: Secret, address: str) -> str:
    [(kind, where)] = entry["valueFrom"].items()
    if kind == "secretKeyRef":
        return secret(entry["name"], where["name"], where["key"])
    if kind == "resourceFieldRef":
        side, _, resource = where["resource"].partition(".")
        return str(max(1, round(cores(container["resources"][side][resource]))))
    known = {
        "status.podIP": address,
        "metadata.name": f"{pod.owner.name}-0",
        "metadata.namespace": "context",
        "spec.nodeName": "node-1",
        "metadata.labels['app.kubernetes.io/version']": pod.labels.get("app.kubernetes.io/version", ""),
    }
    return known[where["fieldPath"]]


def cores(quantity: str | int | float) -> float:
    """CPU as a number: `250m` is a quarter."""
    text = str(quantity)
    return float(text[:-1]) / 1000 if text.endswith("m") else float(text)
