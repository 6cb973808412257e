"""Rules for what containers are told: settings that the code reads and starts with, and no secret in plain sight."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from context_client.errors import CommandFailed
from context_common.settings import SettingsError
from tests.support.helm import code
from tests.support.helm.chart import Rendering, walk
from tests.support.helm.environ import environment
from tests.support.helm.objects import Pod, pods_of
from tests.support.helm.rules.pods import servers

PASSWORD = re.compile(r"://[^/\s:@]*:[^@\s$(]+@")
FILES = ("TLS_CERT_FILE", "TLS_KEY_FILE", "TLS_CA_FILE", "DATABASE_CA_CERT")
ADDRESS = re.compile(r"dns:///(?P<name>[a-z0-9-]+)(\.[a-z0-9.-]+)?:(?P<port>\d+)")


def services_start_with_their_settings(chart: Rendering) -> Iterator[str]:
    """Each service's own Settings take the environment, in prod, and read every name in it."""
    for pod in servers(chart):
        environ = environment(chart, pod, pod.main)
        try:
            _, asked = code.settings(pod.component, without_files(environ))
        except SettingsError as error:
            yield f"{pod.owner.title}: would not start: {error}"
            continue
        if environ.get("APP_ENV") != "prod":
            yield f"{pod.owner.title}: does not run as prod"
        if unread := environ.keys() - asked - set(FILES):
            yield f"{pod.owner.title}: nobody reads {sorted(unread)}"


def jobs_work_with_their_settings(chart: Rendering) -> Iterator[str]:
    """Jobs run commands that there are, and every name that they are told is one that those commands read."""
    for pod in pods_of(chart.objects):
        for container in pod.containers if pod.owner.kind in ("Job", "CronJob") else ():
            title = f"{pod.owner.title}/{container['name']}"
            environ = without_files(environment(chart, pod, container))
            program = code.program_of(container["image"])
            if not code.has_command(program, tuple(container.get("args", []))):
                yield f"{title}: {program} has no command {container.get('args')}"
            try:
                _, asked = code.settings(program, environ)
            except (SettingsError, CommandFailed) as error:
                yield f"{title}: would not start: {error}"
                continue
            if unread := environ.keys() - asked:
                yield f"{title}: nobody reads {sorted(unread)}"


def certificates_are_for_the_names_called(chart: Rendering) -> Iterator[str]:
    """A service's certificate names the host by which its callers address it."""
    named = {found.component: found.spec["dnsNames"] for found in chart.of("Certificate")}
    for pod in servers(chart) if named else ():
        environ = environment(chart, pod, pod.main)
        for callee in code.callees(pod.component):
            address = environ[f"{callee.upper()}_ADDR"].removeprefix("dns:///")
            if address.rpartition(":")[0] not in named.get(callee, []):
                yield f"Certificate of {callee}: is for {named.get(callee)}, and {pod.owner.title} calls {address}"


def without_files(environ: Mapping[str, str]) -> dict[str, str]:
    """Without the names of files that only a running pod has."""
    return {name: value for name, value in environ.items() if name not in FILES}


def files_that_are_named_are_mounted(chart: Rendering) -> Iterator[str]:
    """A variable that names a file names one that a volume brings."""
    for pod in pods_of(chart.objects):
        for container in pod.containers:
            mounts = [mount["mountPath"].rstrip("/") for mount in container.get("volumeMounts", [])]
            for name, value in environment(chart, pod, container).items():
                if (name.endswith("_FILE") or name in FILES) and not any(
                    value.startswith(f"{path}/") for path in mounts
                ):
                    yield f"{pod.owner.title}/{container['name']}: {name}={value} is in none of {mounts}"


def variables_stand_once(chart: Rendering) -> Iterator[str]:
    """Of two values for a name one would win, and not the same one in every tool."""
    for pod in pods_of(chart.objects):
        for container in pod.containers:
            names = Counter(entry["name"] for entry in container.get("env", []))
            twice = sorted(name for name, times in names.items() if times > 1)
            if twice:
                yield f"{pod.owner.title}/{container['name']}: {twice} stand twice"


def secrets_stay_in_secrets(chart: Rendering) -> Iterator[str]:
    """What is secret comes from a Secret: it stands in no object that the chart makes, and in no command line."""
    for pod in pods_of(chart.objects):
        for container in pod.containers:
            yield from (f"{pod.owner.title}/{container['name']}: {why}" for why in _shown(container))
    for found in chart.objects:
        for path, value in walk(found):
            if isinstance(value, str) and PASSWORD.search(value):
                yield f"{found.title}: {path} has a password in it"
        if found.kind == "Secret":
            yield f"{found.title}: its contents stand in the release and in whatever renders it"
        if found.kind == "ConfigMap":
            yield from (f"{found.title}: {key} is secret" for key in code.secrets() & found.get("data", {}).keys())


def _shown(container: Mapping[str, Any]) -> Iterator[str]:
    secret = {entry["name"] for entry in container.get("env", []) if "secretKeyRef" in entry.get("valueFrom", {})}
    for entry in container.get("env", []):
        if entry["name"] in code.secrets() and entry.get("value"):
            yield f"{entry['name']} is in plain sight"
        if expanded := [name for name in secret if f"$({name})" in str(entry.get("value"))]:
            yield f"{entry['name']} is put together from {expanded}"
    words = [*container.get("command", []), *container.get("args", [])]
    if told := [name for name in secret if any(f"$({name})" in word for word in words)]:
        yield f"{told} can be read in its list of processes"


def addresses_are_those_of_services(chart: Rendering) -> Iterator[str]:
    """Whom the code of a service calls, the chart gives it the address of: that Service, and the port it listens on."""
    for pod in servers(chart):
        environ = environment(chart, pod, pod.main)
        for callee in code.callees(pod.component):
            address = environ.get(f"{callee.upper()}_ADDR", "")
            found = ADDRESS.fullmatch(address)
            service = chart.named("Service", found["name"]) if found else None
            if not found or not service or service.component != callee:
                yield f"{pod.owner.title}: {callee} is not at {address!r}"
            elif int(found["port"]) not in [port["port"] for port in service.spec["ports"] if port["name"] == "grpc"]:
                yield f"{pod.owner.title}: {callee} does not listen on {found['port']}"


def keys_of_secrets_are_in_the_values(chart: Rendering) -> Iterator[str]:
    """Every key of a Secret that a pod takes is one that the values name, so that who makes the Secret knows of it."""
    given = {str(value) for _, value in walk(chart.values)}
    for pod in pods_of(chart.objects):
        for secret, key in secret_keys(pod):
            operators = any(found.name == secret.removesuffix("-app") for found in chart.of("Cluster"))
            if key not in given and not operators:
                yield f"{pod.owner.title}: takes {key} of {secret}, of which the values say nothing"


def secret_keys(pod: Pod) -> Iterator[tuple[str, str]]:
    """The names and keys of Secrets that become variables of a pod."""
    for container in pod.containers:
        for entry in container.get("env", []):
            if where := entry.get("valueFrom", {}).get("secretKeyRef"):
                yield where["name"], where["key"]


RULES = (
    services_start_with_their_settings,
    jobs_work_with_their_settings,
    certificates_are_for_the_names_called,
    files_that_are_named_are_mounted,
    variables_stand_once,
    secrets_stay_in_secrets,
    addresses_are_those_of_services,
    keys_of_secrets_are_in_the_values,
)
