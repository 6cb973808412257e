"""Records something, finds it again and takes it away: whether an installation does its job, in seconds."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

from context_client.client import Client
from context_client.doctor.findings import Finding, State
from context_client.errors import ApiError, ContextError, Denied

BUDGET = 1000  # tokens


class Smoke:
    """One run through `client`, in the namespace that it names."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._word = f"smoke{uuid4().hex[:12]}"
        self._id = ""

    def run(self) -> Iterator[Finding]:
        """A finding for each step; nothing follows one that failed but taking away what was recorded."""
        steps: tuple[tuple[str, Callable[[], str]], ...] = (
            ("health", self._health),
            ("record", self._record),
            ("read", self._read),
            ("search", self._search),
            ("context", self._context),
        )
        for name, step in steps:
            found = _attempt(name, step)
            yield found
            if found.state is not State.OK:
                break
        if self._id:
            yield self._take_away()

    def _health(self) -> str:
        body, _ = self._client.health()
        if body["status"] == "unhealthy":
            raise ContextError(f"unhealthy: {body['checks']}")
        return str(body["status"])

    def _record(self) -> str:
        made: Any = self._client.create(
            "adr",
            {
                "title": f"Smoke test {self._word}",
                "decision": f"The word {self._word} is looked for and then deleted.",
                "tags": ["smoke"],
            },
        )
        self._id = made["id"]
        if not made["indexed"]:
            raise ContextError(f"{self._id} was stored, but was not searchable within the time that a write waits")
        return self._id

    def _read(self) -> str:
        item: Any = self._client.get(self._id)
        if self._word not in item["title"]:
            raise ContextError(f"{self._id} came back as {item['title']!r}")
        return f"version {item['version']}"

    def _search(self) -> str:
        found: Any = self._client.search(self._word, {"top_k": 3})
        ids = [result["id"] for result in found["results"]]
        if self._id not in ids:
            raise ContextError(f"a search for its own word found {ids}")
        return f"{found['took_ms']} ms" + (", degraded: by words alone" if found["degraded"] else "")

    def _context(self) -> str:
        bundle: Any = self._client.query(f"what was decided about {self._word}?", {"max_tokens": BUDGET})
        ids = [item["id"] for item in bundle["key_decisions"]]
        if self._id not in ids or bundle["tokens_used"] > BUDGET:
            raise ContextError(f"the bundle holds {ids} in {bundle['tokens_used']} tokens")
        return f"{bundle['tokens_used']} tokens"

    def _take_away(self) -> Finding:
        try:
            self._client.delete(self._id)
        except Denied:
            return Finding(
                "delete", State.WARNING, f"{self._id} is left: this credential may not delete", "scope admin"
            )
        except ContextError as error:
            return Finding("delete", State.FAILED, str(error), f"{self._id} is left")
        return Finding("delete", State.OK, self._id)


def _attempt(name: str, step: Callable[[], str]) -> Finding:
    try:
        return Finding(name, State.OK, step())
    except ApiError as error:
        request = error.problem.get("request_id", "?")
        return Finding(name, State.FAILED, f"{error.status}: {error}", f"the logs under request id {request}")
    except (ContextError, KeyError, TypeError) as error:
        return Finding(name, State.FAILED, str(error), "contextctl doctor")
