"""The corpora, through every text of every operation: body fields, path and query parameters, headers."""

import asyncio
import copy
import json
import random
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp

from tests.chaos.report import Report
from tests.fuzz.corpora import CORPORA, FORGED, SLEEP, WORKED
from tests.fuzz.target import Tally, Target, request

# Bodies that are taken, by operation; every text in them is replaced in turn.
ADR = {
    "title": "t", "decision": "d", "context": "c", "tags": ["x"], "author": "a", "source_uri": "u", "status": "active",
    "created_date": "2026-01-01", "options_considered": {"one": "o"}, "stakeholders": ["s"], "supersedes": ["ADR-001"],
}  # fmt: skip
FAILURE = {
    "title": "t", "root_cause": "r", "symptoms": "s", "severity": "low", "pattern": "p", "app_name": "n",
    "environment": "e", "prevention": ["p"], "incident_date": "2026-01-01", "resolution": "r",
}  # fmt: skip
MEETING = {
    "meeting_title": "t", "date": "2026-01-01", "attendees": ["a"],
    "decisions": [{"decision": "d", "rationale": "r", "action_items": [{"task": "t", "owner": "o", "due": "x"}]}],
}  # fmt: skip
SNAPSHOT = {
    "commit_hash": "b" * 40,
    "commit_message": "m",
    "author": "a",
    "commit_type": "bugfix",
    "references": "ADR-1",
}
QUERY = {"query": "q", "domains": ["d"], "types": ["adr"], "namespaces": ["open"], "from": "2026-01-01"}
FEEDBACK = {"query_text": "q", "overall_rating": 4, "items_used": ["ADR-001"], "missing_context": "m", "agent_id": "a"}
BODIES: Mapping[str, Mapping[str, Any]] = {
    "POST /api/adr": ADR,
    "PATCH /api/adr/ADR-001": ADR,
    "POST /api/failure": FAILURE,
    "POST /api/meeting": MEETING,
    "POST /api/context/snapshot": SNAPSHOT,
    "POST /api/context/query": QUERY,
    "POST /api/search": {"query": "q", "tags": ["t"], "statuses": ["active"], "mode": "hybrid", "namespaces": ["open"]},
    "POST /api/graph/relationships": {"from": "ADR-001", "to": "ADR-002", "type": "references"},
    "POST /api/admin/keys": {"name": "n", "scopes": ["context:read"], "namespaces": ["open"]},
    "POST /v1/embeddings": {"input": ["text"], "model": "m"},
    "POST /api/feedback": FEEDBACK,
}
PATHS = (
    "GET /api/adr/{}", "GET /api/failure/{}", "GET /api/snapshot/{}", "DELETE /api/adr/{}", "GET /api/graph/related/{}",
    "GET /api/context/domain/{}", "GET /api/admin/keys/{}", "DELETE /api/admin/keys/{}", "GET /{}", "GET /api/{}",
    "GET /docs/{}", "GET /api/context/receipts/{}", "POST /api/admin/review/{}", "GET /api/skills/{}",
    "GET /api/feedback/{}",
)  # fmt: skip
QUERIES = {
    "GET /api/adr": ("status", "tags", "author", "from", "to", "q", "cursor", "limit", "fields"),
    "GET /api/failure": ("severity", "pattern", "app_name", "q"),
    "GET /api/context/recent": ("limit", "types"),
    "GET /api/context/timeline": ("from", "to"),
    "GET /api/graph/related/ADR-001": ("depth", "direction", "types", "limit", "type"),
    "GET /api/feedback": ("query_id", "item_id", "cursor", "limit"),
    "GET /api/feedback/stats": ("days_back",),
    "GET /api/admin/audit": ("principal", "action", "item_id", "request_id", "since", "until", "cursor", "limit"),
    "GET /api/admin/keys": ("cursor", "limit"),
}
HEADERS = (
    "X-Context-Namespace", "X-Request-Id", "Idempotency-Key", "If-Match", "Prefer", "Host", "Origin", "Accept",
    "Content-Type", "X-Forwarded-For", "Forwarded", "Cookie", "Authorization", "User-Agent",
)  # fmt: skip
AT_ONCE = 6  # requests; more would be shed
Sent = tuple[str, str, Mapping[str, str], bytes | None]  # method, address, headers beside the credential, body


