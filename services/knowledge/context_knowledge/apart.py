"""Reads long texts in a thread, so that the process goes on answering: a large item takes seconds to look through."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from context_knowledge.model import Item, walk

LONG = 32_768  # characters, or bytes; less takes no longer than handing it over and back is worth

T = TypeVar("T")


async def apart(length: int, read: Callable[[], T]) -> T:
    """What `read` answers, which reads about so much text."""
    return await asyncio.to_thread(read) if length > LONG else read()


def length(item: Item) -> int:
    """The characters of all texts of `item`."""
    texts = (text for name, value in item.values().items() for _, text in walk(name, value))
    return sum(len(text) for text in texts if isinstance(text, str))
