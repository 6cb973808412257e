"""Rules for what Helm runs by itself, and for jobs: everything a hook needs is there when it runs."""

from collections.abc import Iterator

from tests.support.helm.chart import Rendering
from tests.support.helm.objects import Object, pod_of, pods_of
from tests.support.helm.rules.things import references

DELETED = "helm.sh/hook-delete-policy"


def hooks_find_what_they_need(chart: Rendering) -> Iterator[str]:
    """What a hook names exists already: it is nobody's of this release, or a hook that comes earlier.

    Of an upgrade, only a database may have been made by the release before: all else may be new, or another by now.
    """
    when = "pre-upgrade" if chart.upgrade else "pre-install"
    for found in chart.objects:
        for kind, name in references(found) if when in found.hooks else ():
            needed = maker(chart, kind, name)
            stood = needed is None or (chart.upgrade and needed.kind == "Cluster")
            if needed and not stood and not (when in needed.hooks and needed.weight < found.weight):
                yield f"{found.title}: needs {kind}/{name} at {when}, when {needed.title} is not there yet"


def maker(chart: Rendering, kind: str, name: str) -> Object | None:
    """The object of the chart that is the one named, or that an operator makes it of."""
    if found := chart.named(kind, name):
        return found
    if kind != "Secret":
        return None
    made = [found for found in chart.of("Certificate") if found.spec["secretName"] == name]
    made += [each for each in chart.of("ExternalSecret") if each.spec.get("target", {}).get("name", each.name) == name]
    made += [found for found in chart.of("Cluster") if name in (f"{found.name}-app", f"{found.name}-ca")]
    return made[0] if made else None


def migrations_run_before_what_needs_them(chart: Rendering) -> Iterator[str]:
    """The schema is new before new pods are, at installs and at upgrades, and a later try starts afresh."""
    if not chart.values["migrations"]["enabled"]:
        return
    jobs = [found for found in chart.of("Job") if found.component == "migrate"]
    if len(jobs) != 1:
        yield f"{len(jobs)} jobs migrate"
        return
    [job] = jobs
    own = bool(chart.of("Cluster")) and not chart.upgrade  # a database that this installation makes first
    if bool(job.hooks) == own or (job.hooks and not {"pre-install", "pre-upgrade"} <= set(job.hooks)):
        yield f"{job.title}: runs at {job.hooks}"
    pod = pod_of(job)
    done = [container["name"] for container in pod.containers] if pod else []
    if {"knowledge", "retrieval"} - {name.removeprefix("migrate-") for name in done}:
        yield f"{job.title}: migrates {done}"


def jobs_end(chart: Rendering) -> Iterator[str]:
    """A job is ended when it takes too long or fails too often, and does not stay for ever."""
    for found in chart.of("Job", "CronJob"):
        spec = found.spec["jobTemplate"]["spec"] if found.kind == "CronJob" else found.spec
        if "backoffLimit" not in spec:
            yield f"{found.title}: is tried as often as Kubernetes likes"
        if found.hooks and "activeDeadlineSeconds" not in spec:
            yield f"{found.title}: holds a release up for ever"
        if found.hooks and "before-hook-creation" not in found.annotations.get(DELETED, ""):
            yield f"{found.title}: stands in its own way the next time"
    for found in chart.of("CronJob"):
        if found.spec.get("concurrencyPolicy") != "Forbid":
            yield f"{found.title}: runs beside itself"
        if not {"successfulJobsHistoryLimit", "failedJobsHistoryLimit"} <= found.spec.keys():
            yield f"{found.title}: leaves its pods"
    for pod in pods_of(chart.objects):
        if pod.owner.kind != "Deployment" and pod.spec.get("restartPolicy") not in ("Never", "OnFailure"):
            yield f"{pod.owner.title}: is started again when it is done"


def schedules_do_not_meet(chart: Rendering) -> Iterator[str]:
    """Jobs that load the database begin at times of their own."""
    times = [found.spec["schedule"] for found in chart.of("CronJob")]
    if len(set(times)) != len(times):
        yield f"two of the jobs begin together: {sorted(times)}"


def tests_are_tests(chart: Rendering) -> Iterator[str]:
    """`helm test` has something to run, and an installation leaves it alone."""
    if not [found for found in chart.objects if found.hooks == ("test",) and pod_of(found)]:
        yield "there is nothing for `helm test`"


RULES = (
    hooks_find_what_they_need,
    migrations_run_before_what_needs_them,
    jobs_end,
    schedules_do_not_meet,
    tests_are_tests,
)
