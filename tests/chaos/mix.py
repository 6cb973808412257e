"""Mixed work at a fixed rate, whether it is answered or not: questions and records of tests/quality."""

import asyncio
import json
import random
import time
import tomllib
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp

from tests.chaos.traffic import Attempt, Caller, Journal

QUALITY = Path(__file__).parents[1] / "quality"
NAMESPACE = "mix"
# Share of each kind of request, in percent.
SHARES = {"query": 45, "search": 20, "recent": 8, "get": 12, "list": 5, "create": 6, "change": 4}
BATCH = 200  # items of one bulk call
KEPT = 500  # items that changes go round
FILLERS = 1000  # items made of other records' sentences, so that there is something to search through


class Mix:
    """Sends requests by the shares above. No two questions are alike, so that none is answered from a cache."""

    def __init__(self, caller: Caller, rng: random.Random) -> None:
        self._caller, self._rng = caller, rng
        self._questions = [row["ask"] for row in tomllib.loads((QUALITY / "questions.toml").read_text())["records"]]
        self._records = [json.loads(line) for line in (QUALITY / "records.ndjson").read_text().splitlines()]
        self._words = sorted({word for question in self._questions for word in question.split()})
        self._ids: list[str] = []
        self._sent = 0

    async def prepare(self) -> None:
        """Record what the questions are about, and the fillers."""
        items = [*self._records, *self._fillers()]
        for start in range(0, len(items), BATCH):
            await self._load(items[start : start + BATCH])

    async def _load(self, items: list[dict[str, str]]) -> None:
        body = "\n".join(map(json.dumps, items))
        headers = {"Content-Type": "application/x-ndjson", "Prefer": "wait=60"}
        timeout = aiohttp.ClientTimeout(total=120)
        lines = await self._caller.send(
            "bulk", "POST", "/api/bulk", NAMESPACE, data=body, headers=headers, timeout=timeout
        )
        if not lines or any(line["status"] == "error" for line in lines):
            raise RuntimeError(f"the records could not be loaded: {lines}")
        self._ids += [line["id"] for line in lines if line["id"].startswith("ADR")]

    def _fillers(self) -> list[dict[str, str]]:
        texts = [text for record in self._records for text in record.values() if isinstance(text, str)]
        sentences = sorted({sentence for text in texts for sentence in text.split(". ") if len(sentence) > 40})
        return [
            {"type": "adr", "title": f"Choice {number}", "decision": ". ".join(self._rng.sample(sentences, 4))}
            for number in range(FILLERS)
        ]

    async def send(self) -> None:
        """One request, chosen by lot."""
        self._sent += 1
        kind = self._rng.choices(list(SHARES), list(SHARES.values()))[0]
        acts: dict[str, Callable[[], Awaitable[None]]] = {
            "query": self._query,
            "search": self._search,
            "get": self._get,
            "create": self._create,
            "change": self._change,
        }
        if kind in acts:
            await acts[kind]()
        else:
            path = "/api/context/recent" if kind == "recent" else "/api/adr?limit=20"
            await self._caller.send(kind, "GET", path, NAMESPACE)

    def _question(self) -> str:
        return f"{self._rng.choice(self._questions)} {' '.join(self._rng.sample(self._words, 2))} {self._sent}"

    async def _query(self) -> None:
        await self._caller.send("query", "POST", "/api/context/query", NAMESPACE, json={"query": self._question()})

    async def _search(self) -> None:
        await self._caller.send("search", "POST", "/api/search", NAMESPACE, json={"query": self._question()})

    async def _get(self) -> None:
        await self._caller.send("get", "GET", f"/api/adr/{self._rng.choice(self._ids)}", NAMESPACE)

    async def _create(self) -> None:
        body = {"title": self._question(), "decision": f"{self._question()}. {self._question()}."}
        headers = {"Prefer": "respond-async"}
        answer = await self._caller.send("create", "POST", "/api/adr", NAMESPACE, json=body, headers=headers)
        if answer and len(self._ids) < KEPT:
            self._ids.append(answer["id"])

    async def _change(self) -> None:
        path = f"/api/adr/{self._rng.choice(self._ids)}"
        body = {"outcome": self._question()}
        await self._caller.send("change", "PATCH", path, NAMESPACE, json=body, headers={"Prefer": "respond-async"})


async def drive(mix: Mix, journal: Journal, rate: float, seconds: float) -> list[Attempt]:
    """Send `rate` requests a second, evenly, without waiting for answers; gives the attempts when all have ended."""
    before, began = len(journal.attempts), time.monotonic()
    under_way: set[asyncio.Task[None]] = set()
    for number in range(int(rate * seconds)):
        await asyncio.sleep(began + number / rate - time.monotonic())
        task = asyncio.create_task(mix.send())
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    if under_way:
        await asyncio.wait(under_way)
    return journal.attempts[before:]
