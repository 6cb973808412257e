"""Rules for how many pods there are: autoscalers, disruption budgets, and what the database has connections for."""

from collections.abc import Iterator, Mapping
from typing import Any

from tests.support.helm.chart import Rendering
from tests.support.helm.environ import environment
from tests.support.helm.objects import Object, matches, pod_of
from tests.support.helm.rules.pods import servers

BESIDE = 1  # connections of one process beside each pool: it listens for notifications, and follows a replica


def autoscaler(chart: Rendering, deployment: Object) -> Object | None:
    """What decides how many pods a Deployment has."""
    wanted = {"apiVersion": deployment["apiVersion"], "kind": deployment.kind, "name": deployment.name}
    return next((each for each in chart.of("HorizontalPodAutoscaler") if each.spec["scaleTargetRef"] == wanted), None)


def fewest_and_most(chart: Rendering, deployment: Object) -> tuple[int, int]:
    """Between how many pods a Deployment has."""
    scaler = autoscaler(chart, deployment)
    if scaler:
        return scaler.spec["minReplicas"], scaler.spec["maxReplicas"]
    return deployment.spec["replicas"], deployment.spec["replicas"]


def one_hand_sets_replicas(chart: Rendering) -> Iterator[str]:
    """A Deployment has a number of pods or an autoscaler, which an upgrade would set back otherwise."""
    scaled = [autoscaler(chart, found) for found in chart.of("Deployment")]
    for found, scaler in zip(chart.of("Deployment"), scaled, strict=True):
        if bool(scaler) == ("replicas" in found.spec):
            yield f"{found.title}: has an autoscaler: {bool(scaler)}, and replicas: {found.spec.get('replicas')}"
        if scaler and scaler.component != found.component:
            yield f"{scaler.title}: scales {found.title}"
    for stray in chart.of("HorizontalPodAutoscaler"):
        if stray not in scaled:
            yield f"{stray.title}: scales {stray.spec['scaleTargetRef']}, which is not there"


def autoscalers_can_decide(chart: Rendering) -> Iterator[str]:
    """The fewest are not more than the most, and what utilization is measured of is requested."""
    for scaler in chart.of("HorizontalPodAutoscaler"):
        least, most = scaler.spec["minReplicas"], scaler.spec["maxReplicas"]
        if not 1 <= least <= most:
            yield f"{scaler.title}: from {least} to {most}"
        [pod] = [pod for pod in servers(chart) if pod.owner.name == scaler.spec["scaleTargetRef"]["name"]]
        if not scaler.spec.get("metrics"):
            yield f"{scaler.title}: looks at nothing"
        for metric in scaler.spec.get("metrics", []):
            yield from (f"{scaler.title}: {why}" for why in _unmeasured(metric, pod.component, pod.main))


def _unmeasured(metric: Mapping[str, Any], component: str, container: Mapping[str, Any]) -> Iterator[str]:
    if metric["type"] != "Resource":
        return
    name = metric["resource"]["name"]
    if name not in container["resources"]["requests"]:
        yield f"measures {name}, of which nothing is requested"
    if name == "memory" and component == "embedding":
        yield "memory holds the model at any load, so that this only ever adds pods"


def budgets_hold_nobody_up(chart: Rendering) -> Iterator[str]:
    """A budget is for the pods of one service, of which there are several, and always lets one of them go."""
    guarded = []
    for budget in chart.of("PodDisruptionBudget"):
        found = [each for each in chart.of("Deployment") if matches(budget.spec["selector"], _labels(each))]
        if len(found) != 1:
            yield f"{budget.title}: is for {[each.title for each in found]}"
            continue
        guarded.append(found[0])
        least, most = fewest_and_most(chart, found[0])
        if len({"minAvailable", "maxUnavailable"} & budget.spec.keys()) != 1:
            yield f"{budget.title}: says both or nothing"
        elif most < 2 or not _may_go(budget.spec, least):
            yield f"{budget.title}: of {least} pods none may go"
    for deployment in chart.of("Deployment"):
        wanted = chart.values[deployment.component]["podDisruptionBudget"]["enabled"]
        if fewest_and_most(chart, deployment)[0] > 1 and wanted and deployment not in guarded:
            yield f"{deployment.title}: all its pods may go at once"


def _labels(deployment: Object) -> Mapping[str, str]:
    pod = pod_of(deployment)
    return pod.labels if pod else {}


def _may_go(spec: Mapping[str, Any], least: int) -> bool:
    if "minAvailable" in spec:
        return _share(spec["minAvailable"], least) < least
    return _share(spec["maxUnavailable"], least) >= 1


def _share(value: int | str, whole: int) -> int:
    """A number of pods, of which a percentage is rounded up as Kubernetes does."""
    return -(-whole * int(value.rstrip("%")) // 100) if isinstance(value, str) else value


def rolling_out_takes_nothing_away(chart: Rendering) -> Iterator[str]:
    """A new version's pods are ready before old ones go."""
    for found in chart.of("Deployment"):
        strategy = found.spec.get("strategy", {})
        rolling = strategy.get("rollingUpdate", {})
        if strategy.get("type", "RollingUpdate") != "RollingUpdate" or rolling.get("maxUnavailable") not in (0, "0%"):
            yield f"{found.title}: {strategy}"


def connections(chart: Rendering) -> tuple[int, int]:
    """Most connections that the services have to the primary and to one replica.

    That is with every autoscaler at its end and one rolled out.
    """
    primary = replica = 0
    for pod in servers(chart):
        environ = environment(chart, pod, pod.main)
        if "POOL_SIZE" in environ:
            most = fewest_and_most(chart, pod.owner)[1]
            pods = most + _share(pod.owner.spec["strategy"]["rollingUpdate"]["maxSurge"], most)
            primary += pods * (int(environ["POOL_SIZE"]) + BESIDE)
            if "DATABASE_REPLICA_1_URL" in environ:  # what replicas have is compared with the primary, over one more
                primary += pods
                replica += pods * (int(environ["REPLICA_POOL_SIZE"]) + BESIDE)
    return primary, replica


def the_database_has_connections_for_all(chart: Rendering) -> Iterator[str]:
    """Pools times pods, and what is reserved, stay below the server's limit where that is known."""
    database = chart.values["database"]
    limit = database["maxConnections"]
    if database["cluster"]["enabled"]:
        limit = int(database["cluster"]["parameters"]["max_connections"])
    for taken in connections(chart):
        if limit and taken + database["reservedConnections"] > limit:
            yield f"the services take {taken} connections of {limit}"


RULES = (
    one_hand_sets_replicas,
    autoscalers_can_decide,
    budgets_hold_nobody_up,
    rolling_out_takes_nothing_away,
    the_database_has_connections_for_all,
)
