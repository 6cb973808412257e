"""The engine under fuzzing: production mode, something to steal, and callers of every kind."""

import io
import json
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from tests.chaos.access import EVERY_SCOPE, NAMESPACE_HEADER, Production, bearer
from tests.chaos.cluster import Cluster, Shape, running
from tests.chaos.report import Report

OPEN, SECRET = "open", "secret"  # namespaces: the callers', and the one that nobody but its owner may see
CANARY = "canaryq7x"  # stands in everything that the second one holds
HANG = 20.0  # seconds; nothing may take longer
READ, WRITE = "context:read", "knowledge:write"


@dataclass(frozen=True)
class Target:
    """The running engine. `callers`: headers by the kind of credential."""

    cluster: Cluster
    callers: Mapping[str, Mapping[str, str]]
    access: Production

    @property
    def url(self) -> str:
        """The gateway."""
        return self.cluster.url


@dataclass
class Tally:
    """Cases of one kind, and what was wrong with any of them."""

    cases: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    wrong: dict[str, list[str]] = field(default_factory=dict)
    slowest: float = 0.0

    def judge(self, what: str, status: int, seconds: float, text: str) -> None:
        """Count a case, and what no answer may be: our fault, late, or out of the other namespace."""
        self.count(str(status), seconds)
        if status >= 500:
            self.blame("5xx", f"{what}: {status} {text[:300]}")
        if seconds > HANG:
            self.blame("hangs", f"{what}: {seconds:.1f} s")
        if CANARY in text:
            self.blame("namespaces crossed", f"{what}: {text[:300]}")

    def count(self, status: str, seconds: float) -> None:
        """Count a case."""
        self.cases += 1
        self.statuses[status] += 1
        self.slowest = max(self.slowest, seconds)

    def blame(self, reason: str, what: str) -> None:
        """Note what was wrong."""
        self.wrong.setdefault(reason, []).append(what)

    def tell(self, name: str, report: Report) -> None:
        """Put it into the figures."""
        bad = sum(map(len, self.wrong.values()))
        summary = ", ".join(f"{status}: {count}" for status, count in sorted(self.statuses.items()))
        report.ask(f"{name}: cases", self.cases, "more than 0", ok=self.cases > 0)
        report.tell(f"{name}: answers", summary)
        report.tell(f"{name}: slowest, s", round(self.slowest, 2))
        report.ask(f"{name}: wrong", {r: len(w) for r, w in self.wrong.items()} if bad else 0, "0", ok=not bad)
        report.details[name] = {reason: some[:30] for reason, some in self.wrong.items()}


@asynccontextmanager
async def engine() -> AsyncIterator[Target]:
    """An engine that holds canaries, and credentials for it."""
    access = Production()
    # What is fuzzed is checked for what it answers, not for how often it may be asked.
    environ = {**access.environ, "RATE_LIMIT_AUTH": access.rate_limit, "RATE_LIMIT_BULK": access.rate_limit}
    async with running(Shape(environ=environ)) as cluster:
        read, write, admin = [
            await access.key(cluster.url, scopes, [OPEN]) for scopes in ((READ,), (READ, WRITE), EVERY_SCOPE)
        ]
        other = await access.key(cluster.url, EVERY_SCOPE, [SECRET])
        await _plant(cluster.url, bearer(other)(SECRET))
        forged = f"{admin[:-8]}{secrets.token_hex(4)}"
        callers = {
            "none": {NAMESPACE_HEADER: OPEN},
            "bad": bearer(forged)(OPEN),
            "read": bearer(read)(OPEN),
            "write": bearer(write)(OPEN),
            "admin": bearer(admin)(OPEN),
            "other": bearer(admin)(SECRET),  # shows a credential that does not hold there
        }
        yield Target(cluster, callers, access)


async def _plant(url: str, headers: Mapping[str, str]) -> None:
    """Fill the other namespace, under the ids that are tried first."""
    items = [
        *({"type": "adr", "title": f"{CANARY} choice {n}", "decision": f"{CANARY} stands"} for n in range(1, 30)),
        *({"type": "failure", "title": f"{CANARY} fault {n}", "root_cause": f"{CANARY} broke"} for n in range(1, 30)),
        {"type": "meeting", "meeting_title": CANARY, "date": "2026-01-01", "decisions": [{"decision": CANARY}]},
        {"type": "snapshot", "commit_hash": "a" * 40, "commit_message": CANARY, "author": CANARY},
    ]
    body = "\n".join(map(json.dumps, items))
    sent = {**headers, "Content-Type": "application/x-ndjson", "Prefer": "wait=60"}
    async with aiohttp.ClientSession() as session, session.post(f"{url}/api/bulk", data=body, headers=sent) as answer:
        lines = [json.loads(line) for line in (await answer.text()).splitlines()]
    if len(lines) != len(items) or any(line["status"] == "error" for line in lines):
        raise RuntimeError(f"the canaries could not be planted: {lines}")


async def request(
    session: aiohttp.ClientSession, method: str, url: str, headers: Mapping[str, str], body: bytes | None
) -> tuple[int, float, str]:
    """Status, seconds and text (headers included) of one answer; status 0 where the connection ended without one."""
    start = time.monotonic()
    try:
        data = io.BytesIO(body) if body else None  # in one piece it would be complained about where it is large
        async with session.request(method, url, headers=headers, data=data, allow_redirects=False) as answer:
            text = await answer.text(errors="replace")
            shown = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
            return answer.status, time.monotonic() - start, f"{shown}\n\n{text}"
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        return 0, time.monotonic() - start, repr(error)
