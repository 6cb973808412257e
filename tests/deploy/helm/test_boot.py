"""Containers as they are rendered start, say truly how they are, lose and find their database, and end in time.

One stack for each way of asking: by the kubelet's own probes, and with TLS inside by commands.
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import loopback
from tests.support.breakable import Breakable
from tests.support.certificates import Authority
from tests.support.helm.boot import Node, Place, subnet, unprivileged
from tests.support.helm.chart import ROOT, Rendering, load_set, merge, render
from tests.support.helm.database import DATABASE, execute, statements
from tests.support.redis import run_redis

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8 to give each pod its own")
pytestmark = [LINUX, pytest.mark.timeout(240), pytest.mark.long]

DRAIN = 5  # seconds
STORES = ("knowledge", "retrieval")
NO_JOBS = {"jobs": {"backup": {"enabled": False}, "drill": {"enabled": False}}}  # once is enough
VALUES = {
    "native probes": merge(load_set("public.yaml"), load_set("own-skills.yaml"), {"drainSeconds": DRAIN}),
    "TLS inside": merge(
        load_set("tls-inside.yaml"), NO_JOBS, {"drainSeconds": DRAIN, "test": {"secret": {"name": "token"}}}
    ),
}


@dataclass
class Booted:
    """A chart that runs, and its database."""

    node: Node
    chart: Rendering
    database: Breakable
    secrets: dict[str, str]

    def restart_database(self) -> None:
        asyncio.run(self.database.start())

    def first_key(self) -> str:
        """What the notes of the installation say to do first."""
        ran = self.node.execute(self.node.places["knowledge"], "python", "-m", "context_knowledge", "first-key")
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip().removeprefix("admin key: ")


def prepare(superuser: str) -> None:
    """What docs/operations.md says to run on the database before the first installation."""
    of_server, of_database = statements()
    execute(f"{superuser}/postgres", *of_server)
    execute(f"{superuser}/{DATABASE}", *of_database)


@dataclass(frozen=True)
class Papers:
    """The Secret with certificates, for an address where there is no name."""

    authority: Authority

    def __call__(self, secret: str, address: str) -> dict[str, bytes]:
        certificate, key = self.authority.issue(secret, address)
        return {"tls.crt": certificate, "tls.key": key, "ca.crt": self.authority.pem}


@pytest.fixture(scope="module", params=VALUES)
def booted(request: pytest.FixtureRequest, model_dir: Path) -> Iterator[Booted]:
    """The chart, installed."""
    chart = render(VALUES[request.param])
    with (
        tempfile.TemporaryDirectory(prefix="context-boot-", ignore_cleanup_errors=True) as scratch,
        run_redis() as redis,
    ):
        Path(scratch).chmod(0o711)
        address = subnet() + "253"
        database = Breakable(Path(scratch), listen_addresses=address)
        secrets = {"url": redis.url, **in_secrets(address)}
        owner = f"postgresql://postgres@{address}:5432"
        node = Node(
            chart,
            Path(scratch),
            secret=lambda variable, secret, key: secrets[key],
            files=Papers(Authority("inside")),
            inside=contents(Path(scratch), model_dir),
        )
        try:
            asyncio.run(database.start())
            prepare(owner)
            node.install()
            yield Booted(node, chart, database, secrets)
        finally:
            node.kill()
            database.kill()


def in_secrets(address: str) -> dict[str, str]:
    """The Secrets of an installation, by the keys that the chart's README names."""
    server = f"{address}:5432/{DATABASE}"
    return {
        "secret-key-base": "of-forty-characters-and-known-to-tests-1",
        "service-secret": "another-one-of-forty-characters-in-tests",
        "owner-url": f"postgresql://context_owner@{server}",
        "backup-url": f"postgresql://context_backup_login@{server}",
        **{f"{name}-url": f"postgresql://{name}_login:{name}-password@{server}" for name in STORES},
    }


def contents(scratch: Path, model_dir: Path) -> dict[str, Path]:
    """What images have inside."""
    model = scratch / "model"
    model.mkdir()
    for name in ("manifest.json", "tokenizer.json", "model.int8.onnx", "model.int8-plain.onnx"):
        (model / name).symlink_to(model_dir / name)
    return {"/app/model": model, "/app/skills": ROOT / "skills"}


def test_what_is_installed_answers_as_agents_and_helm_ask(booted: Booted) -> None:
    node, key = booted.node, booted.first_key()
    booted.secrets["token"] = key
    headers = {"authorization": f"Bearer {key}", "x-context-namespace": "default"}
    body = {"title": "Use NATS", "decision": "Events travel over NATS."}
    made = loopback.post(f"{node.url()}/api/adr", json=body, headers=headers, timeout=30)
    assert made.status_code == 201, made.text
    question = {"query": "how do events travel?", "max_tokens": 500}
    answer = loopback.post(f"{node.url()}/api/context/query", json=question, headers=headers, timeout=30)
    assert [item["id"] for item in answer.json()["key_decisions"]] == [made.json()["id"]]
    [test] = booted.chart.of("Pod")
    assert "200" in node.run(test)


def test_metrics_are_where_monitors_look(booted: Booted) -> None:
    for place in booted.node.places.values():
        url = f"http://{place.address}:{place.pod.ports()['metrics']}/metrics"
        assert "python_info" in loopback.get(url).text


def test_jobs_do_what_their_clocks_are_for(booted: Booted) -> None:
    """A backup, and the drill that restores it, by the commands, variables and volumes that they are rendered with."""
    jobs = booted.chart.of("CronJob")
    enabled = sorted(name for name, job in booted.chart.values["jobs"].items() if job["enabled"])
    assert [job.component for job in jobs] == [f"job-{name}" for name in enabled]
    for job in jobs:
        print(booted.node.run(job))


def test_without_its_database_nothing_is_ready_and_nothing_is_restarted(booted: Booted) -> None:
    node = booted.node
    needs = [node.places[name] for name in (*STORES, "gateway")]
    booted.database.kill()
    for place in needs:
        node.wait(place, "readinessProbe", until=False)
    assert node.ask(node.places["embedding"], "readinessProbe")
    assert alive(node) == set(node.places)
    booted.restart_database()
    for place in needs:
        node.wait(place, "readinessProbe")


def alive(node: Node) -> set[str]:
    """Whom a liveness probe leaves alone."""
    return {name for name, place in node.places.items() if node.ask(place, "livenessProbe")}


def test_it_ends_in_order_and_in_time_and_wrote_only_where_it_may(booted: Booted) -> None:
    """The last test of a stack: it is over then."""
    node = booted.node
    node.terminate()
    for place in node.places.values():
        assert levels(place).isdisjoint({"critical"})
    if not unprivileged():
        print("not looked at: where it writes, since only root can start it as somebody who may write nowhere")
    assert not node.strays()


def levels(place: Place) -> set[str]:
    """How bad what a pod logged is."""
    lines = [json.loads(line) for line in place.log.read_text().splitlines() if line.startswith("{")]
    assert lines, "it logs JSON"
    return {line["level"] for line in lines}
