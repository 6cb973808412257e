"""Waiting for what Postgres notifies of."""

import asyncio
import random

import psycopg
import structlog
from psycopg import sql

from context_common import chores
from context_common.postgres.pool import KEEPALIVE

PAUSE = (0.1, 0.9)  # seconds between attempts to listen again, from and to: replicas should not come all at once

log = structlog.get_logger()


class Notifications:
    """Wakes whoever waits when Postgres notifies on a channel; reconnects by itself.

    Use it as a block. A waiter takes `ticket()` before it looks at the tables and passes it to `wait`, so that what
    happens in between is not missed. After a reconnect everybody is woken, for what was notified meanwhile.
    """

    def __init__(self, url: str, channel: str) -> None:
        self._url, self._channel = url, channel
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Notifications":
        """Begin to listen."""
        self._task = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening."""
        if self._task:
            await chores.end([self._task])

    def ticket(self) -> asyncio.Event:
        """Something that is set at the next notification."""
        return self._changed

    async def wait(self, ticket: asyncio.Event, seconds: float) -> bool:
        """Wait for `ticket`, `seconds` at most; answers whether it was notified."""
        try:
            async with asyncio.timeout(seconds):
                await ticket.wait()
        except TimeoutError:
            return False
        return True

    def wake(self) -> None:
        """Wake everybody who waits, as a notification does."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def _listen(self) -> None:
        while True:
            try:
                connection = await psycopg.AsyncConnection.connect(
                    self._url, autocommit=True, application_name=f"listens to {self._channel}", **KEEPALIVE
                )
                async with connection:
                    await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self._channel)))
                    self.wake()
                    async for _ in connection.notifies():
                        self.wake()
            except psycopg.OperationalError as error:
                log.warning("listen_lost", channel=self._channel, reason=str(error))
                await asyncio.sleep(random.uniform(*PAUSE))  # noqa: S311 - not for secrets
