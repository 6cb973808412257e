"""Many items in one call: each is recorded for itself, whatever becomes of the others, and in the order in which they
came. Those that are plainly new share transactions, which takes a third of what it takes one by one.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

import structlog
from google.rpc.status_pb2 import Status

from context.v1 import knowledge_pb2 as pb
from context.v1 import types_pb2 as types
from context_common.caller import Caller
from context_common.client import away
from context_common.errors import AppError, TooLate, to_status
from context_knowledge import links, redaction, wire
from context_knowledge.apart import apart
from context_knowledge.items import Items, canonical, counted, noting
from context_knowledge.model import Item, Redaction, Snapshot
from context_knowledge.once import Once, Request
from context_knowledge.store import Store
from context_knowledge.store.items import Mark

TOGETHER = 25  # in one transaction: more are hardly quicker, and whoever writes in the namespace meanwhile waits

log = structlog.get_logger()


class Sent(NamedTuple):
    """An item as its caller sent it, and the key that it may be sent again by; empty where it has none."""

    item: types.Item
    key: str


@dataclass(frozen=True, slots=True)
class Given:
    """An item that was read and is in its canonical form, and what was taken out of it."""

    item: Item
    redactions: tuple[Redaction, ...]
    request: Request | None

    @property
    def alone(self) -> bool:
        """Whether it has to do with more than itself: with another ADR, or with an earlier try."""
        return bool(self.request or links.superseding(self.item) or links.superseded_by(self.item))

    @property
    def marks(self) -> set[Mark]:
        """What it would be known by, if it can be stored at all."""
        item, marks = self.item, set[Mark]()
        if item.id:
            marks.add(Mark("id", item.id))
        if item.source_uri:
            marks.add(Mark("source", item.source_uri, item.type))
        if isinstance(item.body, Snapshot) and item.body.commit_hash:
            marks.add(Mark("commit", item.body.commit_hash))
        return {mark for mark in marks if "\0" not in mark.text}


Read: TypeAlias = Given | Status  # or what is wrong with it


class Bulk:
    """Records what comes in bulk."""

    def __init__(self, store: Store, items: Items) -> None:
        self._store, self._items, self._once = store, items, Once(store)

    async def record(self, who: Caller, sent: Sequence[Sent]) -> list[pb.RecordResult]:
        """What became of each.

        Raises:
            TooLate: Nobody waits for the rest any more.
        """
        results: list[pb.RecordResult] = []
        for at in range(0, len(sent), TOGETHER):
            read = [await _read(one) for one in sent[at : at + TOGETHER]]
            for run in _runs(read, await self._standing(who, read)):
                done, broken = await self._record(who, run)
                results += done
                if broken:
                    # Without a database the rest would only wait for the same answer, one by one.
                    return results + [pb.RecordResult(error=broken)] * (len(sent) - len(results))
        return results

    async def _standing(self, who: Caller, read: Iterable[Read]) -> set[Mark] | None:
        """What items have of what these would be known by; None where the database does not say."""
        marks = {mark for one in read if isinstance(one, Given) for mark in one.marks}
        if not marks:
            return set()
        try:
            return await self._store.run(who, lambda session: session.items.standing(marks))
        except TooLate:
            raise
        except AppError as error:
            log.info("standing_items_unknown", reason=error.message)
            return None

    async def _record(self, who: Caller, run: Sequence[Read]) -> tuple[list[pb.RecordResult], Status | None]:
        """The results of one run, and the error that will also be that of those after it."""
        given = [one for one in run if isinstance(one, Given)]
        if len(given) > 1:
            try:
                return [pb.RecordResult(recorded=one) for one in await self._store_together(who, given)], None
            except TooLate:
                raise
            except Exception as error:  # noqa: BLE001 - told apart below
                status = to_status(error)
                if away(error):  # it may be stored or not: nothing that may be done twice
                    return [pb.RecordResult(error=status)] * len(given), status
                # One of them is to blame, and one by one it is known which.
                log.info("not_stored_together", items=len(given), reason=status.message)
        results: list[pb.RecordResult] = []
        for one in run:
            result, broken = await self._record_alone(who, one)
            results.append(result)
            if broken:
                return results + [result] * (len(run) - len(results)), broken
        return results, None

    async def _store_together(self, who: Caller, given: Sequence[Given]) -> list[pb.Recorded]:
        work = await self._items.record_new([one.item for one in given])
        stored = await self._store.write(who, work)
        return [
            wire.write_recorded(counted(replace(recorded, redactions=one.redactions)))
            for recorded, one in zip(stored, given, strict=True)
        ]

    async def _record_alone(self, who: Caller, one: Read) -> tuple[pb.RecordResult, Status | None]:
        if isinstance(one, Status):
            return pb.RecordResult(error=one), None
        try:
            work = noting(self._items.record(one.item), one.redactions)
            return pb.RecordResult(recorded=await self._once.write(who, work, one.request)), None
        except TooLate:
            raise
        except AppError as error:
            status = to_status(error)
            return pb.RecordResult(error=status), status if away(error) else None
        except Exception as error:
            log.exception("record_failed")
            return pb.RecordResult(error=to_status(error)), None


async def clean(item: types.Item) -> tuple[Redaction, ...]:
    """Take its secrets out of `item`; answers where they were."""
    return await apart(item.ByteSize(), lambda: redaction.clean(item))


async def _read(sent: Sent) -> Read:
    await asyncio.sleep(0)  # so that others get a word in between
    try:
        redactions = await clean(sent.item)
        request = Request.of(sent.key, sent.item)
        return Given(canonical(wire.read_item(sent.item)), redactions, request)
    except AppError as error:
        return to_status(error)
    except Exception as error:
        log.exception("record_failed")
        return to_status(error)


def _runs(read: Iterable[Read], standing: set[Mark] | None) -> Iterator[list[Read]]:
    """What came, in pieces: those in a row that are plainly new, and one for each of the others."""
    seen = set(standing or ())
    new: list[Read] = []
    for one in read:
        if standing is not None and isinstance(one, Given) and not one.alone and seen.isdisjoint(one.marks):
            seen |= one.marks
            new.append(one)
            continue
        if new:
            yield new
        yield [one]
        new = []
    if new:
        yield new
