"""Keeps values for a while, and only so many of them."""

from collections import ChainMap
from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

Scope = TypeVar("Scope", bound=Hashable)
Name = TypeVar("Name", bound=Hashable)
Value = TypeVar("Value")


class Recent(Generic[Scope, Name, Value]):
    """Values by scope and name, none kept longer than `lasts` seconds, and at most `most` in all, the newest.

    In two halves: what comes goes into the newer, and the older goes as a whole. So nothing has to be looked through,
    and who reads a half that has gone can go on.
    """

    def __init__(self, lasts: float, most: int) -> None:
        self._step, self._half = lasts / 2, most // 2
        self._newer: dict[Scope, dict[Name, Value]] = {}
        self._older: dict[Scope, dict[Name, Value]] = {}
        self._size = 0  # of the newer
        self._until = 0.0  # when the older goes

    def of(self, scope: Scope, now: float) -> ChainMap[Name, Value]:
        """What is kept of a scope."""
        self._turn(now)
        return ChainMap(self._newer.get(scope, {}), self._older.get(scope, {}))

    def keep(self, scope: Scope, values: Mapping[Name, Value], now: float) -> None:
        """Keep more of a scope."""
        self._turn(now)
        if values and self._size + len(values) > self._half:
            self._begin()
        if 0 < len(values) <= self._half:
            held = self._newer.setdefault(scope, {})
            before = len(held)
            held.update(values)
            self._size += len(held) - before

    def __len__(self) -> int:
        return sum(len(values) for half in (self._newer, self._older) for values in half.values())

    def _turn(self, now: float) -> None:
        """Let go of what has had its time."""
        if now >= self._until + self._step:
            self._begin()
            self._begin()
            self._until = now + self._step
        elif now >= self._until:
            self._begin()
            self._until += self._step

    def _begin(self) -> None:
        """Begin a new half."""
        self._older, self._newer, self._size = self._newer, {}, 0
