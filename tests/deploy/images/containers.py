"""Containers of one check, apart from any other on this machine, under the strictest flags."""

import contextlib
import json
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil

STRICT = ("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges")
POSTGRES = "pgvector/pgvector:pg17"
PASSWORD = "only-for-this-check"  # of a database that lives for a minute
DATABASE = "context"
POLL = 0.02
MIB = 1024 * 1024


class Failed(Exception):
    """Something did not go as it must."""


def docker(*arguments: str) -> str:
    """What a docker command prints.

    Raises:
        Failed: It ends with another code than 0.
    """
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"docker {' '.join(arguments)}\n{(done.stdout + done.stderr)[-1500:]}")
    return done.stdout.strip()


def until(condition: Callable[[], bool], what: str, within: float = 240.0) -> float:
    """Wait until `condition` holds; answers the seconds that took.

    Raises:
        Failed: It did not in time.
    """
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > within:
            raise Failed(f"{what}: not within {within:.0f} s")
        time.sleep(POLL)
    return time.monotonic() - began


def own_size(image: str, base: str) -> int:
    """Bytes that `image` adds to `base`."""
    return int(docker("image", "inspect", "-f", "{{.Size}}", image)) - int(
        docker("image", "inspect", "-f", "{{.Size}}", base)
    )


@dataclass
class Network:
    """A network of its own and the containers on it."""

    name: str = field(default_factory=lambda: f"images-check-{uuid.uuid4().hex[:8]}")
    containers: list[str] = field(default_factory=list)

    def start(self, name: str, image: str, environ: Mapping[str, str], *flags: str) -> str:
        """Run `image` as `name` on the network; answers its address."""
        known = [f"--env={key}={value}" for key, value in environ.items()]
        made = f"{self.name}-{name}"
        self.containers.append(made)
        docker(
            "run",
            "--detach",
            f"--name={made}",
            f"--network={self.name}",
            f"--network-alias={name}",
            *flags,
            *known,
            image,
        )
        networks = json.loads(docker("inspect", "-f", "{{json .NetworkSettings.Networks}}", made))
        return str(networks[self.name]["IPAddress"])

    def step(self, image: str, environ: Mapping[str, str], *arguments: str) -> str:
        """Run `image` once under the strict flags; answers what it printed."""
        known = [f"--env={key}={value}" for key, value in environ.items()]
        return docker("run", "--rm", f"--network={self.name}", *STRICT, *known, image, *arguments)

    def inside(self, name: str, *command: str) -> str:
        """What a command prints in a container that runs."""
        return docker("exec", f"{self.name}-{name}", *command)

    def memory(self, name: str) -> float:
        """MiB that a container uses, without what the kernel could give back at once."""
        used = docker("stats", "--no-stream", "--format", "{{.MemUsage}}", f"{self.name}-{name}").split()[0]
        number = float(used.rstrip("KMGiB"))
        return number * {"K": 1 / 1024, "M": 1, "G": 1024}[used.lstrip("0123456789.")[0]]

    def cpu(self, name: str) -> float:
        """Seconds of processor time that a container's processes have had; less of an accident than the clock's."""
        first = psutil.Process(int(docker("inspect", "-f", "{{.State.Pid}}", f"{self.name}-{name}")))
        times = [process.cpu_times() for process in (first, *first.children(recursive=True))]
        return sum(of.user + of.system for of in times)

    def stop(self, name: str) -> tuple[float, int]:
        """Ask a container to end; answers the seconds it took and its exit code."""
        began = time.monotonic()
        docker("stop", "--time=60", f"{self.name}-{name}")
        code = int(docker("inspect", "-f", "{{.State.ExitCode}}", f"{self.name}-{name}"))
        return time.monotonic() - began, code

    def health(self, name: str) -> str:
        """What the image's own health check found."""
        return docker("inspect", "-f", "{{.State.Health.Status}}", f"{self.name}-{name}")


@contextmanager
def network() -> Iterator[Network]:
    """A network; it and its containers are gone after the block."""
    made = Network()
    docker("network", "create", made.name)
    try:
        yield made
    finally:
        for name in made.containers:
            with contextlib.suppress(Failed):
                docker("rm", "--force", "--volumes", name)
        docker("network", "rm", made.name)


def database(on: Network, name: str = "db") -> str:
    """A Postgres with pgvector and an owner who is no superuser; answers where that one logs in."""
    on.start(name, POSTGRES, {"POSTGRES_PASSWORD": PASSWORD})
    container = f"{on.name}-{name}"

    def answers() -> bool:
        probe = ["docker", "exec", container, "pg_isready", "--quiet", "--host=127.0.0.1"]
        return subprocess.run(probe, check=False, capture_output=True).returncode == 0

    until(answers, "Postgres")
    for where, statement in (
        ("postgres", f"CREATE ROLE owner LOGIN CREATEROLE PASSWORD '{PASSWORD}'"),
        ("postgres", f"CREATE DATABASE {DATABASE} OWNER owner ENCODING 'UTF8' TEMPLATE template0"),
        (DATABASE, "CREATE EXTENSION vector"),
    ):
        on.inside(name, "psql", "--quiet", "--username=postgres", f"--dbname={where}", f"--command={statement}")
    return f"postgresql://owner:{PASSWORD}@{name}/{DATABASE}"
