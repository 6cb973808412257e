"""Drives one installation by the files and scripts that are shipped, apart from any other on this machine."""

import json
import os
import ssl
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx2

from context_local.health import free_ports

ROOT = Path(__file__).parents[3]
DOMAIN = "context.test"
METRICS = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9100/metrics').read().decode())"


class Failed(Exception):
    """A command of the run failed."""


@dataclass(frozen=True)
class Container:
    """One that runs; its name is such as `embedding-2`."""

    id: str
    name: str


class Installation:
    """Its project, secrets, ports and certificate; `settings` go to Compose's environment."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.http, self.https, self.prometheus, self.alertmanager = free_ports(4)
        self._project = "context-check"
        self.certificate = folder / "ssl" / "fullchain.pem"
        self._environ = {
            **os.environ,
            "COMPOSE_FILE": f"{ROOT / 'docker-compose.yml'}:{ROOT / 'docker-compose.prod.yml'}",
            "COMPOSE_PROJECT_NAME": self._project,
            "SECRETS_DIR": str(folder / "secrets"),
            "SSL_DIR": str(folder / "ssl"),
            "ENV_FILE": str(folder / "env"),
            "DOMAIN": DOMAIN,
            "EDGE_SUBNET": "10.213.85.0/24",
            "HTTP_PORT": str(self.http),
            "HTTPS_PORT": str(self.https),
            "PROMETHEUS_PORT": str(self.prometheus),
            "ALERTMANAGER_PORT": str(self.alertmanager),
            "DB_CPUS": str(min(4, os.cpu_count() or 1)),
            "SERVICE_CPUS": str(min(2, os.cpu_count() or 1)),
            **settings,
        }

    def run(self, *command: str, **more: str) -> str:
        """What a command prints, `more` being added to its environment.

        Raises:
            Failed: It ends with another code than 0.
        """
        ran = subprocess.run(
            command, env={**self._environ, **more}, cwd=ROOT, capture_output=True, text=True, check=False
        )
        if ran.returncode != 0:
            said = "\n".join((ran.stdout + ran.stderr).strip().splitlines()[-6:])
            raise Failed(f"{' '.join(command)}\n{said}")
        return ran.stdout

    def compose(self, *arguments: str, **more: str) -> str:
        """`docker compose …`."""
        return self.run("docker", "compose", *arguments, **more)

    def has_image(self, service: str) -> bool:
        """Whether the image of `service` is on this machine."""
        services = json.loads(self.compose("--profile", "*", "config", "--format", "json"))["services"]
        image = services[service]["image"]
        return subprocess.run(["docker", "image", "inspect", image], capture_output=True, check=False).returncode == 0

    def containers(self, service: str) -> list[Container]:
        """The running containers of a service, in the order of their numbers."""
        ids = self.compose("ps", "--quiet", service).split()
        found = json.loads(self.run("docker", "inspect", *ids)) if ids else []
        made = [Container(one["Id"], one["Name"].removeprefix(f"/{self._project}-")) for one in found]
        return sorted(made, key=lambda container: container.name)

    def metrics(self, container: Container) -> str:
        """What a container tells Prometheus."""
        return self.run("docker", "exec", container.id, "python", "-c", METRICS)

    def kill(self, container: Container) -> None:
        """End its process as a crash does, from outside: what Docker is asked to kill, it does not start again."""
        pid = self.run("docker", "inspect", "--format", "{{.State.Pid}}", container.id).strip()
        os.kill(int(pid), 9)

    def starts(self, container: Container) -> str:
        """Changes with each start of it."""
        return self.run("docker", "inspect", "--format", "{{.State.StartedAt}}", container.id)

    def healthy(self, container: Container) -> bool:
        """Whether its health check says so."""
        return self.run("docker", "inspect", "--format", "{{.State.Health.Status}}", container.id).strip() == "healthy"

    def memory(self) -> dict[str, float]:
        """MiB that each container uses."""
        ids = self.compose("ps", "--quiet").split()
        lines = self.run("docker", "stats", "--no-stream", "--format", "{{.Name}}\t{{.MemUsage}}", *ids).splitlines()
        rows = (line.split("\t") for line in lines)
        return {name.removeprefix(f"{self._project}-"): _mebibytes(used.split(" / ")[0]) for name, used in rows}

    def client(self, token: str = "") -> httpx2.Client:
        """Asks by https, as people do: by the name, and trusting the certificate that was made for it."""
        headers = {"Host": DOMAIN} | ({"Authorization": f"Bearer {token}"} if token else {})
        context = ssl.create_default_context(cafile=self.certificate)
        client = httpx2.Client(
            base_url=f"https://127.0.0.1:{self.https}", headers=headers, verify=context, trust_env=False, timeout=30
        )
        client.event_hooks["request"].append(_name_server)
        return client


def _name_server(request: httpx2.Request) -> None:
    request.extensions["sni_hostname"] = DOMAIN


def _mebibytes(text: str) -> float:
    units = {"GiB": 1024.0, "MiB": 1.0, "KiB": 1 / 1024, "B": 1 / 1024**2}
    unit = next(unit for unit in units if text.endswith(unit))
    return float(text.removesuffix(unit)) * units[unit]
