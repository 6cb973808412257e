"""The engine as real processes under the supervisor of `make run`: replicas, faulty links, a Postgres of its own."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from context_local import embedded, health, table
from context_local.processes import Process
from context_local.supervisor import Supervisor
from tests.chaos.links import PASS, Route

ROOT = Path(__file__).parents[2]
POSTGRES = "postgres"
SERVICES = ("embedding", "knowledge", "retrieval", "gateway")
STARTS_WITHIN = 90.0  # seconds
# Who calls whom, and by which variable it is told where.
CALLS = (
    ("gateway", "knowledge", "KNOWLEDGE_ADDR"),
    ("gateway", "retrieval", "RETRIEVAL_ADDR"),
    ("gateway", "embedding", "EMBEDDING_ADDR"),
    ("retrieval", "knowledge", "KNOWLEDGE_ADDR"),
    ("retrieval", "embedding", "EMBEDDING_ADDR"),
)
STORES = ("knowledge", "retrieval")


@dataclass(frozen=True)
class Shape:
    """How a cluster is built. `links`: whether faulty links stand between its processes (one replica only)."""

    replicas: int = 1
    links: bool = False
    environ: Mapping[str, str] = field(default_factory=dict)
    sources: Path = ROOT  # whose services they are


class Cluster:
    """A running engine."""

    def __init__(self, shape: Shape, directory: Path, urls: Sequence[str], database: embedded.Cluster) -> None:
        self.shape, self.logs = shape, directory / "logs"
        self.urls = list(urls)
        self.database = database
        self.deaths: list[str] = []
        self._supervisor: Supervisor | None = None
        self._links: asyncio.subprocess.Process | None = None
        self.link_names: list[str] = []
        self.rows: dict[str, Process] = {}
        self.addresses: dict[str, str] = {}  # `host:port` by the name of a process
        self.service_secret = fresh_secret()

    @property
    def url(self) -> str:
        """The first gateway."""
        return self.urls[0]

    def pids(self) -> dict[str, int]:
        """Names and process ids of what runs."""
        return self._supervisor.pids() if self._supervisor else {}

    def errors(self) -> Counter[str]:
        """What was logged as an error so far, by process, message and last line of its exception."""
        found: Counter[str] = Counter()
        for path in sorted(self.logs.glob("*.log")):
            for line in path.read_text(errors="replace").splitlines():
                if '"level": "error"' in line or '"level":"error"' in line:
                    entry = json.loads(line)
                    exception = str(entry.get("exception", "")).strip().splitlines()
                    found[f"{path.stem}: {entry.get('message')}: {''.join(exception[-1:])[:300]}"] += 1
        return found

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send `number` to a process, and for Postgres to all of its children."""
        process = psutil.Process(self.pids()[name])
        for one in [process, *(process.children(recursive=True) if name == POSTGRES else ())]:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.send_signal(number)

    def use(self, sources: Path, *names: str) -> None:
        """Let processes be those of `sources` from their next start on."""
        folders = [sources / "libs" / "common", *sorted((sources / "services").iterdir())]
        for name in names:
            environment = self.rows[name].environment
            if isinstance(environment, dict) and name != POSTGRES:
                environment["PYTHONPATH"] = ":".join(map(str, folders))

    async def migrate(self, service: str, log: Path) -> int:
        """Run the migrations of a service once more, by the sources that its row names; answers the exit code."""
        row = self.rows[f"migrate-{service}"]
        environ = {**os.environ, **self.shape.environ, **row.environment}
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(*row.command, env=environ, stdout=output, stderr=output)
        return await process.wait()

    async def set_link(self, name: str, mode: str) -> None:
        """Break or mend a link."""
        if not self._links or not self._links.stdin or not self._links.stdout:
            raise RuntimeError("this cluster has no links")
        self._links.stdin.write(f"{name} {mode}\n".encode())
        await self._links.stdout.readline()

    async def start(self, rows: Sequence[Process], routes: Sequence[Route]) -> None:
        """Start all, and wait until it is ready."""
        if routes:
            self.link_names = [route.name for route in routes]
            command = (sys.executable, "-m", "tests.chaos.links", *map(str, routes))
            pipe = asyncio.subprocess.PIPE
            self._links = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=pipe, stdout=pipe)
            assert self._links.stdout
            await self._links.stdout.readline()
        self.rows = {row.name: row for row in rows}
        self.use(self.shape.sources, *self.rows)
        environ = {**os.environ, **self.shape.environ}
        self._supervisor = Supervisor(rows, environ, self.logs, self.deaths.append)
        self._supervisor.start()
        try:
            async with asyncio.timeout(STARTS_WITHIN):
                await self._supervisor.ready(*(row.name for row in rows))
        except TimeoutError:
            raise RuntimeError("\n".join(["the engine did not start", *self.deaths])) from None

    async def stop(self) -> None:
        """End everything."""
        for name in self.link_names:
            await self.set_link(name, PASS)
        if self._supervisor:
            await self._supervisor.stop()
        if self._links and self._links.stdin:
            self._links.stdin.close()
            await self._links.wait()


