"""Writers and readers that note every attempt, and every write that was acknowledged to them."""

import asyncio
import json
import math
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.chaos.access import Headers

TIMEOUT = 20.0  # seconds a caller waits; longer than anything stands still
RETRY_PAUSE = 0.1  # seconds before the same write is tried again
BULK = 3  # items of one bulk request
NAMESPACES = ("chaos-a", "chaos-b", "chaos-c", "chaos-d")
WRITES = {"create": 40, "bulk": 15, "change": 30, "relate": 12, "delete": 3}  # how often each, of a hundred
SAID = {"rate": 6}  # which the release before knows nothing of
ANSWERED_BY_RETRIEVAL = ("query", "search", "recent")
ANSWERED_BY_KNOWLEDGE = ("get", "list")
READS = (*ANSWERED_BY_RETRIEVAL, *ANSWERED_BY_KNOWLEDGE)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request: when (monotonic seconds), what came of it (0: no answer at all) and what was wrong."""

    kind: str
    start: float
    end: float
    status: int
    error: str = ""
    retry_after: str = ""

    @property
    def ok(self) -> bool:
        """Whether it was answered as it should be."""
        return not self.error


@dataclass(slots=True)
class Change:
    """A change of an item: when it was first sent and when acknowledged, in monotonic seconds; None: it never was."""

    sent: float
    acknowledged: float | None = None


@dataclass(slots=True)
class Written:
    """An acknowledged item as it must be found afterwards."""

    namespace: str
    type: str
    marker: str
    id: str
    changes: list[Change] = field(default_factory=list)  # the first is step 1
    deleting: bool = False  # a deletion was sent
    deleted: bool = False  # and acknowledged
    searchable: bool = False

    def may_stand(self, step: int) -> bool:
        """Whether that change may be what is found: one that was sent after it was acknowledged would have replaced it.

        Of changes that were under way at once any may come last. Step 0 is the item as it was created.
        """
        if step > len(self.changes):
            return False
        ended = self.changes[step - 1].acknowledged if step else -math.inf
        return ended is None or not any(one.acknowledged is not None and one.sent > ended for one in self.changes)


@dataclass
class Journal:
    """What happened."""

    attempts: list[Attempt] = field(default_factory=list)
    written: list[Written] = field(default_factory=list)
    edges: set[tuple[str, str, str]] = field(default_factory=set)  # namespace, from, to
    said: list[tuple[str, str, str]] = field(default_factory=list)  # acknowledged feedback: namespace, id, marker
    unsettled: list[str] = field(default_factory=list)  # markers of creates that were never acknowledged

    def first_success(self, kind: str, since: float) -> float | None:
        """Seconds from `since` to the end of the first success of a request of `kind` that began after it."""
        ends = (a.end for a in self.attempts[-4000:] if a.ok and a.kind == kind and a.start >= since)
        return min((end - since for end in ends), default=None)


class WrongAnswerError(Exception):
    """It was answered by 200, but not with the truth."""


class RefusedError(Exception):
    """It was answered by 200, but a line within says that it could not be done."""


class Caller:
    """One client. `force_close`: it opens a connection for each request, as those who ask seldom do."""

    def __init__(self, urls: list[str], headers: Headers, journal: Journal, *, force_close: bool = False) -> None:
        self._urls, self._headers, self._journal = urls, headers, journal
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=TIMEOUT),
            connector=aiohttp.TCPConnector(limit=0, force_close=force_close),
        )

    async def close(self) -> None:
        """Close its connections."""
        await self._session.close()

    async def send(
        self,
        kind: str,
        method: str,
        path: str,
        namespace: str,
        *,
        check: Callable[[Any], None] = lambda _: None,
        accept: tuple[int, ...] = (200, 201),
        headers: Mapping[str, str] | None = None,
        **body: Any,
    ) -> Any | None:
        """Send one request and note it; gives the answer, None where there was none or it was no success."""
        start = time.monotonic()
        status, error, answer, later = 0, "", None, ""
        sent = {**self._headers(namespace), **(headers or {})}
        try:
            async with self._session.request(method, self._urls[0] + path, headers=sent, **body) as response:
                status, later, text = response.status, response.headers.get("Retry-After", ""), await response.text()
                if status not in accept:
                    error = f"{status} {text[:300]}"
                else:
                    answer = [json.loads(line) for line in text.splitlines()] if kind == "bulk" else json.loads(text)
                    check(answer)
        except (aiohttp.ClientError, TimeoutError, OSError) as raised:
            error, answer = repr(raised)[:300], None
        except WrongAnswerError as raised:
            error, answer = f"wrong: {raised}", None
        except RefusedError as raised:
            error, answer = f"refused: {raised}"[:300], None
        self._journal.attempts.append(Attempt(kind, start, time.monotonic(), status, error, later))
        return answer


class Writer:
    """Creates, changes, relates, rates and deletes items of its own; tries each write until it is acknowledged."""

    def __init__(
        self, number: int, caller: Caller, journal: Journal, rng: random.Random, writes: Mapping[str, int] = WRITES
    ) -> None:
        self._writes = writes
        self._number, self._namespace = number, namespace_of(number)
        self._caller, self._journal, self._rng = caller, journal, rng
        self._count = 0
        self._own: list[Written] = []

    async def step(self) -> None:
        """One write, chosen by lot."""
        enough = len(self._own) > 3
        (kind,) = self._rng.choices(list(self._writes), list(self._writes.values()))
        await self.write(kind if enough else "create")

    async def write(self, kind: str) -> None:
        """One write of that kind; a change needs an item of one's own, a relation and a rating two."""
        acts = {"create": self._create, "bulk": self._bulk, "change": self._change}
        await (acts | {"relate": self._relate, "rate": self._rate, "delete": self._delete})[kind]()

    def _marker(self) -> str:
        self._count += 1
        return f"mk{self._number:03d}x{self._count:05d}z"

    async def _until(self, attempt: Callable[[], Awaitable[Any | None]]) -> Any:
        while (answer := await attempt()) is None:
            await asyncio.sleep(RETRY_PAUSE)
        return answer

    async def _create(self) -> None:
        kind, marker = self._rng.choice(("adr", "failure", "meeting")), self._marker()
        body, key = item(kind, marker), {"Idempotency-Key": f"{self._namespace}-{marker}"}
        self._journal.unsettled.append(marker)
        answer = await self._until(
            lambda: self._caller.send("create", "POST", f"/api/{kind}", self._namespace, json=body, headers=key)
        )
        self._journal.unsettled.remove(marker)
        self._keep(kind, marker, answer["id"], searchable=bool(answer["indexed"]))

    async def _bulk(self) -> None:
        markers = [self._marker() for _ in range(BULK)]
        lines = [{"type": "adr", **item("adr", m), "source_uri": f"chaos://{self._number}/{m}"} for m in markers]
        body = "\n".join(map(json.dumps, lines))
        headers = {"Content-Type": "application/x-ndjson", "Prefer": "wait=2"}
        self._journal.unsettled += markers

        def all_well(answer: Any) -> None:
            bad = [line for line in answer if line["status"] == "error"]
            if bad or len(answer) != len(lines):  # a broken stream leaves lines unanswered
                raise RefusedError(str(bad or answer))

        answer = await self._until(
            lambda: self._caller.send(
                "bulk", "POST", "/api/bulk", self._namespace, data=body, headers=headers, check=all_well
            )
        )
        for marker, line in zip(markers, answer, strict=True):
            self._journal.unsettled.remove(marker)
            self._keep("adr", marker, line["id"], searchable=bool(line.get("indexed")))

    async def _change(self) -> None:
        written = self._rng.choice(self._own)
        change, written.searchable = Change(time.monotonic()), False
        written.changes.append(change)
        path = f"/api/{written.type}/{written.id}"
        body = {"tags": ["chaos", f"step-{len(written.changes)}"]}
        await self._until(lambda: self._caller.send("change", "PATCH", path, self._namespace, json=body))
        change.acknowledged = time.monotonic()

    async def _relate(self) -> None:
        one, other = self._rng.sample(self._own, 2)
        body = {"from": one.id, "to": other.id, "type": "related_to"}
        await self._until(
            lambda: self._caller.send("relate", "POST", "/api/graph/relationships", self._namespace, json=body)
        )
        self._journal.edges.add((self._namespace, one.id, other.id))

    async def _rate(self) -> None:
        one, other = self._rng.sample(self._own, 2)
        marker = self._marker()
        body = {"items_helpful": [one.id], "items_not_helpful": [other.id], "session_id": marker}
        key = {"Idempotency-Key": f"{self._namespace}-{marker}"}
        answer = await self._until(
            lambda: self._caller.send("rate", "POST", "/api/feedback", self._namespace, json=body, headers=key)
        )
        self._journal.said.append((self._namespace, answer["id"], marker))

    async def _delete(self) -> None:
        written = self._own.pop(self._rng.randrange(len(self._own)))
        written.deleting, written.searchable = True, False
        path = f"/api/{written.type}/{written.id}"
        # 404: an earlier attempt did it, and its answer was lost.
        await self._until(lambda: self._caller.send("delete", "DELETE", path, self._namespace, accept=(200, 404)))
        written.deleted = True

    def _keep(self, kind: str, marker: str, found: str, *, searchable: bool) -> None:
        written = Written(self._namespace, kind, marker, found, searchable=searchable)
        self._own.append(written)
        self._journal.written.append(written)


