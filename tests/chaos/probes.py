"""Those who ask right after a fault: how long until each kind of request succeeds again?"""

import asyncio
import random
import time
from collections.abc import Sequence

from tests.chaos.traffic import READS, Caller, Journal, Reader, Writer

KINDS = ("create", "bulk", "change", "relate", *READS)
GIVE_UP = 20.0  # seconds
AT_ONCE = 3  # requests of one kind under way, since the first may hang
EVERY = 0.1  # seconds
FIRST_NUMBER = 100  # of their writers


class Prober:
    """Asks for one kind of thing again and again until it is given."""

    def __init__(self, kind: str, number: int, caller: Caller, journal: Journal) -> None:
        self.kind, self._journal, rng = kind, journal, random.Random(number)
        self._writer, self._reader = Writer(FIRST_NUMBER + number, caller, journal, rng), Reader(caller, journal, rng)

    async def prepare(self) -> None:
        """Write what it will change and relate."""
        for _ in range(2):  # two items, since a relation takes two
            await self._writer.write("create")

    async def until_success(self, since: float) -> float | None:
        """Seconds from `since` to the first success of a request that began after it, by whomever."""
        asked: set[asyncio.Task[None]] = set()
        while (found := self._journal.first_success(self.kind, since)) is None and time.monotonic() - since < GIVE_UP:
            asked = {one for one in asked if not one.done()}
            if len(asked) < AT_ONCE:
                asked.add(asyncio.create_task(self._ask()))
            await asyncio.sleep(EVERY)
        if asked:
            await asyncio.wait(asked, timeout=GIVE_UP)
        return found

    async def _ask(self) -> None:
        await (self._reader.read(self.kind) if self.kind in READS else self._writer.write(self.kind))


async def recover(since: float, probers: Sequence[Prober]) -> dict[str, float | None]:
    """Seconds by kind of request."""
    found = await asyncio.gather(*(prober.until_success(since) for prober in probers))
    return {prober.kind: seconds for prober, seconds in zip(probers, found, strict=True)}
