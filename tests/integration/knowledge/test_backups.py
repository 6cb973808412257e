"""The age of the last good backup is seen by whoever scrapes knowledge."""

import psycopg
import pytest
from prometheus_client import REGISTRY

from context_common import postgres
from context_knowledge.backups import Backups
from context_knowledge.store import SESSION, Store
from tests.support.trust import service

NOTES = """
INSERT INTO knowledge.backups (kind, name, finished_at, bytes, seconds) VALUES
    ('dump', 'new', '2026-03-14T02:00:05Z', 2000, 5), ('dump', 'old', '2026-03-13T02:00:04Z', 1000, 4),
    ('base', 'weekly', '2026-03-08T03:00:00Z', 9000, 60)"""


async def test_the_newest_of_each_kind_is_shown(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SET ROLE context_backup")
        connection.execute(NOTES)
    async with postgres.open_pool(database_url, SESSION, name="test", size=2) as pool:
        await Backups(Store(pool)).measure(service("knowledge", "default"))

    def shown(name: str, kind: str) -> float | None:
        return REGISTRY.get_sample_value(f"context_backup_last_{name}", {"kind": kind})

    assert shown("success_timestamp_seconds", "dump") == 1773453605
    assert shown("size_bytes", "dump") == 2000
    assert shown("duration_seconds", "base") == 60


def test_the_service_cannot_pretend_that_there_was_one(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("SET ROLE context_knowledge")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(NOTES)
