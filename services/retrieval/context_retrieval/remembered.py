"""Keeps for a while what takes a question of its own to find out, and changes slowly."""

import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

KEPT = 1000  # values; with one more it is begun anew

Name = TypeVar("Name", bound=Hashable)
Value = TypeVar("Value")


class Remembered(Generic[Name, Value]):
    """Values by name, each good for some seconds."""

    def __init__(self) -> None:
        self._kept: dict[Name, tuple[float, Value]] = {}  # until when it is good

    async def get(self, name: Name, seconds: float, find: Callable[[], Awaitable[Value]]) -> Value:
        """The value of that name; what `find` gives, and then for so many seconds, where none is good any more."""
        kept = self._kept.get(name)
        if kept and kept[0] > time.monotonic():
            return kept[1]
        if len(self._kept) >= KEPT:
            self._kept.clear()
        value = await find()
        self._kept[name] = (time.monotonic() + seconds, value)
        return value