class Reader:
    """Asks for what was acknowledged as searchable, and takes no other answer."""

    def __init__(self, caller: Caller, journal: Journal, rng: random.Random) -> None:
        self._caller, self._journal, self._rng = caller, journal, rng

    async def step(self) -> None:
        """One read, chosen by lot."""
        await self.read(self._rng.choice(READS))

    async def read(self, kind: str) -> None:
        """One read of that kind, or of another that needs no item while there is none."""
        known = [w for w in self._journal.written[-400:] if w.searchable]
        if kind in ("recent", "list") or not known:
            path = "/api/context/recent" if kind in ANSWERED_BY_RETRIEVAL else "/api/adr?limit=20"
            kind = "recent" if kind in ANSWERED_BY_RETRIEVAL else "list"
            namespace = self._rng.choice(NAMESPACES)
            await self._caller.send(
                kind, "GET", path, namespace, check=lambda answer: _must_belong(namespace, answer["items"])
            )
            return
        await getattr(self, f"_{kind}")(self._rng.choice(known))

    async def _query(self, written: Written) -> None:
        body = {"query": f"What was chosen in {written.marker}?", "max_tokens": 2000}
        parts = ("key_decisions", "known_issues", "recent_changes")
        await self._caller.send(
            "query", "POST", "/api/context/query", written.namespace, json=body,
            check=lambda answer: _must_match(written.namespace, [found for part in parts for found in answer[part]]),
        )  # fmt: skip

    async def _search(self, written: Written) -> None:
        body = {"query": written.marker, "top_k": 3}
        await self._caller.send(
            "search", "POST", "/api/search", written.namespace, json=body,
            check=lambda answer: _must_have(written, answer["results"]),
        )  # fmt: skip

    async def _get(self, written: Written) -> None:
        path = f"/api/{written.type}/{written.id}"
        await self._caller.send(
            "get", "GET", path, written.namespace, check=lambda answer: _must_have(written, [answer])
        )


