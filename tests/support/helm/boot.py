"""Runs the containers of a rendered chart as processes of this machine, and does to them what a kubelet does.

Each pod has a loopback address of its own and keeps its ports; names of Services become those addresses. What a pod
mounts lies in a directory of its own, which stands in its environment in place of the path. As root, processes run as
somebody who may write nowhere else.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from random import SystemRandom
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.support.helm.chart import Rendering
from tests.support.helm.environ import Secret, environment, expand
from tests.support.helm.images import image
from tests.support.helm.objects import Object, Pod, matches, pod_of, pods_of

STARTS_WITHIN = 60.0  # seconds
ASKS_WITHIN = 10.0  # seconds that a probe may take here, whatever it is given there
NOBODY = "nobody"  # in place of the images' own user
READER = "+dac_read_search"  # the code may lie where only we could read it
AS_NOBODY = (
    "setpriv",
    f"--reuid={NOBODY}",
    "--regid=65534",
    "--clear-groups",
    f"--inh-caps={READER}",
    f"--ambient-caps={READER}",
)
WILDCARDS = re.compile(r"(?<![\d.])0\.0\.0\.0(?![\d./])|\[::\]|^::$")
Files = Callable[[str, str], Mapping[str, str | bytes]]  # the name of a Secret and the address of a pod → its files


@dataclass
class Place:
    """Where a pod runs.

    Args:
        address: Its own on loopback.
        mounts: Paths in the container, and what they are here.
    """

    pod: Pod
    address: str
    directory: Path
    mounts: dict[str, Path] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def log(self) -> Path:
        return self.directory / "log"

    @property
    def running(self) -> "subprocess.Popen[bytes]":
        assert self.process, f"{self.pod.component} was not started"
        return self.process


class Node:
    """The one machine of a cluster.

    Args:
        chart: What is installed.
        directory: For whatever pods write, and for logs.
        secret: Knows the contents of Secrets that become variables.
        files: Knows those that are mounted.
        inside: What images have at a path: the model, the skills.
    """

    def __init__(
        self, chart: Rendering, directory: Path, *, secret: Secret, files: Files, inside: Mapping[str, Path]
    ) -> None:
        self._chart, self._directory, self._secret, self._files, self._inside = chart, directory, secret, files, inside
        own = subnet()
        self._addresses = (f"{own}{number}" for number in range(1, 200))
        self.places: dict[str, Place] = {}
        for pod in pods_of(chart.objects):
            if pod.owner.kind == "Deployment":
                self.places[pod.component] = self._place(pod)

    def install(self) -> None:
        """What `helm install` does: hooks by their weight, then everything else; returns when all is ready."""
        hooks = [found for found in self._chart.of("Job") if "pre-install" in found.hooks]
        for job in sorted(hooks, key=lambda found: (found.weight, found.name)):
            self.run(job)
        for place in self.places.values():
            self.start(place)
        for place in self.places.values():
            self.wait(place, "startupProbe")
        for place in self.places.values():
            self.wait(place, "readinessProbe")

    def run(self, owner: Object) -> str:
        """Run the containers of a job or a test, one after the other; answers what the last one printed."""
        pod = pod_of(owner)
        assert pod
        place = self._place(pod)
        for container in pod.containers:
            command, environ = self._command(place, container), self._environ(place, container)
            ran = subprocess.run(command, env=environ, cwd=place.directory, capture_output=True, text=True, check=False)
            assert ran.returncode == 0, f"{owner.title}/{container['name']}: {ran.stdout}{ran.stderr}"
        return ran.stdout

    def start(self, place: Place) -> None:
        """Start a pod's container."""
        command, environ = self._command(place, place.pod.main), self._environ(place, place.pod.main)
        with place.log.open("ab") as output:
            place.process = subprocess.Popen(
                command, env=environ, cwd=place.directory, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )

    def execute(self, place: Place, *command: str) -> "subprocess.CompletedProcess[str]":
        """What `kubectl exec` does."""
        words = self._argv(place, [*command])
        environ = self._environ(place, place.pod.main)
        return subprocess.run(
            words, env=environ, cwd=place.directory, capture_output=True, text=True, check=False, timeout=STARTS_WITHIN
        )

    def ask(self, place: Place, kind: str) -> bool:
        """One look by a probe of the container; one that it does not have finds all well."""
        probe = place.pod.main.get(kind)
        if not probe:
            return True
        if http := probe.get("httpGet"):
            return self._get(place.address, place.pod.ports().get(http["port"], http["port"]), http["path"])
        if asked := probe.get("grpc"):
            return _healthy(f"{place.address}:{asked['port']}", asked.get("service", ""))
        return self.execute(place, *probe["exec"]["command"]).returncode == 0

    def wait(self, place: Place, kind: str, *, until: bool = True) -> None:
        """Ask by a probe until it finds that all is well, or that it is not."""
        deadline = time.monotonic() + STARTS_WITHIN
        while self.ask(place, kind) != until:
            assert place.running.poll() is None, f"{place.pod.component} has ended: {place.log.read_text()[-3000:]}"
            assert time.monotonic() < deadline, (
                f"{place.pod.component}: {kind} is {not until}: {place.log.read_text()[-3000:]}"
            )
            time.sleep(1.0 if "exec" in place.pod.main[kind] else 0.1)  # a program takes from what it waits for

    def terminate(self) -> None:
        """Tell every pod to end, as a kubelet does: one that outlives its grace is killed."""
        for place in self.places.values():
            place.running.send_signal(signal.SIGTERM)
        began = time.monotonic()
        for place in self.places.values():
            left = began + place.pod.spec["terminationGracePeriodSeconds"] - time.monotonic()
            try:
                code = place.running.wait(max(0.1, left))
            except subprocess.TimeoutExpired:
                raise AssertionError(f"{place.pod.component} outlives its grace period") from None
            assert code == 0, f"{place.pod.component} ended with {code}: {place.log.read_text()[-3000:]}"

    def kill(self) -> None:
        """End what still runs."""
        for place in self.places.values():
            if place.process and place.process.poll() is None:
                place.process.kill()
                place.process.wait()

    def strays(self) -> list[str]:
        """Files that processes wrote outside of what they mount, where everybody may write."""
        if not unprivileged():
            return []
        command = ["find", "/tmp", "/var/tmp", "/dev/shm", "-xdev", "-user", NOBODY]  # noqa: S108
        found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
        return [path for path in found if not path.startswith(str(self._directory))]

    def _place(self, pod: Pod) -> Place:
        directory = self._directory / pod.owner.name
        directory.mkdir()
        place = Place(pod, next(self._addresses), directory)
        volumes = {volume["name"]: volume for volume in pod.spec.get("volumes", [])}
        for container in pod.containers:
            for mount in container.get("volumeMounts", []):
                volume = volumes[mount["name"]]
                claim = volume.get("persistentVolumeClaim")
                # A claim is the same for all who mount it.
                here = self._directory / claim["claimName"] if claim else directory / "mounts" / mount["name"]
                if not here.exists():
                    here.mkdir(parents=True)
                    self._fill(here, place.address, volume)
                place.mounts[mount["mountPath"].rstrip("/")] = here
        place.mounts = {**self._inside, **place.mounts}
        return place

    def _fill(self, here: Path, address: str, volume: Mapping[str, Any]) -> None:
        """Put there what a volume brings; one to write to is given away."""
        if secret := volume.get("secret"):
            contents = self._files(secret["secretName"], address)
            names = {item["key"]: item["path"] for item in secret.get("items", [])} or {key: key for key in contents}
        elif config := volume.get("configMap"):
            found = self._chart.named("ConfigMap", config["name"])
            contents = found["data"] if found else {}
            names = {item["key"]: item["path"] for item in config.get("items", [])} or {key: key for key in contents}
        else:
            if unprivileged():
                shutil.chown(here, NOBODY)
            return
        for key, path in names.items():
            content = contents[key]
            (here / path).parent.mkdir(parents=True, exist_ok=True)
            (here / path).write_bytes(content.encode() if isinstance(content, str) else content)

    def _environ(self, place: Place, container: Mapping[str, Any]) -> dict[str, str]:
        told = environment(self._chart, place.pod, container, self._secret, place.address)
        inherited = image(container["image"]).environment
        here = {name: self._here(value, place) for name, value in {**inherited, **told}.items()}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        scratch = {"TMPDIR": str(place.mounts["/tmp"])} if "/tmp" in place.mounts else {}  # noqa: S108 - a container's
        return {"LANG": "C.UTF-8", **scratch, **here, "PATH": path}

    def _command(self, place: Place, container: Mapping[str, Any]) -> list[str]:
        told = environment(self._chart, place.pod, container, self._secret, place.address)
        words = [*container.get("command", image(container["image"]).entrypoint), *container.get("args", [])]
        return self._argv(place, [expand(word, told) for word in words])

    def _argv(self, place: Place, words: Sequence[str]) -> list[str]:
        program = {"python": sys.executable, "contextctl": str(Path(sys.executable).parent / "contextctl")}
        first, *others = (self._here(word, place) for word in words)
        return [
            *(AS_NOBODY if unprivileged() else ()),
            "setpriv",
            "--pdeathsig",
            "KILL",
            program.get(first, first),
            *others,
        ]

    def _here(self, text: str, place: Place) -> str:
        """A text of the chart as it is on this machine: addresses instead of names, directories instead of mounts."""
        for service in self._chart.of("Service"):
            text = re.sub(
                rf"(dns:///)?\b{re.escape(service.name)}(\.[a-z0-9.-]+)?:(\d+)",
                lambda found, service=service: self._address(service, int(found[3])),  # type: ignore[misc]
                text,
            )
        text = WILDCARDS.sub(place.address, text)
        paths = "|".join(re.escape(path) for path in sorted(place.mounts, key=len, reverse=True))
        return re.sub(rf"(?<![\w/.-])({paths})(?=/|$)", lambda found: str(place.mounts[found[1]]), text)

    def _address(self, service: Object, port: int) -> str:
        """Where a port of a Service leads."""
        selector = {"matchLabels": service.spec["selector"]}
        [place] = [place for place in self.places.values() if matches(selector, place.pod.labels)]
        target = next(each.get("targetPort", port) for each in service.spec["ports"] if each["port"] == port)
        return f"{place.address}:{place.pod.ports().get(target, target)}"

    def url(self) -> str:
        """Where the gateway answers."""
        place = self.places["gateway"]
        return f"http://{place.address}:{place.pod.ports()['http']}"

    @staticmethod
    def _get(address: str, port: int, path: str) -> bool:
        connection = HTTPConnection(address, port, timeout=ASKS_WITHIN)
        try:
            connection.request("GET", path)
            return HTTPStatus.OK <= connection.getresponse().status < HTTPStatus.BAD_REQUEST
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()


def _healthy(address: str, service: str) -> bool:
    with grpc.insecure_channel(address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        try:
            answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=ASKS_WITHIN)
        except grpc.RpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def subnet() -> str:
    """The beginning of addresses that nobody else on this machine is likely to have."""
    first, second = SystemRandom().sample(range(1, 255), 2)
    return f"127.{first}.{second}."


@cache
def unprivileged() -> bool:
    """Whether pods can be run as somebody who may read everything and write nothing: by a root with all its rights."""
    return os.geteuid() == 0 and subprocess.run([*AS_NOBODY, "true"], check=False).returncode == 0
