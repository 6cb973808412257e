"""Whether the server has connections enough for the pools of all processes, as far as its sessions tell."""

import asyncio
from dataclasses import dataclass

import psycopg
import structlog

from context_common.errors import AppError
from context_common.postgres import measures
from context_common.postgres.faults import translate_errors
from context_common.postgres.pool import Pool

FIRST = 2.0  # seconds after the start: whoever asks first should not wait for this
EVERY = 300.0  # seconds: processes come and go
AWAY = 5.0  # seconds between attempts where the database does not answer
# Each pool says in its sessions' name how large it may grow, and which process it is of. What kind of session another
# login's is, is hidden from ours unless it may read all statistics; its name, its login and its database are not.
LIMITS = """
WITH pools AS (
    SELECT DISTINCT application_name, usename, substring(application_name FROM ' pool=([0-9]+) ')::int AS size
    FROM pg_stat_activity WHERE application_name ~ ' pool=[0-9]+ [0-9a-f]+$'
)
SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
        - current_setting('reserved_connections')::int AS server,
    (SELECT datconnlimit FROM pg_database WHERE datname = current_database()) AS database,
    (SELECT rolconnlimit FROM pg_roles WHERE rolname = session_user) AS login,
    (SELECT coalesce(sum(size), 0) FROM pools)::int AS pooled,
    (SELECT coalesce(sum(size), 0) FROM pools WHERE usename = session_user)::int AS own,
    (SELECT count(*) FROM pools)::int AS processes,
    (SELECT count(*) FROM pg_stat_activity
     WHERE coalesce(backend_type, 'client backend') = 'client backend' AND usename IS NOT NULL AND datid IS NOT NULL
        AND application_name !~ ' pool=[0-9]+ [0-9a-f]+$')::int AS others
"""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Room:
    """Connections that the server has, and how many could be asked of it.

    Args:
        server: For everybody but those for whom some are reserved.
        database: For this database, login: for our login; -1 where there is no such limit.
        pooled: What all pools together may open, own: those of our login.
        processes: How many pools there are.
        others: Sessions that are open beside them.
    """

    server: int
    database: int
    login: int
    pooled: int
    own: int
    processes: int
    others: int

    @property
    def possible(self) -> int:
        """What could be open at once."""
        return self.pooled + self.others

    @property
    def limit(self) -> int:
        """What there is for it."""
        return self.server if self.database < 0 else min(self.server, self.database)

    def complaint(self) -> str:
        """What does not fit, with its figures; empty where all does."""
        if self.possible > self.limit:
            return (
                f"{self.processes} pools may open {self.pooled} connections, {self.others} others are open, and the"
                f" server has {self.limit}: lower POOL_SIZE or raise max_connections"
            )
        if 0 <= self.login < self.own:
            return (
                f"pools of this login may open {self.own} connections and it may have {self.login}: lower POOL_SIZE or"
                " raise the login's CONNECTION LIMIT"
            )
        return ""


async def look(pool: Pool) -> Room:
    """How much room there is now.

    Raises:
        Unavailable: The database is away.
    """
    async with translate_errors(), pool.connection() as connection:
        row = await (await connection.execute(LIMITS)).fetchone() or {}
    return Room(**row)


async def watch_limits(pool: Pool) -> None:
    """Warn at the start, and whenever it changes, where all processes together could ask for more connections than
    there are; until cancelled.
    """
    said = ""
    await asyncio.sleep(FIRST)
    while True:
        try:
            room = await look(pool)
        except (AppError, psycopg.Error) as error:
            log.debug("connections_not_counted", reason=str(error))
            await asyncio.sleep(AWAY)
            continue
        measures.POSSIBLE.set(room.possible)
        measures.LIMIT.set(room.limit)
        complaint = room.complaint()
        if complaint and complaint != said:
            log.warning("connections_may_run_out", reason=complaint)
        said = complaint
        await asyncio.sleep(EVERY)
