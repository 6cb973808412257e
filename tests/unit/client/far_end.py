"""The far end of the wire: answers as API.md says, from memory, and does what a test tells it to do instead."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx2

from context_client import Client, Settings

PREFIXES = {"adr": "ADR", "failure": "FAIL", "meeting": "MEET", "snapshot": "SNAP"}
Handler = Callable[[httpx2.Request], httpx2.Response | None]


class Engine:
    """A context engine of one namespace. `before` may answer, or raise, in its place."""

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {}
        self.edges: set[tuple[str, str, str]] = set()
        self.requests: list[httpx2.Request] = []
        self.aside: list[dict[str, Any]] = []
        self.writes = 0
        self.before: list[Handler] = []
        self.waited: list[float] = []

    def client(self, settings: Settings | None = None) -> Client:
        return Client(settings, transport=self.transport, sleep=self.waited.append)

    @property
    def transport(self) -> httpx2.MockTransport:
        return httpx2.MockTransport(self.handle)

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        request.read()
        self.requests.append(request)
        if self.before and (answer := self.before.pop(0)(request)):
            return answer
        method, path = request.method, request.url.path
        if path == "/api/bulk":
            return httpx2.Response(200, content=b"".join(self.bulk(request.content)))
        if path == "/api/graph/relationships":
            return self.relate(method, json.loads(request.content))
        if path == "/api/admin/index":
            return httpx2.Response(200, json={"pending": 0, "lag_seconds": 0.0, "model": "m"})
        if path == "/api/admin/index/set-aside":
            return httpx2.Response(200, json={"items": self.aside, "next_cursor": None})
        match = re.fullmatch(r"/api/(?:context/)?(adr|failure|meeting|snapshot)(?:/([^/]+))?", path)
        if match and method == "POST":
            return httpx2.Response(201, json=self.create(match[1], json.loads(request.content)) | {"indexed": True})
        if match and match[2] and method == "PATCH" and match[2] in self.items:
            self.items[match[2]] |= json.loads(request.content)
            return httpx2.Response(200, json=self.items[match[2]] | {"indexed": True})
        if match and match[2] and method == "DELETE" and match[2] in self.items:
            del self.items[match[2]]
            return httpx2.Response(200, json={"id": match[2], "deleted": True, "indexed": True})
        if match and match[2]:
            return self.get(match[2])
        if match:
            found = [item for item in self.items.values() if item["type"] == match[1]]
            return httpx2.Response(200, json={"items": found, "next_cursor": None})
        return problem(404, "Not found", f"there is no {path}")

    def bulk(self, content: bytes) -> Iterator[bytes]:
        for number, line in enumerate(content.splitlines(), 1):
            if not line.strip():
                continue
            answer = {"line": number} | self.record(json.loads(line))
            yield json.dumps(answer).encode() + b"\n"

    def record(self, given: dict[str, Any]) -> dict[str, Any]:
        if "refuse" in given.get("title", ""):
            details = {"title": ["is refused"]}
            return {"status": "error", "error": "Validation failed", "code": "validation_failed", "details": details}
        if "deleted" in given.get("title", ""):
            said = {"code": "conflict", "detail": "ADR-002 was deleted; ids are not used again", "details": {}}
            return {"status": "error", "id": "ADR-002", "error": "Conflict", **said}
        key = "commit_hash" if given["type"] == "snapshot" else "source_uri"
        held = next((item for item in self.items.values() if given.get(key) and item.get(key) == given[key]), None)
        if held is None:
            return {"id": self.create(given["type"], given)["id"], "status": "created", "indexed": True}
        superseded = {end for _, end, kind in self.edges if kind == "supersedes"}
        same = all(held.get(n) == v or (n == "status" and held["id"] in superseded) for n, v in given.items())
        if not same:
            held |= given
            self.writes += 1
        return {"id": held["id"], "status": "unchanged" if same else "updated", "indexed": True}

    def create(self, kind: str, given: dict[str, Any]) -> dict[str, Any]:
        number = 1 + sum(item["type"] == kind for item in self.items.values())
        item = {**given, "id": f"{PREFIXES[kind]}-{number:03d}", "type": kind}
        self.items[item["id"]] = item
        self.writes += 1
        for named in re.findall(r"\bADR-(\d+)\b", json.dumps({k: v for k, v in given.items() if k != "source_uri"})):
            if f"ADR-{int(named):03d}" != item["id"]:
                self.edges.add((item["id"], f"ADR-{int(named):03d}", "references"))
        return item

    def get(self, item_id: str) -> httpx2.Response:
        if item_id not in self.items:
            return problem(404, "Not found", f"there is no {item_id}")
        near = [
            {"id": end, "type": "adr", "title": end, "relationship": kind, "direction": "outgoing"}
            for start, end, kind in sorted(self.edges)
            if start == item_id and end in self.items
        ]
        return httpx2.Response(200, json=self.items[item_id] | {"related_items": near})

    def relate(self, method: str, body: dict[str, Any]) -> httpx2.Response:
        edge = (body["from"], body["to"], body["type"])
        if method == "DELETE":
            if edge not in self.edges:
                return problem(404, "Not found", "there is no such relationship")
            self.edges.remove(edge)
            self.writes += 1
            return httpx2.Response(200, json={"deleted": True})
        created = edge not in self.edges
        self.edges.add(edge)
        self.writes += created
        return httpx2.Response(201 if created else 200, json={**body, "created": created, "indexed": True})


def problem(status: int, title: str, detail: str = "", **more: Any) -> httpx2.Response:
    """A problem document."""
    headers = {"content-type": "application/problem+json"}
    if "retry_after" in more:
        headers["retry-after"] = str(more["retry_after"])
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, "error": title, **more}
    return httpx2.Response(status, json=body, headers=headers)


def answering(response: httpx2.Response) -> Handler:
    return lambda _: response


def refusing(request: httpx2.Request) -> httpx2.Response:
    """Nobody listens."""
    raise httpx2.ConnectError("refused", request=request)


def losing(request: httpx2.Request) -> httpx2.Response:
    """The connection is lost before the answer."""
    raise httpx2.ReadError("reset", request=request)
