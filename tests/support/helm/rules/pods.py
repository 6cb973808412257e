"""Rules for pods: restricted security, resources, probes that are true, and an end that waits for the drain."""

from collections.abc import Iterator, Mapping
from typing import Any

from tests.support.helm import code
from tests.support.helm.chart import Rendering, metadata
from tests.support.helm.environ import environment
from tests.support.helm.objects import Pod, pods_of

GRACE = 10.0  # seconds that a server gives to calls under way after its drain
HARMLESS = {"configMap", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
ANY_ADDRESS = ("0.0.0.0", "::", "[::]")  # noqa: S104 - what is looked for
SLOWEST_PROBE = 3  # seconds: a probe that starts Python takes one of them on a busy node


def servers(chart: Rendering) -> Iterator[Pod]:
    """The pods of the four services."""
    yield from (pod for pod in pods_of(chart.objects) if pod.owner.kind == "Deployment")


def pods_are_restricted(chart: Rendering) -> Iterator[str]:
    """The level `restricted` of the pod security standards, and a root file system that nobody writes."""
    for pod in pods_of(chart.objects):
        title, spec = pod.owner.title, pod.spec
        outer = spec.get("securityContext", {})
        if outer.get("runAsNonRoot") is not True or outer.get("runAsUser", 1) == 0:
            yield f"{title}: may run as root"
        if outer.get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield f"{title}: any system call is allowed"
        if spec.get("automountServiceAccountToken") is not False:
            yield f"{title}: gets a token for Kubernetes"
        if spec.get("enableServiceLinks") is not False:
            yield f"{title}: gets a variable for every Service around it"
        if shared := {"hostNetwork", "hostPID", "hostIPC"} & spec.keys():
            yield f"{title}: shares {sorted(shared)}"
        for volume in spec.get("volumes", []):
            if strange := volume.keys() - HARMLESS - {"name"}:
                yield f"{title}: mounts {sorted(strange)}"
        yield from (f"{title}/{each['name']}: {why}" for each in pod.containers for why in _unrestricted(each))


def _unrestricted(container: Mapping[str, Any]) -> Iterator[str]:
    inner = container.get("securityContext", {})
    if inner.get("allowPrivilegeEscalation") is not False:
        yield "may get more rights than it started with"
    if inner.get("capabilities") != {"drop": ["ALL"]}:
        yield "keeps capabilities"
    if inner.get("readOnlyRootFilesystem") is not True:
        yield "may write its image"
    if inner.get("privileged") or inner.get("runAsUser", 1) == 0 or inner.get("runAsNonRoot") is False:
        yield "is privileged"
    if any("hostPort" in port for port in container.get("ports", [])):
        yield "opens a port of its node"


def only_scratch_is_written(chart: Rendering) -> Iterator[str]:
    """Each pod has a /tmp of its own, of bounded size; all else but volumes of backups is read only."""
    for pod in pods_of(chart.objects):
        volumes = {volume["name"]: volume for volume in pod.spec.get("volumes", [])}
        used = {mount["name"] for container in pod.containers for mount in container.get("volumeMounts", [])}
        if used != volumes.keys():
            yield f"{pod.owner.title}: has the volumes {sorted(volumes)} and mounts {sorted(used)}"
            continue
        for container in pod.containers:
            mounts = container.get("volumeMounts", [])
            scratch = [mount for mount in mounts if "emptyDir" in volumes[mount["name"]]]
            if pod.component != "test" and "/tmp" not in [mount["mountPath"] for mount in scratch]:  # noqa: S108 - that of a container
                yield f"{pod.owner.title}/{container['name']}: has no /tmp to write to"
            if any("sizeLimit" not in (volumes[mount["name"]]["emptyDir"] or {}) for mount in scratch):
                yield f"{pod.owner.title}/{container['name']}: may fill its node"
            for mount in mounts:
                source = volumes[mount["name"]]
                if "emptyDir" not in source and "persistentVolumeClaim" not in source and not mount.get("readOnly"):
                    yield f"{pod.owner.title}/{container['name']}: {mount['mountPath']} is not read only"
            paths = [mount["mountPath"] for mount in mounts]
            if len(set(paths)) != len(paths):
                yield f"{pod.owner.title}/{container['name']}: mounts one path twice: {paths}"


def resources_are_set(chart: Rendering) -> Iterator[str]:
    """The scheduler knows what every container takes, and none takes its node's memory."""
    for pod in pods_of(chart.objects):
        for container in pod.containers:
            resources = container.get("resources") or {}
            have = {f"requests.{name}" for name in resources.get("requests") or {}}
            have |= {f"limits.{name}" for name in resources.get("limits") or {}}
            if missing := {"requests.cpu", "requests.memory", "limits.memory"} - have:
                yield f"{pod.owner.title}/{container['name']}: without {sorted(missing)}"


def images_come_from_values(chart: Rendering) -> Iterator[str]:
    """Images are those of the values, in the version that the chart is made for unless values say otherwise."""
    for pod in pods_of(chart.objects):
        for container in pod.containers:
            allowed = set(_images(chart.values))
            if container["image"] not in allowed:
                yield f"{pod.owner.title}/{container['name']}: {container['image']} is not of {sorted(allowed)}"
            if container["image"].endswith(":latest") or container.get("imagePullPolicy") is None:
                yield f"{pod.owner.title}/{container['name']}: its version depends on the day"


def _images(values: Mapping[str, Any]) -> Iterator[str]:
    common = values["image"]
    prefix = f"{common['registry'].rstrip('/')}/" if common["registry"] else ""
    for section in values.values():
        if isinstance(section, Mapping) and isinstance(section.get("image"), Mapping):
            image = section["image"]
            tag = image["tag"] or common["tag"] or metadata()["appVersion"]
            yield f"{prefix}{image['repository']}" + (f"@{image['digest']}" if image["digest"] else f":{tag}")


def open_ports_are_those_listened_on(chart: Rendering) -> Iterator[str]:
    """Containers open the ports that their settings listen on, on every address of the pod."""
    for pod in servers(chart):
        environ = environment(chart, pod, pod.main)
        listening = {name: listen.rpartition(":") for name, listen in listens(pod, environ).items()}
        if set(pod.ports().values()) != {int(port) for _, _, port in listening.values()}:
            yield f"{pod.owner.title}: opens {pod.ports()} and listens on {listens(pod, environ)}"
        if narrow := [name for name, (host, _, _) in listening.items() if host not in ANY_ADDRESS]:
            yield f"{pod.owner.title}: {narrow} listen where no other pod reaches them"
        if any(len(name) > 15 for name in pod.ports()):
            yield f"{pod.owner.title}: a port's name may have 15 characters: {pod.ports()}"


def listens(pod: Pod, environ: Mapping[str, str]) -> dict[str, str]:
    """Where a service listens, by what of its environment says so; a rule of its own is that its code reads that."""
    metrics = {"METRICS_LISTEN": environ["METRICS_LISTEN"]}
    if pod.component == "gateway":
        return {**metrics, "HOST": f"{environ['HOST']}:{environ['PORT']}"}
    return {**metrics, "LISTEN": environ["LISTEN"]}


def probes_ask_what_the_service_answers(chart: Rendering) -> Iterator[str]:
    """Liveness asks for the process only, readiness for a service that its code registers, on a port that it opens."""
    for pod in servers(chart):
        container = pod.main
        if missing := {"livenessProbe", "readinessProbe"} - container.keys():
            yield f"{pod.owner.title}: without {sorted(missing)}"
        for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
            if probe := container.get(kind):
                yield from (f"{pod.owner.title}: {kind} {why}" for why in _untrue(chart, pod, kind, probe))
    for pod in pods_of(chart.objects):
        if pod.owner.kind != "Deployment" and any(key.endswith("Probe") for each in pod.containers for key in each):
            yield f"{pod.owner.title}: a probe at something that ends"


def _untrue(chart: Rendering, pod: Pod, kind: str, probe: Mapping[str, Any]) -> Iterator[str]:
    """What a probe asks that is not so."""
    ready = kind == "readinessProbe"
    encrypted = "TLS_CERT_FILE" in environment(chart, pod, pod.main)
    if http := probe.get("httpGet"):
        if http["path"] not in code.OPEN_PATHS or http["path"] != ("/readyz" if ready else "/livez"):
            yield f"asks for {http['path']}"
        if http["port"] not in pod.ports() and http["port"] not in pod.ports().values():
            yield f"asks port {http['port']}"
    elif grpc := probe.get("grpc"):
        if encrypted:
            yield "is the kubelet's own, which has no certificate"
        if grpc["port"] != pod.ports()["grpc"]:
            yield f"asks port {grpc['port']}"
        yield from _unregistered(pod, grpc.get("service", ""), ready=ready)
    elif command := probe.get("exec", {}).get("command"):
        if command[1:3] != ["-m", "context_common.probe"] and command[0] != "context-probe":
            yield f"runs {command}"
        named = command[command.index("--service") + 1] if "--service" in command else ""
        yield from _unregistered(pod, named, ready=ready)
        if probe.get("timeoutSeconds", 1) < SLOWEST_PROBE:
            yield "gives a program that has to start no time"
    else:
        yield f"asks nothing: {dict(probe)}"
    if kind == "livenessProbe" and probe.get("failureThreshold", 3) < 3:
        yield "restarts at the first doubt"


def _unregistered(pod: Pod, service: str, *, ready: bool) -> Iterator[str]:
    if ready and service not in code.REGISTERED[pod.component]:
        yield f"asks for {service!r}, which is none of {code.REGISTERED[pod.component]}"
    if not ready and service:
        yield f"asks for {service}, which fails with what the service needs"


def there_is_time_to_end(chart: Rendering) -> Iterator[str]:
    """The kubelet kills no sooner than the process has drained and finished its calls."""
    for pod in servers(chart):
        drain = float(environment(chart, pod, pod.main).get("DRAIN", "0"))
        before = pod.main.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        given = pod.spec.get("terminationGracePeriodSeconds", 30)
        if given <= drain + GRACE + before:
            yield f"{pod.owner.title}: has {given} s to drain {drain} s and to finish within {GRACE} s"
        if drain <= 0 and not before:
            yield f"{pod.owner.title}: closes before anybody has noticed"


def pods_are_spread(chart: Rendering) -> Iterator[str]:
    """Spreading counts the pods of the service itself, or it would spread nothing."""
    for pod in servers(chart):
        for constraint in pod.spec.get("topologySpreadConstraints", []):
            if constraint["labelSelector"] != pod.owner.spec["selector"]:
                yield f"{pod.owner.title}: is spread by the pods of {constraint['labelSelector']}"


RULES = (
    pods_are_restricted,
    only_scratch_is_written,
    resources_are_set,
    images_come_from_values,
    open_ports_are_those_listened_on,
    probes_ask_what_the_service_answers,
    there_is_time_to_end,
    pods_are_spread,
)
