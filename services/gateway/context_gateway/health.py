"""Asks the services how they are, once a moment, however many want to know: anybody may, without a credential."""

import asyncio
from collections.abc import Sequence
from time import monotonic

from context_gateway.clients import EMBEDDING, KNOWLEDGE, RETRIEVAL, Clients

FRESH = 0.5  # seconds for which an answer is good
BEGINNING = 60.0  # seconds in which a gateway waits for all that it needs


class Health:
    """What the services said of themselves last."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._asking: asyncio.Task[Sequence[bool]] | None = None
        self._asked = -FRESH
        self._began, self._met = monotonic(), False

    async def serving(self) -> Sequence[bool]:
        """Whether knowledge, embedding and retrieval serve."""
        if self._asking is None or (self._asking.done() and monotonic() - self._asked >= FRESH):
            self._asking, self._asked = asyncio.create_task(self._ask()), monotonic()
        return await asyncio.shield(self._asking)

    def suffices(self, knowledge: bool, retrieval: bool) -> bool:
        """Whether requests can be served: by either of the two, but a gateway that has just begun waits for both."""
        self._met = self._met or (knowledge and retrieval) or monotonic() - self._began > BEGINNING
        return knowledge or retrieval if self._met else False

    async def _ask(self) -> Sequence[bool]:
        return await asyncio.gather(*map(self._clients.serves, (KNOWLEDGE, EMBEDDING, RETRIEVAL)))