def namespace_of(number: int) -> str:
    """Where the writer of that number writes."""
    return NAMESPACES[number % len(NAMESPACES)]


def _must_have(written: Written, found: list[Any]) -> None:
    _must_belong(written.namespace, found)
    # It may have been changed or deleted while the question was under way.
    if written.searchable and written.id not in [one["id"] for one in found]:
        raise WrongAnswerError(f"{written.id} ({written.marker}) is not among {[one['id'] for one in found]}")


def _must_match(namespace: str, found: list[Any]) -> None:
    _must_belong(namespace, found)
    if not found:
        raise WrongAnswerError("a question with a match is answered with nothing")


def _must_belong(namespace: str, found: list[Any]) -> None:
    """Each marker names its writer, and so the namespace that it was written to."""
    for one in found:
        number = int(one["title"].split("mk")[1][:3])
        if namespace_of(number) != namespace:
            raise WrongAnswerError(f"{one['id']} of {namespace_of(number)} was shown in {namespace}")


def item(kind: str, marker: str) -> dict[str, Any]:
    """An item that can be told from every other by `marker`."""
    title, text = f"Choice {marker}", f"Take part {marker} because it was measured to be enough."
    if kind == "adr":
        return {"title": title, "decision": text, "tags": ["chaos"]}
    if kind == "failure":
        return {"title": title, "root_cause": text, "tags": ["chaos"]}
    return {"meeting_title": title, "date": "2026-01-15", "decisions": [{"decision": text}], "tags": ["chaos"]}


async def keep(step: Callable[[], Awaitable[None]], think: float, rng: random.Random, until: asyncio.Event) -> None:
    """Take steps with pauses of `think` seconds on average between them, until `until` is set."""
    while not until.is_set():
        await step()
        await asyncio.sleep(rng.uniform(0.5, 1.5) * think)
