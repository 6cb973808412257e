"""The chart itself: Helm has nothing against it, its versions are the project's, its presets are what they promise."""

import re
import tomllib

import helm_python
import pytest
import yaml
from starlette.datastructures import Headers

from context_gateway.address import client_address
from context_gateway.limits import Limits
from context_gateway.settings import Settings
from context_ops.settings import Settings as OpsSettings
from tests.support.helm.chart import (
    CHART,
    ROOT,
    Rendering,
    load_set,
    merge,
    metadata,
    presets,
    render,
    rendered,
    set_names,
)
from tests.support.helm.environ import cores, environment
from tests.support.helm.objects import pods_of
from tests.support.helm.rules.pods import servers
from tests.support.helm.rules.scaling import fewest_and_most

NGINX = "deploy/nginx/templates/context.conf.template"
INFO = 1  # the severity of what is only worth knowing
GIB = 2**30
UNITS = {"Mi": 2**20, "Gi": 2**30}


def memory(quantity: str) -> int:
    """Bytes."""
    return int(quantity[:-2]) * UNITS[quantity[-2:]]


@pytest.mark.parametrize("name", set_names())
def test_helm_lint_is_clean(name: str) -> None:
    report = helm_python.lint(CHART, dict(load_set(name)), strict=True)
    found = [message for message in report["messages"] if message["severity"] > INFO]
    assert report["total_charts_linted"] == 1
    assert not found
    assert not report["errors"]


def test_versions_are_the_projects() -> None:
    project = tomllib.loads((ROOT / "libs/common/pyproject.toml").read_text())["project"]
    assert metadata()["appVersion"] == project["version"]
    assert metadata()["apiVersion"] == "v2"
    assert metadata()["name"] == "context"


def test_there_is_a_preset_for_each_size() -> None:
    assert presets() == ["values-100k.yaml", "values-ha.yaml", "values-small.yaml"]
    pods = {
        name: {pod.component: fewest_and_most(rendered(name), pod.owner) for pod in servers(rendered(name))}
        for name in presets()
    }
    assert set(pods["values-small.yaml"].values()) == {(1, 1)}
    assert set(pods["values-ha.yaml"].values()) == {(3, 5)}
    assert pods["values-100k.yaml"]["gateway"] == (5, 10)
    assert rendered("values-100k.yaml").values["redis"]["secret"]["name"]


def test_the_small_preset_fits_on_a_small_machine() -> None:
    requests = [pod.main["resources"]["requests"] for pod in servers(rendered("values-small.yaml"))]
    limits = [pod.main["resources"]["limits"] for pod in servers(rendered("values-small.yaml"))]
    assert sum(cores(each["cpu"]) for each in requests) <= 2
    assert sum(memory(each["memory"]) for each in limits) <= 4 * GIB


@pytest.mark.parametrize("upgrade", [False, True])
def test_notes_say_how_to_reach_it_and_promise_nothing_that_is_not_there(upgrade: bool) -> None:
    for name in set_names():
        chart = rendered(name, upgrade=upgrade)
        assert "helm test" in chart.notes
        address = chart.values["publicUrl"] or "prod-context-gateway"
        assert address in chart.notes
        named = [found.name for found in chart.of("Deployment") if f"deploy/{found.name} " in chart.notes]
        assert named == ["prod-context-knowledge"]  # it makes the first key


def test_what_a_pod_mounts_of_ours_restarts_it_when_it_changes() -> None:
    skills = load_set("own-skills.yaml")
    changed = {"skills": {"files": {path: f"{text}more" for path, text in skills["skills"]["files"].items()}}}
    before, after = (
        {pod.owner.title: pod.annotations for pod in pods_of(render(values).objects)}
        for values in (skills, merge(skills, changed))
    )
    assert {title for title in before if before[title] != after[title]} == {"Deployment/prod-context-gateway"}


def test_every_host_of_the_ingress_is_answered() -> None:
    hosts = ["a.example.org", "b.example.org"]
    gateway = {"trustedProxies": ["10.244.0.0/16"]}
    values = {"publicUrl": "https://a.example.org", "ingress": {"enabled": True, "hosts": hosts}, "gateway": gateway}
    assert set(hosts) <= set(limits(render(values)).allowed_hosts)


def limits(made: Rendering) -> Limits:
    """The gateway's, out of what the chart tells it."""
    [pod] = [pod for pod in servers(made) if pod.component == "gateway"]
    return Settings.from_env(environment(made, pod, pod.main)).limits


def test_behind_an_ingress_the_gateway_counts_callers_and_not_the_ingress() -> None:
    proxies = limits(rendered("public.yaml")).trusted_proxies
    forwarded = Headers({"x-forwarded-for": "203.0.113.7"})
    assert client_address("10.244.9.80", forwarded, proxies) == "203.0.113.7"
    assert client_address("fd00:10:244::9", forwarded, proxies) == "203.0.113.7"
    assert client_address("192.0.2.1", forwarded, proxies) == "192.0.2.1"


def test_notes_say_where_a_balancer_hides_who_calls() -> None:
    said = "gateway.trustedProxies"
    assert said in rendered("load-balancer.yaml").notes
    assert said not in rendered("defaults").notes
    told = {"gateway": {"trustedProxies": ["10.0.0.0/8"]}}
    assert said not in render(merge(load_set("load-balancer.yaml"), told)).notes


@pytest.mark.parametrize("cluster", [False, True])
def test_upkeep_has_the_owner_and_the_nightly_backup_has_not(cluster: bool) -> None:
    made = render({"jobs": {"upkeep": {"enabled": True}}, "database": {"cluster": {"enabled": cluster}}})
    environs = {
        pod.component: environment(made, pod, pod.main) for pod in pods_of(made.objects) if pod.owner.kind == "CronJob"
    }
    assert OpsSettings.from_env(environs["job-upkeep"]).owner()
    assert not OpsSettings.from_env(environs["job-backup"]).owner_url


def test_the_documented_ingress_passes_bulk_imports_on_as_nginx_of_compose_does() -> None:
    block = re.search(r"```yaml\n( *image: .*?)```", (ROOT / "docs/operations.md").read_text(), re.DOTALL)
    assert block
    [ingress] = render(merge(load_set("values-small.yaml"), yaml.safe_load(block[1]))).of("Ingress")
    [bulk] = re.findall(r"location = /api/bulk \{(.*?)\}", (ROOT / NGINX).read_text(), re.DOTALL)
    wanted = {
        name.replace("client_max_", "proxy_").replace("_", "-"): value.removesuffix("s")
        for name, value in re.findall(r"(client_max_body_size|proxy_\w+(?:ing|timeout)) (\w+);", bulk)
    }
    assert len(wanted) == 5
    assert ingress.annotations == {f"nginx.ingress.kubernetes.io/{name}": value for name, value in wanted.items()}
