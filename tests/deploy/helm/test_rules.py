"""Each rule notices what it is there for: a good chart with one thing changed breaks it."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.support.helm.chart import Rendering, rendered
from tests.support.helm.objects import Object
from tests.support.helm.rules import RULES

Change = Callable[[Any], object]
Mutation = tuple[str, str, str, str, Change]  # rule, set, kind, component, what is done to that object


def pod(change: Change) -> Change:
    """A change of the pods that something starts."""
    return lambda found: change(found["spec"]["template"]["spec"])


def container(change: Change) -> Change:
    """A change of the first container."""
    return pod(lambda spec: change(spec["containers"][0]))


def job(change: Change) -> Change:
    """A change of the container of a CronJob."""
    return lambda found: container(change)(found["spec"]["jobTemplate"])


def variable(name: str, value: str) -> Change:
    """Another value for a variable, or one more variable."""

    def change(target: Any) -> None:
        others = [entry for entry in target["env"] if entry["name"] != name]
        target["env"] = [*others, {"name": name, "value": value}]

    return container(change)


def put(**entries: Any) -> Change:
    """Set keys."""
    return lambda target: target.update(entries)


def drop(key: str) -> Change:
    """Remove a key."""
    return lambda target: target.pop(key)


def spec(change: Change) -> Change:
    """A change of the object's spec."""
    return lambda found: change(found["spec"])


def probe(kind: str, **entries: Any) -> Change:
    """Another probe."""
    return container(lambda target: target.update({kind: entries}))


def rule_of(number: int, **entries: Any) -> Change:
    """Another ingress or egress rule of a policy, counted from 0; egress where `egress` says so."""
    way = entries.pop("way")
    return spec(lambda target: target[way].__setitem__(number, entries))


