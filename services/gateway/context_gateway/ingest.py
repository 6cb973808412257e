"""The bulk pipeline: read lines → record batches → wait for the index → answer, all four at once and bounded.

Batches are recorded one after the other, so that what follows in the input follows in the store; while one batch is
written, those before it are being indexed. Answers wait in memory for a caller that sends all before it reads:
there are at most LINES of them.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from context.v1 import knowledge_pb2 as knowledge
from context.v1 import types_pb2 as types
from context_common.client import call
from context_common.errors import AppError, Invalid, TooLate, from_status
from context_gateway.answers import encode
from context_gateway.bodies import parse
from context_gateway.clients import Clients
from context_gateway.exchange import MIB, too_large
from context_gateway.indexed import wait_indexed
from context_gateway.problems import Problem, Refused, describe
from context_gateway.rates import Charge, TooMany
from context_gateway.schemas.answers import OUTCOMES, REVIEWS, Json, redactions, withheld
from context_gateway.schemas.fields import canonical_id
from context_gateway.schemas.items import KINDS, Kind, to_item

LINE = MIB  # bytes
LINES = 100_000
BATCH = 200  # items of one call to knowledge
BATCH_BYTES = MIB // 2  # of one call; long texts take knowledge seconds to look through
WAITING = 10  # batches that wait for the index at once
RECORD_SECONDS = 30.0
END = None
UNANSWERED = describe(RuntimeError())
# What is said of a line whose call was not answered in time: knowledge may have stored it all the same.
UNSURE = "It was not answered in time, and may be stored or not."
SAFE = f"{UNSURE} It can be sent again: it is stored only once."
DOUBTFUL = (
    f"{UNSURE} Look for it before sending it again: without a source_uri or an Idempotency-Key it would stand twice."
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the input: an item, or what is wrong with it; `id` is the one that it brought, if any."""

    line: int
    size: int = 0
    id: str | None = None
    item: types.Item | None = None
    problem: Problem | None = None


class Lines:
    """Cuts chunks into numbered lines; None stands for a line that is too long."""

    def __init__(self) -> None:
        self.number = 0
        self._rest = bytearray()
        self._skipping = False

    def feed(self, chunk: bytes) -> Iterator[tuple[int, bytes | None]]:
        """The lines that `chunk` ends."""
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            self._keep(part)
            yield self._take()
        self._keep(rest)

    def end(self) -> Iterator[tuple[int, bytes | None]]:
        """The last line, where no newline ended it."""
        if self._rest or self._skipping:
            yield self._take()

    def _keep(self, part: bytes) -> None:
        if self._skipping or len(self._rest) + len(part) > LINE:
            self._skipping = True
            self._rest.clear()
        else:
            self._rest += part

    def _take(self) -> tuple[int, bytes | None]:
        line = None if self._skipping else bytes(self._rest)
        self.number += 1
        self._skipping = False
        self._rest.clear()
        return self.number, line


@dataclass(frozen=True, slots=True)
class Terms:
    """What one bulk request asks for beside its lines.

    Args:
        provenance: That of its items.
        wait: Seconds for each batch to become searchable.
        key: What its caller gave it, so that it may be sent again; empty where it gave nothing.
    """

    provenance: types.Provenance.ValueType
    wait: float
    key: str = ""

    def key_of(self, entry: Entry) -> str:
        """What one line of it may be sent again by."""
        return f"{self.key}/{entry.line}" if self.key else ""