@asynccontextmanager
async def running(shape: Shape) -> AsyncIterator[Cluster]:
    """A cluster of that shape, ready; all of it is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="context-chaos-", ignore_cleanup_errors=True) as scratch:
        directory = Path(scratch)
        database = await asyncio.to_thread(embedded.prepare, directory / "postgres", sync=False)
        ports = [table.Addresses.find(health.free_ports(1)[0]) for _ in range(shape.replicas)]
        routes = _routes(ports[0], database) if shape.links else []
        cluster = Cluster(shape, directory, [at.url for at in ports], database)
        cluster.addresses = {
            _name(name, number, ports): f"{health.LOOPBACK}:{port}"
            for number, at in enumerate(ports, 1)
            for name, port in {**at.grpc, "gateway": at.gateway}.items()
        }
        try:
            await cluster.start(_rows(ports, database, routes, cluster.service_secret), routes)
            yield cluster
        except Exception:
            print(*cluster.deaths, *map(str, cluster.errors().items()), sep="\n")
            raise
        finally:
            await cluster.stop()


def _routes(at: table.Addresses, database: embedded.Cluster) -> list[Route]:
    free = iter(health.free_ports(len(CALLS) + len(STORES)))
    calls = [Route(f"{caller}-{called}", next(free), f"127.0.0.1:{at.grpc[called]}") for caller, called, _ in CALLS]
    return [*calls, *(Route(f"{name}-{POSTGRES}", next(free), str(database.socket)) for name in STORES)]


def _rows(
    ports: Sequence[table.Addresses], database: embedded.Cluster, routes: Sequence[Route], secret: str
) -> list[Process]:
    """Every process: those of the local stack, once per replica, told to call each other over the links."""
    rows = [table.postgres(database)]
    for number, at in enumerate(ports, 1):
        for row in table.services(at, database.url, needs=[POSTGRES], migrate=number == 1):
            name = row.name if row.once else _name(row.name, number, ports)
            needs = [*row.needs, *([] if row.once or row.name == "gateway" else [f"migrate-{s}" for s in STORES])]
            environment = _redirect(row, ports, {route.name: route.port for route in routes}) | {
                "SERVICE_SECRET": secret
            }
            rows.append(replace(row, name=name, needs=sorted(set(needs)), environment=environment))
    return rows


def _name(name: str, number: int, ports: Sequence[table.Addresses]) -> str:
    return name if len(ports) == 1 else f"{name}-{number}"


def _redirect(row: Process, ports: Sequence[table.Addresses], links: Mapping[str, int]) -> dict[str, str]:
    found = dict(row.environment)
    for caller, called, variable in CALLS:
        if f"{caller}-{called}" in links and row.name == caller:
            found[variable] = f"127.0.0.1:{links[f'{caller}-{called}']}"
        elif variable in found and len(ports) > 1:
            found[variable] = "ipv4:" + ",".join(f"127.0.0.1:{at.grpc[called]}" for at in ports)
    service = row.name.removeprefix("migrate-")
    if service in STORES and "MIGRATION_DATABASE_URL" not in found:
        found["MIGRATION_DATABASE_URL"] = found["DATABASE_URL"]
        parts = conninfo_to_dict(found["DATABASE_URL"])
        found["DATABASE_URL"] = make_conninfo("", **{**parts, "user": f"{service}_login"})
    port = links.get(f"{row.name}-{POSTGRES}")
    if port:
        parts = conninfo_to_dict(found["DATABASE_URL"])
        found["DATABASE_URL"] = make_conninfo("", **{**parts, "host": "127.0.0.1", "port": str(port)})
    return found


def fresh_secret() -> str:
    """A secret for one run."""
    return secrets.token_urlsafe(48)
