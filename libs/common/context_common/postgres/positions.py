"""How far a replica must be before it may answer: what the primary was seen to have, and who wrote since.

Times are of the monotonic clock of this process; positions are those of the write-ahead log, in bytes.
"""

from bisect import bisect_right
from collections.abc import Iterable

BEAT = 0.04  # seconds between looks at the primary while reads come
LEASE = 0.1  # seconds for which a look is good
SETTLE = LEASE + 0.02  # from a commit on, seconds after which every process knows of it or asks the primary
BLOCK, HEADERS = 8192, (24, 40)  # bytes of a page of the log, and of the headers that one can begin with
NAMESPACES = 1000  # whose positions are kept each by itself
BEATS = 2000  # that are remembered, to tell how old a replica's position is


def settled(position: int) -> int:
    """`position`, where it stands behind a page's header, before it: there is nothing to replay in between."""
    return position - position % BLOCK if position % BLOCK in HEADERS else position


class Positions:
    """What each namespace needs."""

    def __init__(self) -> None:
        self._looked_at = float("-inf")
        self._last = self._floor = 0
        self._noted: set[str] = set()  # since the look began that is under way
        self._settling: set[str] = set()  # before: its answer covers them
        self._needed: dict[str, int] = {}
        self._beats: list[tuple[int, float]] = []

    def note(self, namespace: str) -> None:
        """Somebody committed something in `namespace`; the empty one stands for all."""
        self._noted.add(namespace)

    def begin(self) -> None:
        """The primary is about to be asked. What is noted from now on may be later than its answer."""
        self._settling |= self._noted
        self._noted.clear()

    def look(self, began: float, position: int, *, anew: bool = False) -> None:
        """The primary, asked at `began`, said where it is; `anew`: what was written before may have gone unnoticed."""
        position = settled(position)
        if anew or position < self._last:
            self._needed.clear()
            self._beats.clear()
            self._settling.add("")
        if "" in self._settling or len(self._needed) > NAMESPACES:
            self._floor = position
            self._needed.clear()
        else:
            self._needed.update(dict.fromkeys(self._settling, position))
        self._settling.clear()
        self._last, self._looked_at = position, began
        self._beats.append((position, began))
        if len(self._beats) > BEATS:
            del self._beats[: BEATS // 2]

    def needs(self, namespaces: Iterable[str], now: float) -> int | None:
        """How far a replica must have replayed to answer for all of `namespaces`; None: only the primary may.

        Whatever was acknowledged before now, at least SETTLE after its commit, is counted in.
        """
        if now - self._looked_at > LEASE:
            return None
        names = ("", *namespaces)
        if not (self._noted.isdisjoint(names) and self._settling.isdisjoint(names)):
            return None
        return max(self._floor, *(self._needed.get(name, 0) for name in names))

    def current_at(self, replayed: int) -> float:
        """When a replica that has replayed so much was last known to have everything; long ago where it never was."""
        place = bisect_right(self._beats, (replayed, float("inf")))
        return self._beats[place - 1][1] if place else float("-inf")
