"""Starts every image under strict flags, uses it, and prints what each weighs: `make images-check`."""

import argparse
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import httpx2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.deploy.images.containers import MIB, STRICT, Failed, Network, database, network, own_size, until

SECRETS = {
    "SECRET_KEY_BASE": "kq3-images-check-0123456789-abcdefgh",
    "SERVICE_SECRET": "wz7-images-check-9876543210-hgfedcba",
}
ADDRESSES = {
    f"{name.upper()}_ADDR": f"{name}:{port}"
    for name, port in (("knowledge", 50051), ("embedding", 50052), ("retrieval", 50053))
}
SERVICES = {"embedding": "Embedding", "knowledge": "Knowledge", "retrieval": "Retrieval"}
RECORD = {
    "title": "Use NATS for events",
    "context": "Services tell each other what happened.",
    "decision": "Events travel over NATS.",
}
ASKED = "how do events travel between services?"
QUESTION = {"query": ASKED, "max_tokens": 1500}
WORKERS = 8
SAMPLE = 1.0  # seconds between looks at the memory


@dataclass
class Figures:
    """What was measured of one image."""

    size: float = 0.0  # MiB that it adds to its base
    cold: float = 0.0  # seconds from `docker run` to ready
    cpu: float = 0.0  # seconds of processor time of that
    rest: float = 0.0  # MiB
    load: float = 0.0  # MiB at most
    stopped: float = 0.0  # seconds from SIGTERM to the end


