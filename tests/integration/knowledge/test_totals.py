"""How many items there are, over all namespaces: exactly while they are few, by the planner's estimate beyond."""

import psycopg
import pytest
from prometheus_client import REGISTRY

from context_common import postgres
from context_knowledge.store import SESSION, Store
from context_knowledge.store.totals import FEW
from context_knowledge.totals import Totals
from tests.support.items import adr, failure
from tests.support.knowledge import Knowledge
from tests.support.trust import service

MANY = """
    INSERT INTO knowledge.items (namespace, id, type, title, tags, author, status, source_uri, provenance, pinned,
                                 item_date, body, search, version, created_at, updated_at)
    SELECT 'n' || n % 7, 'X-' || n, CASE WHEN n % 4 = 0 THEN 'failure' ELSE 'adr' END, '', '{}', '', 'accepted', '',
           'human', false, '2026-01-01', '{}', '', 1, now(), now() FROM generate_series(1, %s) AS n
"""


async def totals(url: str) -> dict[str, float]:
    """The gauges after a look, by a service that row-level security holds."""
    async with postgres.open_pool(url, SESSION, name="test", size=2) as pool:
        await Totals(Store(pool)).measure(service("knowledge", "default"))
    types = ("adr", "failure", "meeting", "snapshot")
    return {name: REGISTRY.get_sample_value("context_items", {"type": name}) or 0 for name in types}


async def test_items_of_every_namespace_are_counted_by_type(knowledge: Knowledge) -> None:
    assert await totals(knowledge.url) == {"adr": 0, "failure": 0, "meeting": 0, "snapshot": 0}
    for namespace in ("web", "ops"):
        await knowledge.as_(namespace).create(adr())
    gone = await knowledge.create(failure())
    assert (await totals(knowledge.url))["failure"] == 1
    await knowledge.delete(gone.item.id)
    assert await totals(knowledge.url) == {"adr": 2, "failure": 0, "meeting": 0, "snapshot": 0}


async def test_of_many_items_the_estimate_is_near_and_nothing_is_scanned(database_url: str) -> None:
    items = FEW * 6 // 5
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute("ALTER TABLE knowledge.items DISABLE TRIGGER USER")
        owner.execute(MANY.replace("%s", str(items)))
        owner.execute("ANALYZE knowledge.items")
        owner.execute("SELECT pg_stat_reset()")
        found = await totals(database_url)
        assert found["adr"] == pytest.approx(items * 3 / 4, rel=0.1)
        assert found["failure"] == pytest.approx(items / 4, rel=0.1)
        assert found["meeting"] + found["snapshot"] < items / 100
        scans = "SELECT coalesce(sum(seq_scan + idx_scan), 0) FROM pg_stat_user_tables WHERE relname = 'items'"
        assert owner.execute(scans).fetchone() == (0,)
