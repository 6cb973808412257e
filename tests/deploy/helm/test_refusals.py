"""Values that cannot be meant are refused before anything is installed, by a message that names the key."""

from collections.abc import Iterator, Mapping
from typing import Any

import helm_python
import pytest

from tests.support.helm import code
from tests.support.helm.chart import chart, render

# Maps whose keys are somebody else's: Postgres's, Kubernetes', an installation's.
FREE = ("parameters", "labels", "requests", "limits", "databaseUrls", "to", "jobs", "secrets")
REFUSED: Mapping[str, tuple[dict[str, Any], str]] = {
    "unknown key": ({"gatway": {}}, "gatway"),
    "unknown key inside": ({"gateway": {"replicaCount": 3}}, "replicaCount"),
    "unknown key deep inside": ({"database": {"secret": {"keys": {"admin": "x"}}}}, "admin"),
    "text for a number": ({"knowledge": {"poolSize": "many"}}, "poolSize"),
    "number for text": ({"publicUrl": 7}, "publicUrl"),
    "text for a switch": ({"networkPolicy": {"enabled": "yes"}}, "enabled"),
    "no pods": ({"gateway": {"replicas": 0}}, "replicas"),
    "half a pod": ({"gateway": {"replicas": 1.5}}, "replicas"),
    "fewer at most than at least": ({"gateway": {"replicas": 4, "autoscaling": {"maxReplicas": 3}}}, "maxReplicas"),
    "a level that is none": ({"logLevel": "loud"}, "logLevel"),
    "latest": ({"image": {"tag": "latest"}}, "tag"),
    "a digest that is none": ({"gateway": {"image": {"digest": "sha256:1"}}}, "digest"),
    "pools over the server's connections": ({"database": {"maxConnections": 100}}, "max_connections"),
    "pools over our own server's": (
        {"database": {"cluster": {"enabled": True, "parameters": {"max_connections": "50"}}}},
        "max_connections",
    ),
    "an ingress without a host": ({"ingress": {"enabled": True}}, "ingress.hosts"),
    "an ingress that hides who calls": (
        {"publicUrl": "https://context.example.org", "ingress": {"enabled": True}},
        "gateway.trustedProxies",
    ),
    "a proxy by its name": ({"gateway": {"trustedProxies": ["ingress-nginx"]}}, "trustedProxies"),
    "TLS inside without certificates": ({"tls": {"enabled": True}}, "tls.secretName"),
    "external secrets from nowhere": ({"externalSecrets": {"enabled": True}}, "externalSecrets.store"),
    "two jobs at once": ({"jobs": {"drill": {"schedule": "0 2 * * *"}}}, "jobs.drill"),
    "a service of another kind": ({"gateway": {"service": {"type": "ExternalName"}}}, "type"),
    "three read replicas": ({"database": {"secret": {"keys": {"knowledgeReplicas": ["a", "b", "c"]}}}}, "eplicas"),
    "a budget of nothing": ({"gateway": {"podDisruptionBudget": {"maxUnavailable": 0}}}, "maxUnavailable"),
    "memory for embedding's autoscaler": ({"embedding": {"autoscaling": {"memory": 80}}}, "memory"),
    "a public address without https": ({"publicUrl": "http://context.example.org"}, "publicUrl"),
    "labels that selectors use": ({"gateway": {"podLabels": {"app.kubernetes.io/name": "x"}}}, "podLabels"),
    "common labels that selectors use": ({"commonLabels": {"app.kubernetes.io/component": "x"}}, "commonLabels"),
    "a label twice": (
        {"commonLabels": {"tier": "x"}, "gateway": {"podLabels": {"tier": "front"}}},
        "gateway.podLabels",
    ),
    "a monitor's label twice": (
        {"commonLabels": {"release": "x"}, "metrics": {"serviceMonitor": {"labels": {"release": "prometheus"}}}},
        "metrics.serviceMonitor.labels",
    ),
    "a name that is none": ({"fullnameOverride": "Abc_"}, "fullnameOverride"),
    "a name that no Service may have": ({"fullnameOverride": "1-engine"}, "fullnameOverride"),
    "a chart's name that is none": ({"nameOverride": "engine-"}, "nameOverride"),
    **{
        f"no time: {time}": ({"jobs": {"backup": {"schedule": time}}}, "schedule")
        for time in (
            "99 2 * * *",
            "0 24 * * *",
            "0 2 0 * *",
            "0 2 * 13 *",
            "0 2 * * 7",
            "0 2 * *",
            "@daily",
            "0-99 2 * * *",
        )
    },
    "what the chart sets": ({"gateway": {"settings": {"PORT": 80}}}, "PORT"),
    "no resources": ({"gateway": {"resources": {"requests": None}}}, "resources"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_it_is_refused_with_its_name(why: str) -> None:
    values, named = REFUSED[why]
    with pytest.raises(helm_python.HelmError, match=named):
        render(values)


@pytest.mark.parametrize("service", code.SERVICES)
def test_no_secret_can_be_given_as_a_setting(service: str) -> None:
    for name in code.secrets():
        with pytest.raises(helm_python.HelmError, match=name):
            render({service: {"settings": {name: "a secret"}}})


FEW = {"replicas": 1, "autoscaling": {"enabled": False}, "poolSize": 20}


@pytest.mark.parametrize(
    ("replicas", "pool", "limit"),
    [([], 30, 10 + 4 * 21), (["r1", "r2"], 20, 10 + 4 * 22), (["r1", "r2"], 30, 10 + 4 * 31)],
)
def test_every_connection_of_a_process_counts(replicas: list[str], pool: int, limit: int) -> None:
    few = FEW | {"replicaPoolSize": pool}
    database = {
        "maxConnections": limit,
        "secret": {"keys": {"knowledgeReplicas": replicas, "retrievalReplicas": replicas}},
    }
    assert render({"database": database, "knowledge": few, "retrieval": few}).objects
    with pytest.raises(helm_python.HelmError, match=f"{limit} connections"):
        render({"database": database | {"maxConnections": limit - 1}, "knowledge": few, "retrieval": few})


@pytest.mark.parametrize("time", ["*/15 2-4 1,15 * *", "05 02 31 12 mon-fri", "59 23 * JAN,Jul 6", "0 */6 * * 0,3"])
def test_every_time_of_a_clock_is_taken(time: str) -> None:
    assert render({"jobs": {"backup": {"schedule": time}}}).objects


def maps(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The way to each map among the values whose keys are the chart's; those that are empty may have any."""
    if isinstance(value, Mapping) and value and path[-1:] not in [(name,) for name in FREE]:
        yield path
        for key, child in value.items():
            yield from maps(child, (*path, key))


def test_no_map_of_values_takes_a_key_that_it_does_not_know() -> None:
    ways = list(maps(chart().values))
    assert len(ways) > 50
    for way in ways:
        values: dict[str, Any] = {"not-a-value": {}}
        for key in reversed(way):
            values = {key: values}
        with pytest.raises(helm_python.HelmError, match="not-a-value"):
            chart().validate_schema(values)
