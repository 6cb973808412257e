"""One read replica: followed in the background, lent out while it answers, cut off at once when it does not."""

import asyncio
import os
import random
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import psycopg
import structlog
from psycopg.rows import dict_row

from context_common.postgres import measures
from context_common.postgres.pool import KEEPALIVE, Connection, Pool
from context_common.postgres.positions import Positions
from context_common.postgres.transactions import REPLAYED

LOOK = 0.1  # seconds between looks at a replica
ANSWER = 1.0  # seconds in which it must answer, or is cut off
PAUSE = (0.2, 0.8)  # seconds between attempts to reach it again, from and to
LEND = 0.05  # seconds that a read waits for one of its connections, before it goes to the primary
IDENTITY = """
SELECT (SELECT system_identifier FROM pg_control_system()) AS system, current_database() AS database,
    pg_is_in_recovery() AS replica
"""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Identity:
    """Which cluster, and which database in it."""

    system: int
    database: str


class Replica:
    """A replica and what is known of it. `follow` keeps that current; nobody's read waits for it."""

    def __init__(self, name: str, url: str, pool: Pool) -> None:
        self.name, self._url, self._pool = name, url, pool
        self.up = False
        self.replayed = 0
        self.current_at = float("-inf")
        self._lent: set[Connection] = set()

    def serves(self, needs: int, max_lag: float, now: float) -> bool:
        """Whether it answers, has replayed `needs`, and is no older than `max_lag` seconds."""
        return self.up and self.replayed >= needs and now - self.current_at <= max_lag

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[Connection]:
        """A connection for one read."""
        async with self._pool.connection(timeout=LEND) as connection:
            self._lent.add(connection)
            try:
                yield connection
            finally:
                self._lent.discard(connection)

    def eject(self, reason: str) -> None:
        """Use it no more until it answers again. Reads that wait for it end now, and go to the primary."""
        if self.up:
            log.warning("replica_left_out", replica=self.name, reason=reason)
        self.up = False
        measures.REPLICA_UP.labels(self.name).set(0)
        for connection in list(self._lent):
            sever(connection)

    async def follow(self, positions: Positions, primary: "asyncio.Future[Identity]") -> None:
        """Keep what is known of it current, until cancelled."""
        measures.REPLICA_UP.labels(self.name).set(0)
        identity = await primary
        while True:
            try:
                connection = await psycopg.AsyncConnection.connect(
                    self._url, autocommit=True, row_factory=dict_row, application_name="reads", **KEEPALIVE
                )
                async with connection:
                    await self._watch(connection, positions, identity)
            except psycopg.Error as error:
                self.eject(str(error))
            except Exception:  # one that nobody follows any more would be used as it was
                self.eject("it cannot be followed")
                log.exception("replica_not_followed", replica=self.name)
            self._measure()
            await asyncio.sleep(random.uniform(*PAUSE))  # noqa: S311 - not for secrets

    async def _watch(self, connection: Connection, positions: Positions, identity: Identity) -> None:
        """Look at it again and again, as long as it is one of ours."""
        useful = True
        while useful:
            useful = await self._look(connection, positions, identity)
            await asyncio.sleep(LOOK)

    async def _look(self, connection: Connection, positions: Positions, identity: Identity) -> bool:
        """Ask how far it is; whether it is still one of ours."""
        silence = asyncio.get_running_loop().call_later(ANSWER, self._cut, connection)
        try:
            if not self.up and (wrong := await _difference(connection, identity)):
                log.error("replica_refused", replica=self.name, reason=wrong)
                return False
            row = await (await connection.execute(f"SELECT {REPLAYED}")).fetchone()
        finally:
            silence.cancel()
        replayed = row["replayed"] if row else None
        if replayed is None:
            self.eject("it is no replica any more")
            return False
        self.replayed, self.current_at = replayed, positions.current_at(replayed)
        if not self.up:
            log.info("replica_in_use", replica=self.name)
            measures.REPLICA_UP.labels(self.name).set(1)
            self.up = True
        self._measure()
        return True

    def _cut(self, connection: Connection) -> None:
        self.eject(f"it did not answer within {ANSWER:g} s")
        sever(connection)

    def _measure(self) -> None:
        age = time.monotonic() - self.current_at
        measures.REPLICA_LAG.labels(self.name).set(age if age < float("inf") else -1)


async def _difference(connection: Connection, identity: Identity) -> str:
    """Why this is no replica of our database; empty where it is one."""
    row = await (await connection.execute(IDENTITY)).fetchone() or {}
    if row["system"] != identity.system:
        return "it belongs to another cluster than DATABASE_URL"
    if row["database"] != identity.database:
        return f"it is the database {row['database']}, and DATABASE_URL's is {identity.database}"
    return "" if row["replica"] else "it is a primary"


def sever(connection: Connection) -> None:
    """End a connection under whoever waits for it, who then learns that it is gone."""
    with suppress(OSError, psycopg.Error):
        shared = socket.socket(fileno=os.dup(connection.fileno()))
        with shared:
            shared.shutdown(socket.SHUT_RDWR)
