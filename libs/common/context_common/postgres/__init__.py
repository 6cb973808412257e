"""The way to Postgres: pool, transactions, faults, migrations, notifications. No SQL of any service stands here."""

from context_common.postgres.faults import translate_errors
from context_common.postgres.logins import check_session, make_login
from context_common.postgres.migrate import migrate
from context_common.postgres.notifications import Notifications
from context_common.postgres.pool import Connection, Options, Pool, Reach, Row, open_pool
from context_common.postgres.transactions import fetch, ping, transaction

__all__ = [
    "Connection",
    "Notifications",
    "Options",
    "Pool",
    "Reach",
    "Row",
    "check_session",
    "fetch",
    "make_login",
    "migrate",
    "open_pool",
    "ping",
    "transaction",
    "translate_errors",
]
