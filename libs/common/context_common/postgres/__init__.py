"""The way to Postgres: pool, transactions, faults, migrations, notifications. No SQL of any service stands here."""

from context_common.postgres.address import completion, warn_unverified
from context_common.postgres.faults import NotAnswered, translate_errors
from context_common.postgres.limits import watch_limits
from context_common.postgres.logins import check_session, make_login
from context_common.postgres.migrate import migrate, set_up
from context_common.postgres.notifications import Notifications
from context_common.postgres.pool import Connection, Options, Pool, Reach, Row, open_pool
from context_common.postgres.reads import Reads, ReplicaSettings, Target, open_reads
from context_common.postgres.statements import Measured, Numbered, Statements
from context_common.postgres.transactions import fetch, ping, transaction

__all__ = [
    "Connection",
    "Measured",
    "NotAnswered",
    "Notifications",
    "Numbered",
    "Options",
    "Pool",
    "Reach",
    "Reads",
    "ReplicaSettings",
    "Row",
    "Statements",
    "Target",
    "check_session",
    "completion",
    "fetch",
    "make_login",
    "migrate",
    "open_pool",
    "open_reads",
    "ping",
    "set_up",
    "transaction",
    "translate_errors",
    "warn_unverified",
    "watch_limits",
]
