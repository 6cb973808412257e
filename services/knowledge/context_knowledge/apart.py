"""Reads long texts in a thread, so that the process goes on answering: a large item takes seconds to look through."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from context_knowledge import references
from context_knowledge.model import Item

LONG = 32_768  # characters, or bytes; less takes no longer than handing it over and back is worth

T = TypeVar("T")


async def apart(length: int, read: Callable[[], T]) -> T:
    """What `read` answers, which reads about so much text."""
    return await asyncio.to_thread(read) if length > LONG else read()


def length(item: Item) -> int:
    """The characters of the texts of `item`; lists of names are never so long."""
    return sum(map(len, references.texts(item)))
