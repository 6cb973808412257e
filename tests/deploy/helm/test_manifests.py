"""k8s/ is the chart without Helm: as it would be written now, whole, and understood by Kubernetes alone."""

import copy
import subprocess
import sys
from dataclasses import replace

import pytest

from tests.support.helm import schemas
from tests.support.helm.chart import ROOT, Rendering, merge, render
from tests.support.helm.objects import Object, pod_of, read_objects
from tests.support.helm.rules import broken

NAMESPACE = "production"
FOLDER = ROOT / "k8s"
# What Helm's labels and hooks are to Helm, files in their order are to kubectl.
WITHOUT_HELM = ("labels_are_those_recommended", "migrations_run_before_what_needs_them", "tests_are_tests")


@pytest.fixture(scope="module")
def manifests() -> list[Object]:
    return list(read_objects({path.name: path.read_text() for path in FOLDER.glob("*.yaml")}))


@pytest.fixture(scope="module")
def chart(manifests: list[Object]) -> Rendering:
    """The manifests as rules want them, which leave namespaces to Helm."""
    objects = [Object(found) for found in manifests if found.kind != "Namespace"]
    for found in objects:
        found["metadata"] = {key: value for key, value in found["metadata"].items() if key != "namespace"}
    return replace(render(), objects=tuple(objects))


def test_they_are_what_make_manifests_would_write() -> None:
    command = [sys.executable, str(ROOT / "deploy/helm/manifests.py"), "--check"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


def test_kubernetes_takes_them_in_this_order(manifests: list[Object]) -> None:
    assert not schemas.refused(manifests)
    assert manifests[0].title == f"Namespace/{NAMESPACE}"
    assert {found["metadata"].get("namespace") for found in manifests[1:]} == {NAMESPACE}


def test_they_keep_the_rules_that_are_not_helms(chart: Rendering) -> None:
    assert not [why for why in broken(chart) if why.partition(":")[0] not in WITHOUT_HELM]


def test_nothing_in_them_is_only_helms(manifests: list[Object]) -> None:
    assert "helm.sh" not in "".join(str(found) for found in manifests)
    assert not [found.title for found in manifests if found.component == "test"]


def test_a_changed_migration_is_another_job(chart: Rendering) -> None:
    from deploy.helm import manifests as writer

    values = {"migrations": {"resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}}
    names = {
        writer.plain(copy.deepcopy(found))["metadata"]["name"]
        for made in (render(), render(merge({}, values)))
        for found in made.of("Job")
    }
    assert len(names) == 2


def test_two_secrets_are_all_that_they_ask_for(chart: Rendering) -> None:
    """The procedure: a namespace, two secrets, `kubectl apply -f k8s/`."""
    named = {
        entry["valueFrom"]["secretKeyRef"]["name"]
        for found in chart.objects
        if (pod := pod_of(found))
        for container in pod.containers
        for entry in container.get("env", [])
        if "secretKeyRef" in entry.get("valueFrom", {})
    }
    assert named == {"app-secrets", "db-credentials"}


def test_the_gateway_is_behind_a_balancer_and_grows_with_its_load(chart: Rendering) -> None:
    service = chart.named("Service", "context-engineering-gateway")
    assert service
    assert service.spec["type"] == "LoadBalancer"
    assert [port["port"] for port in service.spec["ports"]] == [80]
    scaler = chart.find("HorizontalPodAutoscaler", "gateway").spec
    targets = {each["resource"]["name"]: each["resource"]["target"]["averageUtilization"] for each in scaler["metrics"]}
    assert (scaler["minReplicas"], scaler["maxReplicas"], targets) == (3, 10, {"cpu": 70, "memory": 80})