class Ingest:
    """One bulk request. `charge` counts its items against a rate; `check` raises where its caller may write no more."""

    def __init__(self, clients: Clients, charge: Charge, check: Callable[[], Awaitable[None]], terms: Terms) -> None:
        self._clients, self._charge, self._check, self._terms = clients, charge, check, terms
        self._entries: asyncio.Queue[Entry | None] = asyncio.Queue(BATCH)
        self._settling: asyncio.Queue[asyncio.Task[list[Json]] | None] = asyncio.Queue(WAITING)
        self._answers: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def run(self, chunks: AsyncIterator[bytes], send: Callable[[bytes], Awaitable[None]]) -> None:
        """Take in `chunks` and `send` the answers as they come; when this ends, all is answered."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read(chunks))
            tasks.create_task(self._write(tasks))
            tasks.create_task(self._collect())
            while (part := await self._answers.get()) is not END:
                await send(part)

    async def _read(self, chunks: AsyncIterator[bytes]) -> None:
        lines = Lines()
        try:
            async for chunk in chunks:
                await self._take_in(lines.feed(chunk))
            await self._take_in(lines.end())
        except Refused as error:
            await self._entries.put(Entry(lines.number + 1, problem=describe(error)))
        await self._entries.put(END)

    async def _take_in(self, lines: Iterator[tuple[int, bytes | None]]) -> None:
        for number, raw in lines:
            if number > LINES:
                raise Refused(413, detail=f"the limit is {LINES:,} lines")
            if raw is None or raw.strip():
                await self._entries.put(read_entry(number, raw, self._terms.provenance))

    async def _write(self, tasks: asyncio.TaskGroup) -> None:
        async for batch in self._batches():
            results = await self._record(batch)
            await self._settling.put(tasks.create_task(self._settle(batch, results)))
        await self._settling.put(END)

    async def _batches(self) -> AsyncIterator[list[Entry]]:
        """What has come in so far, again and again: small batches from a slow caller, large ones from a fast one."""
        batch: list[Entry] = []
        size = 0
        while (entry := await self._entries.get()) is not END:
            if batch and size + entry.size > BATCH_BYTES:
                yield batch
                batch, size = [], 0
            batch.append(entry)
            size += entry.size
            if len(batch) == BATCH or self._entries.empty():
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    async def _record(self, batch: Sequence[Entry]) -> list[knowledge.Recorded | Problem]:
        """What became of each entry, in their order. Nothing that goes wrong with one batch stops the next."""
        try:
            await self._check()
        except AppError as error:
            return [describe(error)] * len(batch)
        items = [entry for entry in batch if entry.item]
        standing = await self._charge(len(batch))
        over = min(standing.over, len(items)) if standing else 0
        taken = items[: len(items) - over]
        results = await self._store(taken) if taken else []
        if standing and over:
            results += [describe(TooMany(standing))] * over
        following = iter(results)
        return [entry.problem or next(following, UNANSWERED) for entry in batch]

    async def _store(self, entries: Sequence[Entry]) -> list[knowledge.Recorded | Problem]:
        message = knowledge.RecordItemsRequest(items=[entry.item for entry in entries if entry.item])
        if self._terms.key:
            message.idempotency_keys.extend(map(self._terms.key_of, entries))
        try:
            answer = await call(self._clients.knowledge.RecordItems, message, within=RECORD_SECONDS)
        except TooLate as error:
            return [self._unsure(describe(error), entry) for entry in entries]
        except (AppError, RuntimeError) as error:
            return [describe(error)] * len(entries)
        results = [_result(result) for result in answer.results]
        return results + [UNANSWERED] * (len(entries) - len(results))

    def _unsure(self, problem: Problem, entry: Entry) -> Problem:
        """`problem`, saying what to do about a line that may be stored."""
        item = entry.item
        known = self._terms.key or (item and (item.id or item.source_uri or item.snapshot.commit_hash))
        return replace(problem, detail=SAFE if known else DOUBTFUL)

    async def _settle(self, batch: Sequence[Entry], results: Sequence[knowledge.Recorded | Problem]) -> list[Json]:
        """The answers to a batch, once it is searchable or the wait is over."""
        points = [(done.item.id, done.change_id) for done in results if not isinstance(done, Problem)]
        indexed = iter(await wait_indexed(self._clients, points, self._terms.wait))
        return [
            {"line": entry.line, "id": entry.id, "status": "error", **done.summary(), "indexed": False}
            if isinstance(done, Problem)
            else {
                "line": entry.line,
                "id": done.item.id,
                "status": OUTCOMES[done.outcome],
                "indexed": next(indexed) and not withheld(done.item),
                **_marks(done),
            }
            for entry, done in zip(batch, results, strict=True)
        ]

    async def _collect(self) -> None:
        while (task := await self._settling.get()) is not END:
            self._answers.put_nowait(b"".join(encode(line) + b"\n" for line in await task))
        self._answers.put_nowait(END)


def read_entry(line: int, raw: bytes | None, provenance: types.Provenance.ValueType) -> Entry:
    """The item that a line of NDJSON is, or what is wrong with it; `raw` is None for a line that is too long."""
    brought = None
    try:
        if raw is None:
            raise too_large(LINE)
        members = parse(raw)
        brought = _id_of(members)
        kind = _kind_of(members)
        del members["type"]
        body = kind.create.model_validate(members)
    except (Refused, AppError, ValidationError) as error:
        return Entry(line, id=brought, problem=describe(error))
    return Entry(line, len(raw), brought, to_item(kind, body, provenance))


def _id_of(members: Any) -> str | None:
    """The id that a line brings; None where it brings none, or what can be none."""
    given = members.get("id") if isinstance(members, dict) else None
    return canonical_id(given.strip()) if isinstance(given, str) else None


def _kind_of(members: Any) -> Kind:
    if not isinstance(members, dict):
        raise Invalid({"body": ["must be an object"]})
    if "type" not in members:
        raise Invalid({"type": ["is required"]})
    kind = members["type"]
    if not isinstance(kind, str) or kind not in KINDS:
        raise Invalid({"type": [f"must be one of {', '.join(KINDS)}"]})
    return KINDS[kind]


def _marks(done: knowledge.Recorded) -> Json:
    """What a line says only where there is something to say."""
    marks: Json = {"redactions": redactions(done)} if done.redactions else {}
    return marks | ({"review": REVIEWS[done.item.review]} if withheld(done.item) else {})


def _result(result: knowledge.RecordResult) -> knowledge.Recorded | Problem:
    return describe(from_status(result.error)) if result.HasField("error") else result.recorded
