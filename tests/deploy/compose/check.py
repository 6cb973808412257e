"""The long run of the production installation on this machine: `make compose-check`.

It brings everything up, uses it over https as people do, scales, breaks, stops and starts it, and takes it away again;
what it saw it prints. The exit code says whether all was as it must be. Needs Docker, root, and images (`--build`
builds them).
"""

import argparse
import json
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.deploy.compose.installation import DOMAIN, ROOT, Container, Failed, Installation
from tests.deploy.compose.traffic import Traffic
from tests.support import loopback

FIRST_CALL_WITHIN = 180.0  # seconds
BACK_WITHIN = 120.0
SPREAD_SECONDS = 75.0  # longer than a connection gets old
EMBEDDED = re.compile(r'^grpc_server_handled_total{.*grpc_method="Embed".*} (\S+)$', re.MULTILINE)
KILLED = ("gateway", "embedding", "retrieval", "knowledge", "nginx", "db")
UP = ("up", "--detach", "--wait", "--no-build")


class Check:
    """One run."""

    def __init__(self, installation: Installation) -> None:
        self._at, self._began = installation, time.monotonic()
        self._wrong: list[str] = []
        self._key = ""

    def run(self, *, build: bool) -> int:
        """All of it; answers the exit code."""
        try:
            self._at.run("deploy/compose/prepare.sh", DOMAIN)
            if build:
                self._at.compose("build")
            self._up()
            self._outside()
            self._import()
            with Traffic(lambda: self._at.client(self._key)) as traffic:
                self._scale(traffic)
                for service in KILLED:
                    self._kill(service, traffic)
            self._back_up()
            self._again()
            self._monitor()
        except Failed as error:
            self._must(False, str(error))
            self._say(self._at.compose("ps", "--all"))
            self._say(self._at.compose("logs", "--tail", "4"))
        finally:
            self._at.compose("--profile", "*", "down", "--volumes", "--timeout", "20")
            self._say("down --volumes: nothing is left")
        for wrong in self._wrong:
            self._say(f"WRONG: {wrong}")
        return 1 if self._wrong else 0

    def _say(self, what: str) -> None:
        print(f"{time.monotonic() - self._began:7.1f} s  {what}", flush=True)

    def _must(self, right: bool, what: str) -> None:
        if not right:
            self._wrong.append(what)
            self._say(f"WRONG: {what}")

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self._say(f"{what}: {time.monotonic() - began:.1f} s")

    def _up(self) -> None:
        with self._timed("up, until every health check passed"):
            self._at.compose(*UP, EMBEDDING_REPLICAS="1")
        self._memory("at rest")
        published = self._at.compose("ps", "--format", "{{.Service}} {{.Ports}}").splitlines()
        outside = {line.split()[0] for line in published if "->" in line}
        self._say(f"ports are published by: {', '.join(sorted(outside))}")
        self._must(outside == {"nginx"}, f"ports are published by {outside}")

    def _memory(self, when: str) -> None:
        used = self._at.memory()
        each = ", ".join(f"{name} {mib:.0f}" for name, mib in sorted(used.items()))
        self._say(f"memory {when}: {sum(used.values()):.0f} MiB in {len(used)} containers ({each})")

    def _outside(self) -> None:
        plain = loopback.get(f"http://127.0.0.1:{self._at.http}/docs")
        self._must(plain.status_code == 308, f"http answered {plain.status_code}")
        with self._at.client() as client:
            health = client.get("/health")
            self._say(f"https /health: {health.status_code} {health.text}")
            self._must(health.status_code == 200, "not healthy")
            refused = client.get("/api/adr").status_code
            self._say(f"http: 308 to {plain.headers['location']}; https without a credential: {refused}")
            self._must(refused == 401, f"without a credential: {refused}")
            self._must(client.get("/metrics").status_code == 404, "/metrics is public")
        self._key = self._first_key()
        self._must(self._key.startswith("ctx_"), "there was no first key")

    def _first_key(self) -> str:
        """The key for everything; on a busy machine the database may not answer within the second that it has."""
        command = ("exec", "-T", "knowledge", "python", "-m", "context_knowledge", "first-key")
        for _ in range(4):
            try:
                return self._at.compose(*command).strip().removeprefix("admin key: ")
            except Failed as error:
                self._say(f"once more: {error}")
        return self._at.compose(*command).strip().removeprefix("admin key: ")

    def _cli(self, *arguments: str) -> str:
        """Run contextctl in its container, over https, trusting the certificate made for this run."""
        mounts = ["-v", f"{ROOT / 'docs'}:/docs:ro", "-v", f"{self._at.certificate}:/etc/ssl/own.pem:ro"]
        trust = ["-e", "SSL_CERT_FILE=/etc/ssl/own.pem", "-e", f"CONTEXT_TOKEN={self._key}"]
        return self._at.compose("run", "--rm", "--no-deps", "-T", *trust, *mounts, "cli", *arguments)

    def _import(self) -> None:
        with self._timed("contextctl import adr docs/adr, over https"):
            self._cli("import", "adr", "/docs/adr")
        self._say(f"decisions: {self._decisions()}")
        self._must(self._decisions() > 0, "nothing was imported")
        with self._at.client(self._key) as client:
            body = {"query": "why is the change feed not simply a log?", "max_tokens": 2000}
            found = client.post("/api/context/query", json=body).json()
        titles = ", ".join(f"{item['id']} {item['title']}" for item in found["key_decisions"][:3])
        self._say(f"query over https: {found['tokens_used']} tokens, degraded {found['degraded']}: {titles}")
        self._must(bool(found["key_decisions"]) and not found["degraded"], "the question was not answered")

    def _decisions(self) -> int:
        with self._at.client(self._key) as client:
            return len(client.get("/api/adr", params={"limit": 200, "fields": "ids"}).json()["items"])

    def _scale(self, traffic: Traffic) -> None:
        """One replica of embedding becomes three: when each is called first, and how calls spread in the end."""
        time.sleep(5)
        with self._timed("scale embedding from 1 to 3, until both new ones are healthy"):
            self._at.compose(*UP, "--no-recreate", "--scale", "embedding=3", "embedding")
        began = time.monotonic()
        replicas = self._at.containers("embedding")
        first: dict[str, float] = {}
        while len(first) < len(replicas) and time.monotonic() - began < FIRST_CALL_WITHIN:
            for replica in replicas:
                if replica.name not in first and self._calls(replica):
                    first[replica.name] = time.monotonic() - began
            time.sleep(1)
        self._say(f"first call after: {', '.join(f'{name} {at:.0f} s' for name, at in sorted(first.items()))}")
        self._must(len(first) == 3, "a replica was never called")
        time.sleep(SPREAD_SECONDS - min(SPREAD_SECONDS, time.monotonic() - began))
        before = {replica.name: self._calls(replica) for replica in replicas}
        time.sleep(30)
        calls = {replica.name: self._calls(replica) - before[replica.name] for replica in replicas}
        self._say(f"calls within 30 s: {', '.join(f'{name} {count:.0f}' for name, count in calls.items())}")
        self._must(min(calls.values()) > 0.15 * sum(calls.values()), f"calls do not spread: {calls}")
        self._say(f"questions meanwhile: {traffic.outcome}")
        self._must(not traffic.take().failed, "questions failed while scaling")
        self._memory("under load")

    def _calls(self, replica: Container) -> float:
        return sum(map(float, EMBEDDED.findall(self._at.metrics(replica))))

    def _kill(self, service: str, traffic: Traffic) -> None:
        traffic.take()
        victim = self._at.containers(service)[0]
        before = self._at.starts(victim)
        self._at.kill(victim)
        began = time.monotonic()
        back = self._wait(lambda: self._at.starts(victim) != before and self._at.healthy(victim), BACK_WITHIN)
        self._must(back, f"{victim.name} did not come back")
        took = time.monotonic() - began
        time.sleep(5)
        outcome = traffic.take()
        self._say(f"kill -9 {victim.name}: healthy again after {took:.0f} s; {outcome}")
        self._must(not outcome.failed, f"questions failed: {outcome.failed[:3]}")

    def _wait(self, condition: Callable[[], bool], within: float) -> bool:
        """Whether `condition` holds in time."""
        until = time.monotonic() + within
        while not condition() and time.monotonic() < until:
            time.sleep(0.5)
        return condition()

    def _back_up(self) -> None:
        with self._timed("docker compose run --rm backup"):
            printed = self._at.compose("run", "--rm", "-T", "backup")
        self._say(f"backup: {printed.strip().splitlines()[-1] if printed.strip() else 'done'}")

    def _again(self) -> None:
        before = self._decisions()
        with self._timed("down, volumes kept"):
            self._at.compose("down", "--timeout", "30")
        with self._timed("up again"):
            self._at.compose(*UP)
        after = self._decisions()
        self._say(f"decisions before {before}, after {after}")
        self._must(before == after, "decisions are lost")

    def _monitor(self) -> None:
        services = ["prometheus", "alertmanager"]
        if self._at.has_image("grafana"):
            services.append("grafana")
        else:
            self._say("Grafana's image is not on this machine: not started")
        with self._timed(f"profile monitoring up ({', '.join(services)})"):
            self._at.compose("--profile", "monitoring", *UP, "--no-recreate", *services)
        base = f"http://127.0.0.1:{self._at.prometheus}"

        def targets() -> dict[str, list[str]]:
            found: dict[str, list[str]] = {}
            for target in loopback.get(f"{base}/api/v1/targets").json()["data"]["activeTargets"]:
                found.setdefault(target["labels"]["job"], []).append(target["health"])
            return found

        def scraped() -> bool:
            return len(targets()) >= 6 and all(health == "up" for job in targets().values() for health in job)

        self._wait(scraped, 90)
        self._say(f"targets: {json.dumps({job: ' '.join(health) for job, health in sorted(targets().items())})}")
        self._must(len(targets().get("context-embedding", [])) == 2, "Prometheus does not see each replica")
        self._must({h for job in targets().values() for h in job} == {"up"}, f"targets: {targets()}")
        rules = loopback.get(f"{base}/api/v1/rules").json()["data"]["groups"]
        count = sum(len(group["rules"]) for group in rules)
        wrong = [rule["name"] for group in rules for rule in group["rules"] if rule["health"] == "err"]
        self._say(f"rules loaded: {count}, in error: {wrong or 'none'}")
        self._must(count > 0 and not wrong, f"rules in error: {wrong}")
        told = loopback.get(f"{base}/api/v1/alertmanagers").json()["data"]["activeAlertmanagers"]
        self._must(len(told) == 1, "Prometheus does not find Alertmanager")


def main() -> int:
    """Run it in a folder of its own."""
    parser = argparse.ArgumentParser(prog="make compose-check", description="The long run of the Compose installation.")
    parser.add_argument("--build", action="store_true", help="build the images first")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="compose-check-") as folder:
        return Check(Installation(Path(folder), {})).run(build=options.build)


if __name__ == "__main__":
    sys.exit(main())
