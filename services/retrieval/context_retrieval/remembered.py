"""Keeps for a while what takes a question of its own to find out, and changes slowly."""

import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

KEPT = 1000  # values; with one more it is begun anew

Name = TypeVar("Name", bound=Hashable)
Value = TypeVar("Value")


class Remembered(Generic[Name, Value]):
    """Values by name, each good for as many seconds as `lasts` says of it."""

    def __init__(self, lasts: Callable[[Value], float]) -> None:
        self._lasts = lasts
        self._kept: dict[Name, tuple[float, Value]] = {}  # until when it is good

    async def get(self, name: Name, find: Callable[[], Awaitable[Value]]) -> Value:
        """The value of that name; where none is good any more, what `find` gives."""
        kept = self._kept.get(name)
        if kept and kept[0] > time.monotonic():
            return kept[1]
        if len(self._kept) >= KEPT:
            self._kept.clear()
        value = await find()
        self._kept[name] = (time.monotonic() + self._lasts(value), value)
        return value
