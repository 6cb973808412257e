"""What operators' commands ask of Postgres. The only place of context_ops that knows its driver."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.rows import DictRow, dict_row

from context_client.errors import CommandFailed
from context_common.postgres.address import parts
from context_common.postgres.pool import KEEPALIVE
from context_common.scrub import scrub
from context_common.settings import SettingsError

Connection: TypeAlias = psycopg.Connection[DictRow]
FAILED, USAGE, NOT_FOUND, REFUSED, AWAY = 1, 2, 3, 4, 5  # exit codes
# Values read the same on every server, and nothing that takes long is given up.
SESSION = {
    "client_encoding": "UTF8",
    "timezone": "UTC",
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "search_path": "pg_catalog,public",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "row_security": "off",  # an error rather than rows left out
}


@dataclass(frozen=True)
class Login:
    """How Postgres's own programs log in: the password is in their environment, not on their command line."""

    address: str
    environ: Mapping[str, str]


def login(url: str, programs: Mapping[str, str]) -> Login:
    """What `url` says, for programs."""
    found = _parts(url)
    password = found.pop("password", None)
    address = make_conninfo("", **{**found, "application_name": "contextctl"})
    return Login(address, {**programs, **({"PGPASSWORD": str(password)} if password else {})})


def _parts(url: str) -> dict[str, Any]:
    try:
        return parts(url)
    except SettingsError as error:
        raise CommandFailed(str(error), USAGE) from error


def database(url: str, name: str) -> str:
    """The same server's database of another name."""
    return make_conninfo(url, dbname=name)


@contextmanager
def connect(url: str) -> Iterator[Connection]:
    """A session for the block; every statement is a transaction of its own.

    Raises:
        CommandFailed: The address is none (2), the server is away (5), or it refused a statement of the block (1).
    """
    _parts(url)
    options = " ".join(f"-c {name}={value}" for name, value in SESSION.items())
    try:
        connection = psycopg.connect(
            url, autocommit=True, row_factory=dict_row, options=options, application_name="contextctl", **KEEPALIVE
        )
    except psycopg.Error as error:
        raise CommandFailed(f"the database is not reachable: {_said(error)}", AWAY) from error
    user = connection.info.user  # unknown once it is closed
    try:
        with connection:
            yield connection
    except psycopg.errors.LockNotAvailable as error:
        raise CommandFailed("somebody is at work in the database: stop the services first", REFUSED) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise CommandFailed(f"{user} may not do this: {error.diag.message_primary}", REFUSED) from error
    except psycopg.OperationalError as error:
        raise CommandFailed(f"the database went away: {_said(error)}", AWAY) from error
    except psycopg.Error as error:
        raise CommandFailed(f"the database refused: {_said(error)}") from error


def _said(error: psycopg.Error) -> str:
    return scrub(str(error).strip())


def one(connection: Connection, query: str, *values: Any) -> DictRow:
    """The one row of a query that always has one."""
    row = connection.execute(query.encode(), values or None).fetchone()
    assert row is not None  # noqa: S101 - such is the query
    return row


def every(connection: Connection, query: str, *values: Any) -> list[DictRow]:
    """The rows of a query."""
    return connection.execute(query.encode(), values or None).fetchall()
