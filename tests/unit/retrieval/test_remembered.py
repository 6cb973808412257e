"""What is found out once holds for a while, and not for ever."""

from types import SimpleNamespace

import pytest

from context_retrieval import remembered
from context_retrieval.remembered import Remembered


async def test_a_value_is_found_once_until_it_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    now, found = 100.0, list[str]()
    monkeypatch.setattr(remembered, "time", SimpleNamespace(monotonic=lambda: now))
    values = Remembered[str, int](lambda _: 5.0)

    async def value(name: str) -> int:
        async def find() -> int:
            found.append(name)
            return len(found)

        return await values.get(name, find)

    assert [await value("one"), await value("one"), await value("other")] == [1, 1, 2]
    now += 5.1
    assert await value("one") == 3
    monkeypatch.setattr(remembered, "KEPT", 2)
    assert [await value("third"), await value("one")] == [4, 5]  # too much is begun anew


async def test_how_long_a_value_is_good_is_said_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    now, count = 100.0, 0
    monkeypatch.setattr(remembered, "time", SimpleNamespace(monotonic=lambda: now))
    values = Remembered[str, int](float)

    async def find() -> int:
        return count

    assert await values.get("documents", find) == 0
    count = 4
    assert await values.get("documents", find) == 4  # nothing was good for no time
    count = 9
    assert await values.get("documents", find) == 4
    now += 4.1
    assert await values.get("documents", find) == 9
