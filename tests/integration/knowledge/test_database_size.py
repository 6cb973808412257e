"""The size of the database is known to the service's role, and is not where nobody but the logins may connect."""

import psycopg
from prometheus_client import REGISTRY

from context_common import postgres
from context_common.caller import Caller
from context_knowledge import metrics
from context_knowledge.store import SESSION, Store
from context_knowledge.totals import Totals
from tests.support.trust import service


async def measured(url: str, who: Caller) -> float | None:
    """What the gauge says after one look."""
    metrics.DATABASE_SIZE.set(0)
    async with postgres.open_pool(url, SESSION, name="test", size=2) as pool:
        await Totals(Store(pool)).measure(who)
    return REGISTRY.get_sample_value("context_db_size_bytes")


async def test_the_size_is_measured_where_it_may_be(database_url: str) -> None:
    who = service("knowledge", "default")
    with psycopg.connect(database_url, autocommit=True) as owner:
        (size,) = owner.execute("SELECT pg_database_size(current_database())").fetchone() or (0,)
        assert (await measured(database_url, who) or 0) >= size * 0.9
        owner.execute(f"REVOKE CONNECT ON DATABASE {owner.info.dbname} FROM PUBLIC")
        assert await measured(database_url, who) == 0
