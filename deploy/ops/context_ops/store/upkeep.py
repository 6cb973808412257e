"""SQL of upkeep: what holds up nobody who reads or writes meanwhile."""

from dataclasses import dataclass
from time import perf_counter

import psycopg
from psycopg import sql

from context_client.errors import CommandFailed
from context_common.postgres.migrate import UNFINISHED, maintenance_key
from context_ops.store import REFUSED, Connection, every, one

PATIENCE = "10min"  # that a rebuild waits for transactions that began before it
INDEXES = """
SELECT c.relname AS name, pg_relation_size(c.oid) AS bytes FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am a ON a.oid = c.relam
WHERE n.nspname = %s AND a.amname = ANY(%s) AND i.indisvalid ORDER BY bytes, name"""
TABLES = """
SELECT c.relname AS name, pg_total_relation_size(c.oid) AS bytes, coalesce(s.n_dead_tup, 0) AS dead FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid
WHERE n.nspname = %s AND c.relkind = 'r' ORDER BY 1"""


@dataclass(frozen=True, slots=True)
class Tended:
    """One step and what came of it; sizes are bytes, of an index itself, of a table with all that belongs to it."""

    step: str
    name: str
    before: int
    after: int
    seconds: float


class Upkeep:
    """Looks after one schema over a session of its owner, which holds it for itself until it ends."""

    def __init__(self, connection: Connection, schema: str, memory: str) -> None:
        self._connection, self._schema = connection, schema
        if not one(connection, "SELECT pg_try_advisory_lock(%s) AS held", maintenance_key(schema))["held"]:
            raise CommandFailed(f"somebody migrates or looks after {schema} already", REFUSED)
        connection.execute("SELECT set_config('maintenance_work_mem', %s, false)", (memory,))
        connection.execute("SELECT set_config('lock_timeout', %s, false)", (PATIENCE,))

    def unfinished(self) -> list[Tended]:
        """Drop what a rebuild left that was killed: such an index costs every write something and answers no read."""
        return [self._drop(row["name"]) for row in every(self._connection, UNFINISHED, self._schema)]

    def indexes(self, methods: list[str]) -> list[str]:
        """The indexes of these access methods, smallest first."""
        return [row["name"] for row in every(self._connection, INDEXES, self._schema, methods)]

    def tables(self) -> list[str]:
        """The tables."""
        return [row["name"] for row in every(self._connection, TABLES, self._schema)]

    def rebuild(self, index: str) -> Tended:
        """Build an index anew beside the old one, which serves until then.

        Raises:
            CommandFailed: A transaction older than that held it up for ten minutes; the old index stays.
        """
        try:
            return self._do("reindex", index, sql.SQL("REINDEX INDEX CONCURRENTLY {}"))
        except psycopg.errors.LockNotAvailable as error:
            self.unfinished()
            raise CommandFailed(
                f"{self._schema}.{index} was not rebuilt: a transaction that began before went on for {PATIENCE}",
                REFUSED,
            ) from error

    def vacuum(self, table: str) -> Tended:
        """Make room of what was deleted, and renew what the planner knows."""
        return self._do("vacuum", table, sql.SQL("VACUUM (ANALYZE) {}"))

    def _drop(self, index: str) -> Tended:
        return self._do("drop unfinished", index, sql.SQL("DROP INDEX CONCURRENTLY {}"))

    def _do(self, step: str, name: str, statement: sql.SQL) -> Tended:
        before, start = self._bytes(name), perf_counter()
        self._connection.execute(statement.format(sql.Identifier(self._schema, name)))
        return Tended(step, f"{self._schema}.{name}", before, self._bytes(name), perf_counter() - start)

    def _bytes(self, name: str) -> int:
        query = (
            "SELECT coalesce(pg_total_relation_size(to_regclass(format('%%I.%%I', %s::text, %s::text))), 0) AS bytes"
        )
        return int(one(self._connection, query, self._schema, name)["bytes"])
