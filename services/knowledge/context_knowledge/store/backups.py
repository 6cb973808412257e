"""SQL that tells which backup was the last good one. Who backs up notes it; the service only reads."""

from datetime import datetime
from typing import NamedTuple

from context_common.postgres import Statements

NEWEST = """
SELECT DISTINCT ON (kind) kind, finished_at, bytes, seconds FROM backups ORDER BY kind, finished_at DESC"""


class Backup(NamedTuple):
    """A good backup."""

    kind: str
    finished_at: datetime
    bytes: int
    seconds: float


class Backups:
    """Good backups of the whole database."""

    def __init__(self, connection: Statements) -> None:
        self._connection = connection

    async def newest(self) -> list[Backup]:
        """The newest of each kind."""
        return [Backup(**row) for row in await (await self._connection.execute(NEWEST)).fetchall()]
