"""Switches together: any two of them in every combination render to what Kubernetes takes and keep every rule."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import pytest

from tests.support.helm import code
from tests.support.helm.chart import chart, merge, render
from tests.support.helm.rules import broken
from tests.support.helm.schemas import refused

SECRET = {"name": "given", "key": "token"}
FIXED = {"replicas": 2, "autoscaling": {"enabled": False}}
FLAGS: Mapping[str, dict[str, Any]] = {
    "fixed replicas": dict.fromkeys(code.SERVICES, FIXED),
    "no budgets": {service: {"podDisruptionBudget": {"enabled": False}} for service in code.SERVICES},
    "no policies": {"networkPolicy": {"enabled": False}},
    "no jobs": {"jobs": {"backup": {"enabled": False}, "drill": {"enabled": False}}},
    "no migrations": {"migrations": {"enabled": False}},
    "no account": {"serviceAccount": {"create": False}},
    "own database": {"database": {"cluster": {"enabled": True}}},
    "replicas": {"database": {"secret": {"keys": {"knowledgeReplicas": ["k1"], "retrievalReplicas": ["r1", "r2"]}}}},
    "checked database": {"database": {"caSecret": {"name": "given"}}},
    "redis": {"redis": {"secret": {"name": "given"}}},
    "TLS inside": {"tls": {"enabled": True, "certManager": {"name": "inside"}}},
    "service secret": {"app": {"secret": {"keys": {"serviceSecret": "service-secret"}}}},
    "public": {
        "publicUrl": "https://context.example.org",
        "ingress": {"enabled": True},
        "gateway": {"trustedProxies": ["10.244.0.0/16"]},
    },
    "skills": {"skills": {"files": {"context-query/SKILL.md": "Ask."}}},
    "external embedder": {"embedding": {"external": {"url": "https://embedder.example.org", "secret": SECRET}}},
    "backups to a bucket": {"backup": {"to": "s3://backups/context", "s3": {"secret": {"name": "given"}}}},
    "more jobs": {"jobs": {"base": {"enabled": True}, "upkeep": {"enabled": True}}},
    "service monitor": {"metrics": {"serviceMonitor": {"enabled": True}}},
    "alerts and dashboards": {"metrics": {"prometheusRule": {"enabled": True}, "dashboards": {"enabled": True}}},
    "traces": {"otlp": {"endpoint": "http://collector.monitoring:4317"}},
    "error reports": {"sentry": {"secret": {"name": "given"}}},
    "a token for the test": {"test": {"secret": SECRET}},
    "any user": {"runAsUser": 0},
    "external secrets": {
        "externalSecrets": {
            "enabled": True,
            "store": {"name": "vault"},
            "secrets": {"app-secrets": {"secret-key-base": {"key": "app"}}},
        }
    },
    "IPv6": {"bindAddress": "::"},
}
ROWS = 8


def rows() -> list[list[str]]:
    """Few choices of flags in which any two are both on, both off, and each on without the other.

    Each flag is on in another four of seven rows: any two such fours share a row, and each has one that the other
    lacks. In the eighth row none is on.
    """
    on = list(combinations(range(1, ROWS), ROWS // 2))
    assert len(on) >= len(FLAGS)
    return [[flag for flag, where in zip(FLAGS, on, strict=False) if row in where] for row in range(ROWS)]


def test_any_two_flags_meet_in_every_combination() -> None:
    for one, other in combinations(FLAGS, 2):
        met = {(one in row, other in row) for row in rows()}
        assert len(met) == 4, (one, other)


@pytest.mark.parametrize("row", range(ROWS))
@pytest.mark.parametrize("upgrade", [False, True], ids=["install", "upgrade"])
def test_flags_together(row: int, upgrade: bool) -> None:
    made = render(merge({}, *(FLAGS[flag] for flag in rows()[row])), upgrade=upgrade)
    assert not refused(made.objects)
    assert not broken(made)


def test_every_switch_of_the_chart_is_a_flag_of_the_matrix() -> None:
    switches = {way for way, value in _leaves(chart().values) if isinstance(value, bool)}
    flagged = {way for values in FLAGS.values() for way, value in _leaves(values) if isinstance(value, bool)}
    apart = {
        "metrics.podMonitor.enabled",  # not together with the other monitor
        "database.cluster.backup.enabled",
        "database.cluster.podMonitor",
        *(way for way in switches if way.startswith("jobs.") and way.endswith("backupTarget")),
    }
    assert switches - apart == flagged


def _leaves(values: Mapping[str, Any], way: str = "") -> list[tuple[str, Any]]:
    return [
        leaf
        for key, value in values.items()
        for leaf in (_leaves(value, f"{way}{key}.") if isinstance(value, Mapping) else [(f"{way}{key}", value)])
    ]