async def inject(target: Target, start: int, report: Report) -> None:
    """Send every text of every corpus to every place that takes one, as an administrator of one namespace."""
    rng = random.Random(start)
    turn = asyncio.Semaphore(AT_ONCE)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:

        async def one(sent: Sent, text: str, tally: Tally) -> None:
            async with turn:
                await _one(session, target, sent, text, tally)

        for name, texts in CORPORA.items():
            tally = Tally()
            for text in texts:
                await asyncio.gather(*(one(sent, text, tally) for sent in places(text, rng)))
            _look_at_logs(target, tally)
            tally.tell(f"injection, {name}", report)
            print(f"injection, {name}: {tally.cases} cases", flush=True)


async def _one(session: aiohttp.ClientSession, target: Target, sent: Sent, text: str, tally: Tally) -> None:
    method, path, headers, body = sent
    try:
        status, seconds, answer = await request(
            session, method, target.url + path, {**target.callers["admin"], **headers}, body
        )
    except (ValueError, UnicodeError):
        return  # the client itself refuses to send it; tests/fuzz/clients.py sends such things over a bare socket
    what = f"{method} {path} {dict(headers)} {text!r}"
    tally.judge(what, status, seconds, answer)
    if status == 0:
        tally.blame("no answer", f"{what}: {answer}")
    if seconds > SLEEP:
        tally.blame("slept", what)
    shown = answer.replace(text, "").replace(json.dumps(text)[1:-1], "")
    for sign in WORKED:
        if sign.lower() in shown.lower():
            tally.blame("worked", f"{what}: {sign!r} in {shown[:300]!r}")


def places(text: str, rng: random.Random) -> Iterator[Sent]:
    """Every request that carries `text` somewhere."""
    for operation, body in BODIES.items():
        method, path = operation.split()
        for changed in replaced(body, text):
            if "namespaces" not in operation:
                yield method, path, {"Content-Type": "application/json", "Prefer": "respond-async"}, _json(changed)
    for operation in PATHS:
        method, path = operation.split()
        yield method, path.format(quote(text, safe="")), {}, None
        yield method, path.format(quote(text, safe="/%.")), {}, None
    for operation, names in QUERIES.items():
        method, path = operation.split()
        for name in names:
            yield method, f"{path}?{urlencode({name: text})}", {}, None
    for name in HEADERS:
        yield "GET", "/api/adr?limit=1", {name: text}, None
    yield "GET", f"/api/adr?{quote(text)}={rng.random()}", {}, None
    yield "POST", "/api/bulk", {"Content-Type": "application/x-ndjson"}, _json({"type": text, "title": text})
    yield "POST", "/api/adr", {"Content-Type": "application/json"}, text.encode("utf-8", "surrogatepass")


def replaced(value: Any, text: str) -> Iterator[Any]:
    """`value` with one of its texts, or names, after the other replaced by `text`."""
    if isinstance(value, str):
        yield text
    elif isinstance(value, Mapping):
        for name in value:
            for changed in replaced(value[name], text):
                yield {**copy.deepcopy(dict(value)), name: changed}
        yield {**value, text: "x"}
    elif isinstance(value, list):
        for at, one in enumerate(value):
            for changed in replaced(one, text):
                yield [*value[:at], changed, *value[at + 1 :]]


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _look_at_logs(target: Target, tally: Tally) -> None:
    """A forged line is one that is no JSON object of ours, or has the forged message."""
    for path in sorted(target.cluster.logs.glob("*.log")):
        if path.stem == "postgres":
            continue
        for line in path.read_text(errors="replace").splitlines():
            if FORGED not in line:
                continue
            try:
                entry = json.loads(line)
            except ValueError:
                tally.blame("log lines forged", f"{path.name}: {line[:200]!r}")
                continue
            if entry.get("message") == FORGED or "\x1b" in line:
                tally.blame("log lines forged", f"{path.name}: {line[:200]!r}")