TWICE = {"name": "PORT", "value": "4000"}
MUTATIONS: list[Mutation] = [
    (
        "names_are_valid_and_differ",
        "defaults",
        "Service",
        "knowledge",
        lambda found: found["metadata"].update(name="a.b"),
    ),
    (
        "names_are_valid_and_differ",
        "defaults",
        "CronJob",
        "job-backup",
        lambda found: found["metadata"].update(name="a" * 53),
    ),
    (
        "names_are_valid_and_differ",
        "defaults",
        "Deployment",
        "gateway",
        lambda found: found["metadata"].update(namespace="x"),
    ),
    (
        "labels_are_those_recommended",
        "defaults",
        "Deployment",
        "gateway",
        lambda found: found["metadata"]["labels"].pop("app.kubernetes.io/instance"),
    ),
    (
        "labels_are_those_recommended",
        "defaults",
        "Deployment",
        "gateway",
        lambda found: found["spec"]["template"]["metadata"]["labels"].update(team="a b"),
    ),
    ("nothing_is_null", "defaults", "Deployment", "gateway", spec(put(minReadySeconds=None))),
    (
        "selectors_are_of_what_never_changes",
        "defaults",
        "Deployment",
        "gateway",
        lambda found: found["spec"]["selector"]["matchLabels"].update({"app.kubernetes.io/version": "0.1.0"}),
    ),
    (
        "selectors_are_of_what_never_changes",
        "defaults",
        "Deployment",
        "gateway",
        lambda found: found["spec"]["template"]["metadata"]["labels"].update(
            {"app.kubernetes.io/component": "knowledge"}
        ),
    ),
    (
        "services_lead_to_open_ports",
        "defaults",
        "Service",
        "knowledge",
        lambda found: found["spec"]["ports"][0].update(targetPort="http"),
    ),
    (
        "services_lead_to_open_ports",
        "defaults",
        "Service",
        "knowledge",
        lambda found: found["spec"]["ports"][0].update(port=50052),
    ),
    ("services_lead_to_open_ports", "defaults", "Service", "retrieval", spec(drop("clusterIP"))),
    ("what_is_named_is_there", "defaults", "Deployment", "gateway", pod(put(serviceAccountName="nobody"))),
    (
        "what_is_named_is_there",
        "own-skills.yaml",
        "ConfigMap",
        "gateway",
        lambda found: found["metadata"].update(name="other"),
    ),
    (
        "ingress_and_monitors_name_ports_of_services",
        "public.yaml",
        "Ingress",
        "gateway",
        lambda found: found["spec"]["tls"][0].update(hosts=["x"]),
    ),
    (
        "ingress_and_monitors_name_ports_of_services",
        "watched.yaml",
        "ServiceMonitor",
        "",
        lambda found: found["spec"]["endpoints"][0].update(port="http"),
    ),
    (
        "pods_are_restricted",
        "defaults",
        "Deployment",
        "gateway",
        pod(lambda spec: spec["securityContext"].update(runAsNonRoot=False)),
    ),
    (
        "pods_are_restricted",
        "defaults",
        "Job",
        "migrate",
        container(lambda each: each["securityContext"].update(readOnlyRootFilesystem=False)),
    ),
    ("pods_are_restricted", "defaults", "Deployment", "knowledge", pod(put(automountServiceAccountToken=True))),
    ("only_scratch_is_written", "defaults", "Deployment", "gateway", container(put(volumeMounts=[]))),
    (
        "only_scratch_is_written",
        "tls-inside.yaml",
        "Deployment",
        "gateway",
        container(lambda each: each["volumeMounts"][1].pop("readOnly")),
    ),
    ("resources_are_set", "defaults", "Job", "migrate", container(put(resources={}))),
    ("images_come_from_values", "defaults", "Deployment", "gateway", container(put(image="context-gateway:latest"))),
    ("open_ports_are_those_listened_on", "defaults", "Deployment", "knowledge", variable("LISTEN", "0.0.0.0:50052")),
    ("open_ports_are_those_listened_on", "defaults", "Deployment", "gateway", variable("HOST", "127.0.0.1")),
    (
        "probes_ask_what_the_service_answers",
        "defaults",
        "Deployment",
        "knowledge",
        probe("livenessProbe", grpc={"port": 50051, "service": "context.v1.KnowledgeService"}),
    ),
    (
        "probes_ask_what_the_service_answers",
        "defaults",
        "Deployment",
        "knowledge",
        probe("readinessProbe", grpc={"port": 50051}),
    ),
    (
        "probes_ask_what_the_service_answers",
        "defaults",
        "Deployment",
        "knowledge",
        probe("readinessProbe", grpc={"port": 50051, "service": "context.v1.Knowledge"}),
    ),
    (
        "probes_ask_what_the_service_answers",
        "defaults",
        "Deployment",
        "gateway",
        probe("livenessProbe", httpGet={"port": "http", "path": "/health"}),
    ),
    (
        "probes_ask_what_the_service_answers",
        "tls-inside.yaml",
        "Deployment",
        "embedding",
        probe("livenessProbe", grpc={"port": 50052}),
    ),
    ("there_is_time_to_end", "defaults", "Deployment", "gateway", pod(put(terminationGracePeriodSeconds=20))),
    ("there_is_time_to_end", "defaults", "Deployment", "gateway", variable("DRAIN", "0")),
    (
        "pods_are_spread",
        "defaults",
        "Deployment",
        "gateway",
        pod(lambda spec: spec["topologySpreadConstraints"][0].update(labelSelector={})),
    ),
    ("services_start_with_their_settings", "defaults", "Deployment", "retrieval", variable("INDEXER", "2")),
    ("services_start_with_their_settings", "defaults", "Deployment", "retrieval", variable("INDEXERS", "many")),
    ("services_start_with_their_settings", "defaults", "Deployment", "gateway", variable("APP_ENV", "dev")),
    ("services_start_with_their_settings", "defaults", "Deployment", "knowledge", variable("DATABASE_URL", "")),
    (
        "certificates_are_for_the_names_called",
        "tls-cert-manager.yaml",
        "Certificate",
        "embedding",
        lambda found: found["spec"].update(dnsNames=["localhost"]),
    ),
    (
        "jobs_work_with_their_settings",
        "defaults",
        "CronJob",
        "job-backup",
        job(put(args=["back"])),
    ),
    ("jobs_work_with_their_settings", "defaults", "CronJob", "job-backup", job(lambda each: each["env"].append(TWICE))),
    ("jobs_work_with_their_settings", "defaults", "Job", "migrate", container(put(env=[]))),
    (
        "files_that_are_named_are_mounted",
        "defaults",
        "Deployment",
        "knowledge",
        variable("REDIS_URL_FILE", "/run/secrets/redis"),
    ),
    ("variables_stand_once", "defaults", "Deployment", "gateway", container(lambda each: each["env"].append(TWICE))),
    ("secrets_stay_in_secrets", "defaults", "Deployment", "gateway", variable("SECRET_KEY_BASE", "plain")),
    (
        "secrets_stay_in_secrets",
        "defaults",
        "Deployment",
        "knowledge",
        container(put(args=["--url", "$(DATABASE_URL)"])),
    ),
    (
        "secrets_stay_in_secrets",
        "defaults",
        "Deployment",
        "embedding",
        variable("REDIS", "redis://:hunter2@redis:6379/0"),
    ),
    (
        "addresses_are_those_of_services",
        "defaults",
        "Deployment",
        "gateway",
        variable("KNOWLEDGE_ADDR", "dns:///prod-context-knowledge:50052"),
    ),
    (
        "addresses_are_those_of_services",
        "defaults",
        "Deployment",
        "gateway",
        variable("KNOWLEDGE_ADDR", "dns:///prod-context-retrieval:50053"),
    ),
    ("addresses_are_those_of_services", "defaults", "Deployment", "retrieval", variable("EMBEDDING_ADDR", "")),
    (
        "keys_of_secrets_are_in_the_values",
        "defaults",
        "Deployment",
        "knowledge",
        container(lambda each: each["env"][2]["valueFrom"]["secretKeyRef"].update(key="unheard-of")),
    ),
    ("one_hand_sets_replicas", "defaults", "Deployment", "gateway", spec(put(replicas=2))),
    (
        "one_hand_sets_replicas",
        "defaults",
        "HorizontalPodAutoscaler",
        "gateway",
        lambda found: found["spec"]["scaleTargetRef"].update(name="other"),
    ),
    ("autoscalers_can_decide", "defaults", "HorizontalPodAutoscaler", "gateway", spec(put(maxReplicas=1))),
    ("autoscalers_can_decide", "defaults", "Deployment", "gateway", container(put(resources={"requests": {}}))),
    (
        "budgets_hold_nobody_up",
        "defaults",
        "PodDisruptionBudget",
        "gateway",
        lambda found: found.update(spec={"minAvailable": 2, "selector": found["spec"]["selector"]}),
    ),
    ("budgets_hold_nobody_up", "defaults", "PodDisruptionBudget", "gateway", spec(put(minAvailable=1))),
    (
        "budgets_hold_nobody_up",
        "defaults",
        "PodDisruptionBudget",
        "gateway",
        spec(put(selector={"matchLabels": {"a": "b"}})),
    ),
    ("rolling_out_takes_nothing_away", "defaults", "Deployment", "gateway", spec(put(strategy={"type": "Recreate"}))),
    ("the_database_has_connections_for_all", "values-ha.yaml", "Deployment", "retrieval", variable("POOL_SIZE", "90")),
    (
        "the_database_has_connections_for_all",
        "values-ha.yaml",
        "Deployment",
        "retrieval",
        variable("REPLICA_POOL_SIZE", "90"),
    ),
    ("policies_are_the_call_graph", "defaults", "NetworkPolicy", "knowledge", rule_of(0, way="ingress")),
    (
        "policies_are_the_call_graph",
        "defaults",
        "NetworkPolicy",
        "gateway",
        rule_of(1, way="egress", ports=[{"port": 50052}]),
    ),
    ("policies_are_the_call_graph", "defaults", "NetworkPolicy", "retrieval", spec(put(egress=[]))),
    ("policies_are_the_call_graph", "defaults", "NetworkPolicy", "test", spec(put(policyTypes=["Ingress"]))),
    (
        "policies_are_the_call_graph",
        "defaults",
        "Deployment",
        "embedding",
        variable("KNOWLEDGE_ADDR", "dns:///prod-context-knowledge:50051"),
    ),
    ("hooks_find_what_they_need", "defaults", "Job", "migrate", pod(put(serviceAccountName="prod-context"))),
    (
        "migrations_run_before_what_needs_them",
        "defaults",
        "Job",
        "migrate",
        lambda found: found["metadata"]["annotations"].pop("helm.sh/hook"),
    ),
    ("migrations_run_before_what_needs_them", "defaults", "Job", "migrate", pod(drop("initContainers"))),
    ("jobs_end", "defaults", "Job", "migrate", spec(drop("activeDeadlineSeconds"))),
    ("jobs_end", "defaults", "CronJob", "job-backup", spec(put(concurrencyPolicy="Allow"))),
    ("schedules_do_not_meet", "defaults", "CronJob", "job-backup", spec(put(schedule="30 4 * * 0"))),
    ("tests_are_tests", "defaults", "Pod", "test", lambda found: found["metadata"]["annotations"].clear()),
]


def mutated(chart: Rendering, kind: str, component: str, change: Change) -> Rendering:
    """The chart with a change to the first object of a kind and component."""
    objects: list[Object] = copy.deepcopy(list(chart.objects))
    change(next(found for found in objects if found.kind == kind and found.component == component))
    return replace(chart, objects=tuple(objects))


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: f"{mutation[0]}-{mutation[2]}-{mutation[3]}")
def test_the_rule_notices(mutation: Mutation) -> None:
    name, values, kind, component, change = mutation
    [rule] = [rule for rule in RULES if rule.__name__ == name]
    assert list(rule(mutated(rendered(values), kind, component, change)))


def test_every_rule_is_tried() -> None:
    assert {rule.__name__ for rule in RULES} == {name for name, *_ in MUTATIONS}
