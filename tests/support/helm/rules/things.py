"""Rules for every object: names, labels, selectors, and that whatever is named is there."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from tests.support.helm.chart import Rendering, walk
from tests.support.helm.objects import PART, Object, Pod, matches, pod_of, pods_of

LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
DNS_LABEL = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
LONGEST = {"CronJob": 52}  # its Jobs get eleven characters more
STABLE = {f"{PART}{name}" for name in ("name", "instance", "component")}
ALWAYS = {f"{PART}{name}" for name in ("name", "instance", "version", "part-of", "managed-by")} | {"helm.sh/chart"}


def names_are_valid_and_differ(chart: Rendering) -> Iterator[str]:
    """Names fit into a label, since Kubernetes makes labels and host names of them."""
    for found in chart.objects:
        if not DNS_LABEL.fullmatch(found.name) or len(found.name) > LONGEST.get(found.kind, 63):
            yield f"{found.title}: no name for it"
        if "namespace" in found["metadata"]:
            yield f"{found.title}: names its namespace, which is the installation's business"
    for title, times in Counter(found.title for found in chart.objects).items():
        if times > 1:
            yield f"{title}: there {times} times"


def labels_are_those_recommended(chart: Rendering) -> Iterator[str]:
    """Every object says what it belongs to, in labels that Kubernetes takes."""
    for found in chart.objects:
        if missing := ALWAYS - found.labels.keys():
            yield f"{found.title}: without {sorted(missing)}"
        pod = pod_of(found)
        if pod and not pod.labels.keys() >= STABLE:
            yield f"{found.title}: its pods are without {sorted(STABLE - pod.labels.keys())}"
        for key, value in {**found.labels, **(pod.labels if pod else {})}.items():
            if value and not LABEL.fullmatch(value):
                yield f"{found.title}: {key}={value!r} is no label"


def nothing_is_null(chart: Rendering) -> Iterator[str]:
    """A null is a value that a template forgot; the API server would quietly drop it."""
    for found in chart.objects:
        yield from (f"{found.title}: {path} is null" for path, value in walk(found) if value is None)


def selectors_are_of_what_never_changes(chart: Rendering) -> Iterator[str]:
    """A Deployment's selector cannot be changed, so that no version may stand in it; and it has only its own pods."""
    for found in chart.of("Deployment"):
        selector = found.spec["selector"]
        if set(selector.get("matchLabels", {})) != STABLE or "matchExpressions" in selector:
            yield f"{found.title}: selects by {selector}"
        selected = [pod.owner.title for pod in pods_of(chart.objects) if matches(selector, pod.labels)]
        if selected != [found.title]:
            yield f"{found.title}: selects the pods of {selected}"


def services_lead_to_open_ports(chart: Rendering) -> Iterator[str]:
    """A Service selects the pods of one Deployment, and its ports lead to ports that they open."""
    for found in chart.of("Service"):
        selector = found.spec.get("selector") or {}
        selected = [
            pod for pod in pods_of(chart.objects) if selector and matches({"matchLabels": selector}, pod.labels)
        ]
        if [pod.owner.kind for pod in selected] != ["Deployment"] or set(selector) != STABLE:
            yield f"{found.title}: selects {[pod.owner.title for pod in selected]} by {sorted(selector)}"
            continue
        yield from _ports_lead(found, selected[0])
        headless = found.spec.get("clusterIP") == "None"
        if selected[0].component != "gateway" and not headless:
            yield f"{found.title}: is not headless, so that a gRPC connection would keep to one pod"


def _ports_lead(found: Object, pod: Pod) -> Iterator[str]:
    opened = pod.ports()
    for port in found.spec["ports"]:
        target = port.get("targetPort", port["port"])
        if target not in opened and target not in opened.values():
            yield f"{found.title}: port {port['port']} leads to {target}, and its pods open {opened}"
        number = opened.get(target, target)
        if found.spec.get("clusterIP") == "None" and number != port["port"]:
            yield f"{found.title}: headless, so that callers use {port['port']} itself, and pods open {number}"


def what_is_named_is_there(chart: Rendering) -> Iterator[str]:
    """Whatever another object is named by is made by the chart, or its name stands in the values."""
    given = {str(value) for _, value in walk(chart.values)} | {str(key) for key in _keys(chart.values)}
    for found in chart.objects:
        for kind, name in references(found):
            if not chart.named(kind, name) and name not in given and name not in made_by_operators(chart, kind):
                yield f"{found.title}: names {kind}/{name}, which nobody makes"


