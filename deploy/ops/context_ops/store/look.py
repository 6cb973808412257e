"""What `contextctl db` asks of the database's own statistics. Queries come without their values."""

from typing import Any

from psycopg import sql

from context_client.errors import CommandFailed
from context_common.scrub import scrub
from context_ops.store import REFUSED, Connection, every, one
from context_ops.store.content import OURS

EXTENSION = "pg_stat_statements"
SWITCH_ON = (
    "pg_stat_statements is not {missing}: set shared_preload_libraries = 'pg_stat_statements' in postgresql.conf,"
    " restart Postgres, and run CREATE EXTENSION pg_stat_statements in this database"
)
HAS_IT = """
SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_stat_statements') AS shipped,
    (SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
     WHERE e.extname = 'pg_stat_statements') AS schema"""
# Only statements whose constants Postgres takes out: CREATE ROLE … PASSWORD would stand there as it was written.
SLOW = r"""
SELECT calls, round(mean_exec_time::numeric, 2)::float8 AS mean_ms, round(max_exec_time::numeric, 2)::float8 AS max_ms,
    round(total_exec_time::numeric / 1000, 1)::float8 AS total_s, rows,
    round(100.0 * shared_blks_hit / nullif(shared_blks_hit + shared_blks_read, 0), 1)::float8 AS cached_percent,
    pg_get_userbyid(userid) AS role, regexp_replace(query, '\s+', ' ', 'g') AS query
FROM {}.pg_stat_statements WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND query ~* '^\s*(/\*.*?\*/\s*)?(select|insert|update|delete|with|merge)\M' AND calls >= %s
ORDER BY {} DESC LIMIT %s"""
ORDERS = {"total": "total_exec_time", "mean": "mean_exec_time", "calls": "calls"}

LIMITS = """
SELECT current_setting('max_connections')::int AS most,
    current_setting('superuser_reserved_connections')::int + current_setting('reserved_connections')::int AS reserved,
    (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS used"""
SESSIONS = """
SELECT coalesce(datname, '') AS database, usename AS role, application_name AS pool, coalesce(state, '') AS state,
    count(*) AS connections, count(*) FILTER (WHERE wait_event_type = 'Lock') AS waiting_for_locks,
    coalesce(round(extract(epoch FROM max(now() - xact_start)))::int, 0) AS oldest_transaction_s
FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
GROUP BY 1, 2, 3, 4 ORDER BY connections DESC, pool, state"""

# A B-tree's leaf takes about its keys and 16 bytes a row, and is filled to nine tenths.
INDEXES = f"""
WITH index AS (
    SELECT n.nspname, t.relname AS table, c.oid, c.relname AS name, a.amname AS method, x.indisvalid AS valid,
        x.indisunique AS unique, x.indnatts, pg_relation_size(c.oid) AS bytes, greatest(c.reltuples, 0) AS rows,
        coalesce(s.idx_scan, 0) AS scans
    FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am a ON a.oid = c.relam
    LEFT JOIN pg_stat_all_indexes s ON s.indexrelid = c.oid
    WHERE n.nspname <> 'public' AND {OURS})
SELECT nspname || '.' || name AS name, nspname || '.' || "table" AS table, method, valid, "unique", bytes,
    rows::bigint, scans,
    CASE WHEN method = 'btree' THEN round((bytes / (8192 + rows * (16 + (
        SELECT coalesce(sum(p.avg_width), 0) FROM pg_attribute k LEFT JOIN pg_stats p ON p.schemaname = nspname
            AND p.attname = k.attname AND p.tablename IN ("table", name) WHERE k.attrelid = index.oid AND k.attnum > 0
    )) / 0.9))::numeric, 1)::float8 END AS bloat
FROM index ORDER BY bytes DESC, 1"""  # noqa: S608
SCANNED = """
SELECT schemaname || '.' || relname AS table, seq_scan AS scans, seq_tup_read AS rows_read, n_live_tup AS rows
FROM pg_stat_user_tables WHERE n_live_tup > %s AND seq_scan > 100 AND seq_scan > coalesce(idx_scan, 0)
ORDER BY seq_tup_read DESC"""
VECTOR = """
SELECT to_regclass('retrieval.chunks') IS NOT NULL AS wanted, EXISTS (
    SELECT FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_am a ON a.oid = i.relam
    WHERE x.indrelid = to_regclass('retrieval.chunks') AND a.amname = 'hnsw' AND x.indisvalid) AS there"""
