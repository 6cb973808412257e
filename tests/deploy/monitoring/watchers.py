"""Prometheus and Alertmanager on this machine, with the project's files, and somebody who receives the alerts."""

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from context_local.health import LOOPBACK, answers, free_ports
from tests.support import loopback
from tests.support.monitoring import FOLDER

TOKEN = "the-receiver-knows-it"
OFTEN = "1s"  # scraped and judged, so that only the rules' own times are waited for
STARTS_WITHIN = 30.0  # seconds


class Absent(Exception):
    """A program that is needed is not installed."""


@dataclass
class Receiver:
    """Keeps the notifications that it is sent, with the time since it began and whether they showed our token."""

    url: str
    began: float = field(default_factory=time.monotonic)
    notes: list[tuple[float, str, dict[str, Any]]] = field(default_factory=list)
    unknown: int = 0

    def named(self, alert: str, status: str) -> tuple[float, str, dict[str, Any]] | None:
        """When, by which receiver and with what an alert was first told of in this state."""
        for at, receiver, told in self.notes:
            for one in told["alerts"]:
                if one["labels"]["alertname"] == alert and one["status"] == status:
                    return at, receiver, one
        return None


@dataclass(frozen=True)
class Watchers:
    """Where the three answer."""

    prometheus: str
    alertmanager: str
    receiver: Receiver

    def ask(self, path: str, **params: str) -> Any:
        """What Prometheus answers."""
        answer = loopback.get(f"{self.prometheus}{path}", params=params, timeout=10)
        answer.raise_for_status()
        return json.loads(answer.text)["data"]


@contextmanager
def watching(targets: Mapping[str, list[str]], scratch: Path) -> Iterator[Watchers]:
    """Both programs for the block, the targets of each job given instead of found by DNS.

    Raises:
        Absent: One of them is not installed.
    """
    ports = dict(zip(("prometheus", "alertmanager", "cluster"), free_ports(3), strict=True))
    at = {name: f"{LOOPBACK}:{port}" for name, port in ports.items()}
    with ExitStack() as stack:
        receiver = stack.enter_context(receiving())
        config = _alertmanager(receiver.url, scratch)
        alertmanager = [_program("prometheus-alertmanager", "alertmanager"), f"--config.file={config}"]
        alertmanager += [f"--storage.path={scratch / 'alertmanager'}", f"--web.listen-address={at['alertmanager']}"]
        stack.enter_context(_running([*alertmanager, "--cluster.listen-address="], scratch))
        config = _prometheus(
            {**targets, "alertmanager": [at["alertmanager"]], "prometheus": [at["prometheus"]]}, scratch
        )
        prometheus = [_program("prometheus"), f"--config.file={config}", f"--web.listen-address={at['prometheus']}"]
        stack.enter_context(_running([*prometheus, f"--storage.tsdb.path={scratch / 'prometheus'}"], scratch))
        for name in ("alertmanager", "prometheus"):
            _wait_for(f"http://{at[name]}/-/ready")
        yield Watchers(f"http://{at['prometheus']}", f"http://{at['alertmanager']}", receiver)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A webhook that says 200 to whoever shows the token, and 401 to others."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            known = self.headers["authorization"] == f"Bearer {TOKEN}"
            if known:
                receiver.notes.append((time.monotonic() - receiver.began, self.path.strip("/"), json.loads(body)))
            else:
                receiver.unknown += 1
            self.send_response(200 if known else 401)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Be silent."""

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    receiver = Receiver(f"http://{LOOPBACK}:{server.server_port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield receiver
    finally:
        server.shutdown()


def _prometheus(targets: Mapping[str, list[str]], scratch: Path) -> Path:
    """prometheus.yml, looking often and at `targets`."""
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    config["global"] |= {"scrape_interval": OFTEN, "scrape_timeout": OFTEN, "evaluation_interval": OFTEN}
    config["rule_files"] = [str(FOLDER / name) for name in config["rule_files"]]
    config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = targets["alertmanager"]
    for job in config["scrape_configs"]:
        job.pop("dns_sd_configs", None)
        job["static_configs"] = [{"targets": targets[job["job_name"]]}]
    return _written(config, scratch / "prometheus.yml")


def _alertmanager(url: str, scratch: Path) -> Path:
    """alertmanager.yml, with one address for every webhook, no mail, and what is over told at once."""
    config = yaml.safe_load((FOLDER / "alertmanager.yml").read_text())
    config["route"]["group_interval"] = OFTEN
    (scratch / "token").write_text(TOKEN)
    for receiver in config["receivers"]:
        receiver.pop("email_configs", None)
        for webhook in receiver.get("webhook_configs", []):
            webhook["url"] = f"{url}/{receiver['name']}"
            webhook["http_config"]["authorization"]["credentials_file"] = str(scratch / "token")
    return _written(config, scratch / "alertmanager.yml")


def _written(config: Any, path: Path) -> Path:
    path.write_text(yaml.safe_dump(config))
    return path


def _program(*names: str) -> str:
    for name in names:
        if found := shutil.which(name):
            return found
    raise Absent(f"{names[0]} is not installed: apt-get install prometheus prometheus-alertmanager")


@contextmanager
def _running(command: list[str], scratch: Path) -> Iterator[None]:
    with (scratch / f"{Path(command[0]).name}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=scratch)
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


def _wait_for(url: str) -> None:
    until = time.monotonic() + STARTS_WITHIN
    while not answers(url):
        if time.monotonic() > until:
            raise TimeoutError(url)
        time.sleep(0.1)
