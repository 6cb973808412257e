"""What the server must be: Postgres 17 with pgvector 0.8, or newer. Found out before anything is built on it."""

import re
from typing import Any

import psycopg

from context_common.settings import SettingsError

LEAST_SERVER = 170000
LEAST_VECTOR = (0, 8)
VECTOR = b"""
SELECT (SELECT default_version FROM pg_available_extensions WHERE name = 'vector') AS available,
    (SELECT extversion FROM pg_extension WHERE extname = 'vector') AS installed
"""


def check_version(server_version: int) -> None:
    """Refuse a server older than Postgres 17; `server_version` is as libpq has it, 170004 for 17.4.

    Raises:
        SettingsError: It is older.
    """
    if server_version < LEAST_SERVER:
        raise SettingsError(f"Postgres 17 or newer is needed; this server is {server_version // 10000}")


async def check_server(connection: psycopg.AsyncConnection[Any]) -> None:
    """Refuse a server that our schema cannot live on.

    Raises:
        SettingsError: Postgres is older than 17, the database's encoding is not UTF8, or pgvector is absent or older
            than 0.8; says what to do about it.
    """
    check_version(connection.info.server_version)
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise SettingsError(f"the database's encoding is {encoding}: create it with ENCODING 'UTF8' TEMPLATE template0")
    cursor = connection.cursor(row_factory=psycopg.rows.tuple_row)
    available, installed = await (await cursor.execute(VECTOR)).fetchone() or (None, None)
    if available is None:
        raise SettingsError("the server lacks pgvector: install pgvector 0.8 or newer on it")
    if installed and _number(installed) < LEAST_VECTOR <= _number(available):
        raise SettingsError(
            f"pgvector {installed} is installed in this database and 0.8 or newer is needed; the server has"
            f" {available}: let its owner run ALTER EXTENSION vector UPDATE"
        )
    if _number(installed or available) < LEAST_VECTOR:
        raise SettingsError(f"pgvector 0.8 or newer is needed; the server has {installed or available}")


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:2]))