def made_by_operators(chart: Rendering, kind: str) -> set[str]:
    """Names of what operators make of the chart's objects."""
    if kind == "Secret":
        certificates = {found.spec["secretName"] for found in chart.of("Certificate")}
        external = {found.spec.get("target", {}).get("name", found.name) for found in chart.of("ExternalSecret")}
        return certificates | external | {f"{found.name}-app" for found in chart.of("Cluster")}
    return {"default"} if kind == "ServiceAccount" else set()


def references(found: Object) -> Iterator[tuple[str, str]]:
    """The kinds and names of the objects that an object needs."""
    pod = pod_of(found)
    if pod:
        yield from pod_references(pod)
    if found.kind == "HorizontalPodAutoscaler":
        target = found.spec["scaleTargetRef"]
        yield target["kind"], target["name"]
    if found.kind == "Ingress":
        for path in (path for rule in found.spec["rules"] for path in rule["http"]["paths"]):
            yield "Service", path["backend"]["service"]["name"]


def pod_references(pod: Pod) -> Iterator[tuple[str, str]]:
    """What has to be there before a pod starts."""
    if account := pod.spec.get("serviceAccountName"):
        yield "ServiceAccount", account
    for secret in pod.spec.get("imagePullSecrets", []):
        yield "Secret", secret["name"]
    for volume in pod.spec.get("volumes", []):
        yield from _volume_references(volume)
    for container in pod.containers:
        for entry in container.get("env", []):
            for kind, where in entry.get("valueFrom", {}).items():
                if kind in ("secretKeyRef", "configMapKeyRef") and not where.get("optional"):
                    yield ("Secret" if kind == "secretKeyRef" else "ConfigMap"), where["name"]
        for source in container.get("envFrom", []):
            yield from (
                ("Secret" if kind == "secretRef" else "ConfigMap", source[kind]["name"])
                for kind in source
                if kind.endswith("Ref")
            )


def _volume_references(volume: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if claim := volume.get("persistentVolumeClaim"):
        yield "PersistentVolumeClaim", claim["claimName"]
    sources = [volume, *volume.get("projected", {}).get("sources", [])]
    for source in sources:
        if secret := source.get("secret"):
            yield "Secret", secret.get("secretName") or secret["name"]
        if config := source.get("configMap"):
            yield "ConfigMap", config["name"]


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, child in value.items():
            yield key
            yield from _keys(child)


def ingress_and_monitors_name_ports_of_services(chart: Rendering) -> Iterator[str]:
    """Ingresses lead to ports that Services have, for the hosts that certificates are for; monitors find theirs."""
    for found in chart.of("Ingress"):
        hosts = {rule.get("host") for rule in found.spec["rules"]}
        covered = {host for tls in found.spec.get("tls", []) for host in tls["hosts"]}
        if hosts != covered or None in hosts:
            yield f"{found.title}: serves {hosts} with certificates for {covered}"
        for path in (path for rule in found.spec["rules"] for path in rule["http"]["paths"]):
            service = chart.named("Service", path["backend"]["service"]["name"])
            wanted = path["backend"]["service"]["port"]
            if service and not any(
                wanted.get(key) == port.get("name" if key == "name" else "port")
                for port in service.spec["ports"]
                for key in wanted
            ):
                yield f"{found.title}: leads to {wanted} of {service.title}"
    for found in chart.of("ServiceMonitor"):
        services = [each for each in chart.of("Service") if matches(found.spec["selector"], each.labels)]
        for endpoint in found.spec["endpoints"]:
            without = [
                each.name for each in services if endpoint["port"] not in [port["name"] for port in each.spec["ports"]]
            ]
            if without or not services:
                yield f"{found.title}: looks for port {endpoint['port']} at {without or 'no Service'}"
    for found in chart.of("PodMonitor"):
        if database := found.spec["selector"].get("matchLabels", {}).get("cnpg.io/cluster"):
            if not chart.named("Cluster", database):
                yield f"{found.title}: watches the database {database}, which is none of ours"
            continue  # the operator makes its pods
        pods = [pod for pod in pods_of(chart.objects) if matches(found.spec["selector"], pod.labels)]
        for endpoint in found.spec["podMetricsEndpoints"]:
            lacking = [pod.owner.title for pod in pods if endpoint["port"] not in pod.ports()]
            if lacking or not pods:
                yield f"{found.title}: looks for port {endpoint['port']} at {lacking or 'no pod'}"


RULES = (
    names_are_valid_and_differ,
    labels_are_those_recommended,
    nothing_is_null,
    selectors_are_of_what_never_changes,
    services_lead_to_open_ports,
    what_is_named_is_there,
    ingress_and_monitors_name_ports_of_services,
)