@dataclass
class Check:
    """One run: where, with which images, and what it found."""

    on: Network
    prefix: str
    tag: str
    seconds: float
    figures: dict[str, Figures] = field(default_factory=dict)

    def image(self, name: str) -> str:
        return f"{self.prefix}context-{name}:{self.tag}"

    def say(self, what: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {what}", flush=True)

    def start(self, name: str, environ: Mapping[str, str]) -> str:
        """Start an image under the strict flags and wait until it is ready; answers its address."""
        before = time.monotonic()
        address = self.on.start(name, self.image(name), environ, *STRICT)
        if name in SERVICES:
            self._wait_for_grpc(name, f"{address}:{ADDRESSES[f'{name.upper()}_ADDR'].rpartition(':')[2]}")
        else:
            until(lambda: _is_ready(f"http://{address}:4000/readyz"), name)
        self.figures[name].cold = time.monotonic() - before
        self.figures[name].cpu = self.on.cpu(name)
        self.say(f"{name} is ready")
        return address

    def _wait_for_grpc(self, name: str, address: str) -> None:
        options = [
            ("grpc.enable_http_proxy", 0),
            ("grpc.initial_reconnect_backoff_ms", 50),
            ("grpc.max_reconnect_backoff_ms", 50),
        ]
        with grpc.insecure_channel(address, options=options) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            request = health_pb2.HealthCheckRequest(service=f"context.v1.{SERVICES[name]}Service")

            def serves() -> bool:
                try:
                    return bool(stub.Check(request, timeout=1).status == health_pb2.HealthCheckResponse.SERVING)
                except grpc.RpcError:
                    return False

            until(serves, name)

    def stop(self, name: str) -> None:
        """Ask it to end; it must do so by itself and well."""
        self.figures[name].stopped, code = self.on.stop(name)
        if code:
            raise Failed(f"{name} ended with code {code}")


def main() -> None:
    """Run the check; the exit code says whether all went well."""
    parser = argparse.ArgumentParser(prog="python -m tests.deploy.images.check", description=__doc__)
    parser.add_argument("--tag", default="latest")
    parser.add_argument("--prefix", default="", help="registry before the names, such as registry.example.org/team/")
    parser.add_argument("--base", default="python:3.11-slim-bookworm", help="the base image, whose size is not counted")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of the load")
    options = parser.parse_args()
    try:
        with network() as on:
            check = Check(on, options.prefix, options.tag, options.seconds)
            for name in (*SERVICES, "gateway", "cli", "engine"):
                check.figures[name] = Figures(size=own_size(check.image(name), options.base) / MIB)
            four_services(check)
            one_container(check)
    except Failed as error:
        sys.exit(f"failed: {error}")
    print(table(check.figures))


def four_services(check: Check) -> None:
    """The four images as separate containers, and the command line's beside them."""
    owner = database(check.on)
    stores = {name: owner.replace("owner:", f"{name}_login:") for name in ("knowledge", "retrieval")}
    for name, login in stores.items():
        check.on.step(check.image(name), {**SECRETS, "DATABASE_URL": login, "MIGRATION_DATABASE_URL": owner}, "migrate")
    check.say("migrations have run")
    common = {**SECRETS, **ADDRESSES, "POOL_SIZE": "20", "RATE_LIMIT": "unlimited"}
    check.start("embedding", common)
    for name, login in stores.items():
        check.start(name, {**common, "DATABASE_URL": login})
    address = check.start("gateway", common)
    key = check.on.inside("knowledge", "python", "-m", "context_knowledge", "first-key").removeprefix("admin key: ")
    use(address, key)
    told = check.on.step(
        check.image("cli"), {"CONTEXT_URL": f"http://{address}:4000", "CONTEXT_TOKEN": key}, "query", ASKED
    )
    if str(RECORD["title"]) not in told:
        raise Failed(f"contextctl did not find what was recorded:\n{told}")
    check.say("recorded and found, by HTTP and by contextctl")
    measure(check, (*SERVICES, "gateway"), address, key)
    for name in ("gateway", "retrieval", "knowledge", "embedding"):
        until(lambda name=name: check.on.health(name) == "healthy", f"health check of {name}")  # type: ignore[misc]
        check.stop(name)


def one_container(check: Check) -> None:
    """All four behind one port, on a database of its own."""
    environ = {**SECRETS, "DATABASE_URL": database(check.on, "db2"), "POOL_SIZE": "20", "RATE_LIMIT": "unlimited"}
    address = check.start("engine", environ)
    key = check.on.inside("engine", "python", "-m", "context_local.hosted", "first-key").removeprefix("admin key: ")
    use(address, key)
    check.say("recorded and found through the one port")
    measure(check, ("engine",), address, key)
    until(lambda: check.on.health("engine") == "healthy", "health check of engine")
    check.stop("engine")


def client(address: str, key: str) -> httpx2.Client:
    """Calls the gateway with a key."""
    return httpx2.Client(
        base_url=f"http://{address}:4000", headers={"authorization": f"Bearer {key}"}, timeout=30, trust_env=False
    )


def use(address: str, key: str) -> None:
    """Record a decision and ask for it.

    Raises:
        Failed: The answer is another one.
    """
    with client(address, key) as http:
        made = http.post("/api/adr", json=RECORD)
        answer = http.post("/api/context/query", json=QUESTION)
    if made.status_code != 201 or answer.status_code != 200:
        raise Failed(f"{made.status_code} {made.text[:300]}; {answer.status_code} {answer.text[:300]}")
    found = [item["title"] for item in answer.json()["key_decisions"]]
    if found != [RECORD["title"]] or answer.json()["degraded"]:
        raise Failed(f"found {found}, degraded: {answer.json()['degraded']}")


def measure(check: Check, names: tuple[str, ...], address: str, key: str) -> None:
    """Memory at rest, and the most of it under load."""
    time.sleep(5)
    for name in names:
        check.figures[name].rest = check.figures[name].load = check.on.memory(name)
    with traffic(address, key) as answered:
        end = time.monotonic() + check.seconds
        while time.monotonic() < end:
            for name in names:
                check.figures[name].load = max(check.figures[name].load, check.on.memory(name))
            time.sleep(SAMPLE)
    if answered.get("failed"):
        raise Failed(f"under load {answered}")
    check.say(f"under load for {check.seconds:.0f} s: {sum(answered.values()) / check.seconds:.0f} requests a second")


@contextmanager
def traffic(address: str, key: str) -> Iterator[dict[str, int]]:
    """Workers that ask and record as fast as they are answered; counts what became of it."""
    stop, lock, counts = threading.Event(), threading.Lock(), {"answered": 0, "failed": 0}

    def work(number: int) -> None:
        with client(address, key) as http:
            turn = 0
            while not stop.is_set():
                turn += 1
                if turn % 5:
                    query = f"what was decided about topic {number}-{turn % 50}?"
                    answer = http.post("/api/context/query", json={"query": query, "max_tokens": 2000})
                else:
                    title = f"Decide topic {number}-{turn}"
                    answer = http.post(
                        "/api/adr", json={**RECORD, "title": title, "decision": f"{title}: " + "because of load. " * 40}
                    )
                if answer.status_code == 503:  # the gateway sheds what is too much, and says when to come again
                    time.sleep(0.1)
                    continue
                with lock:
                    counts["answered" if answer.is_success else "failed"] += 1

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(WORKERS)]
    for thread in threads:
        thread.start()
    try:
        yield counts
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def table(figures: Mapping[str, Figures]) -> str:
    """The figures, as docs/operations.md has them."""
    rows = [
        "| image | adds to its base, MiB | cold start, s | of it CPU, s | at rest, MiB | under load, MiB | stops, s |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, of in figures.items():
        measured = (
            [f"{of.cold:.1f}", f"{of.cpu:.1f}", f"{of.rest:.0f}", f"{of.load:.0f}", f"{of.stopped:.1f}"]
            if of.cold
            else [""] * 5
        )
        rows.append(f"| {' | '.join([f'context-{name}', f'{of.size:.0f}', *measured])} |")
    four = [of for name, of in figures.items() if name in (*SERVICES, "gateway")]
    sums = [sum(getattr(of, column) for of in four) for column in ("size", "rest", "load")]
    rows.append("| the four services | {:.0f} | | | {:.0f} | {:.0f} | |".format(*sums))
    return "\n".join(
        ["", *rows, f"\n{os.cpu_count()} cores; {WORKERS} workers that ask and record as fast as they are answered"]
    )


def _is_ready(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=2, trust_env=False).status_code == 200
    except httpx2.TransportError:
        return False


if __name__ == "__main__":
    began = time.monotonic()
    main()