SINCE = "SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()"
LARGE_TABLE = 10_000  # rows
LARGE_INDEX = 8 << 20  # bytes below which an index is not worth a word
BLOATED = 3.0  # times what its rows need

SIZES = f"""
SELECT n.nspname || '.' || c.relname AS name, pg_total_relation_size(c.oid) AS bytes, pg_relation_size(c.oid) AS heap,
    pg_indexes_size(c.oid) AS indexes, greatest(c.reltuples, 0)::bigint AS rows,
    round(100.0 * s.n_dead_tup / nullif(s.n_live_tup + s.n_dead_tup, 0), 1)::float8 AS dead_percent,
    greatest(s.last_vacuum, s.last_autovacuum) AS vacuumed
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid
WHERE c.relkind = 'r' AND {OURS} ORDER BY bytes DESC, 1"""  # noqa: S608


def slow(connection: Connection, order: str, limit: int, least_calls: int) -> list[dict[str, Any]]:
    """The statements that take most, by `order` of ORDERS.

    Raises:
        CommandFailed: pg_stat_statements is not at work; with how to switch it on.
    """
    there = one(connection, HAS_IT)
    if there["schema"] is None:
        missing = (
            "installed in this database" if there["shipped"] else "part of this server (postgresql-contrib has it)"
        )
        raise CommandFailed(SWITCH_ON.format(missing=missing), REFUSED)
    statement = sql.SQL(SLOW).format(sql.Identifier(there["schema"]), sql.Identifier(ORDERS[order]))
    if EXTENSION not in one(connection, "SELECT current_setting('shared_preload_libraries') AS names")["names"]:
        raise CommandFailed(SWITCH_ON.format(missing="loaded"), REFUSED)
    rows = connection.execute(statement, (least_calls, limit)).fetchall()
    return [{**row, "query": scrub(row["query"])} for row in rows]


def connections(connection: Connection) -> dict[str, Any]:
    """Who is connected, and how near that is to what the server allows."""
    limits = one(connection, LIMITS)
    return {
        **limits,
        "free": limits["most"] - limits["reserved"] - limits["used"],
        "sessions": every(connection, SESSIONS),
    }


def indexes(connection: Connection) -> dict[str, Any]:
    """All indexes, what to say of them, and what may need one."""
    found = every(connection, INDEXES)
    vector = one(connection, VECTOR)
    scanned = every(connection, SCANNED, LARGE_TABLE)
    since = one(connection, SINCE)["stats_reset"]
    findings = [{"index": row["name"], "finding": word} for row in found if (word := _remark(row))]
    findings += [
        {"index": "", "finding": f"{row['table']} is read as a whole ({row['scans']} times)"} for row in scanned
    ]
    broken = [row["name"] for row in found if not row["valid"]]
    if vector["wanted"] and not vector["there"]:
        findings.append({"index": "", "finding": "retrieval.chunks has no valid vector index"})
        broken.append("the vector index")
    return {"since": since and since.isoformat(), "indexes": found, "findings": findings, "broken": broken}


def sizes(connection: Connection) -> list[dict[str, Any]]:
    """Tables by size."""
    return [{**row, "vacuumed": row["vacuumed"] and row["vacuumed"].isoformat()} for row in every(connection, SIZES)]


def _remark(row: dict[str, Any]) -> str:
    if not row["valid"]:
        return "invalid: what built it broke off; drop it and build it again"
    if row["bytes"] < LARGE_INDEX:
        return ""
    if row["scans"] == 0 and not row["unique"]:
        return "unused on this server since the statistics began; replicas have their own"
    if (row["bloat"] or 0) > BLOATED:
        return f"bloated: {row['bloat']} times what its rows need; REINDEX INDEX CONCURRENTLY"
    return ""
