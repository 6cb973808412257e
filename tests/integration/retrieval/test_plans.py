"""The one plan of a search reads nothing that grows with the namespace it is asked in."""

import itertools
from collections.abc import AsyncIterator

import psycopg
import pytest

from context_common import postgres
from context_common.postgres import Pool, Reach
from context_retrieval.model import Filter
from context_retrieval.store import SESSION, configure, statement
from context_retrieval.store.statement import Plan, Shape, Way

# As in an organisation with one large namespace and many small ones, of which the planner knows no more than how many.
FILLED = """
INSERT INTO retrieval.documents
    (namespace, item_id, change_id, type, status, in_force, item_date, tags, lexemes, model_id)
SELECT CASE WHEN number % 10 > 0 THEN 'large' ELSE 'small-' || number % 293 END, 'ADR-' || number, number,
    (ARRAY['adr', 'failure', 'meeting'])[1 + number % 3], 'active', true, date '2020-01-01' + number % 2000,
    ARRAY['tag-' || number % 9], ('''@large'' ''word' || number % 40 || '''')::tsvector, 'model'
FROM generate_series(1, 6000) AS number"""
FILLED_CHUNKS = """
INSERT INTO retrieval.chunks (namespace, item_id, ordinal, text, token_count, digest, model_id, embedding)
SELECT namespace, item_id, 0, 'text', 1, '', 'model', (SELECT array_agg(random()) FROM generate_series(1, 384)
    WHERE item_id <> '')::vector::halfvec FROM retrieval.documents WHERE change_id % 3 = 0"""


@pytest.fixture
async def filled(database_url: str) -> AsyncIterator[Pool]:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as owner:
        await owner.execute(FILLED)
        await owner.execute(FILLED_CHUNKS)
        await owner.execute("ANALYZE retrieval.documents, retrieval.chunks")
    async with postgres.open_pool(database_url, SESSION, name="plans", size=1, configure=configure) as pool:
        yield pool


async def planned(pool: Pool, text: bytes, *, sort: bool = True) -> str:
    async with postgres.transaction(pool, Reach(("large",))) as connection:
        await connection.execute("SELECT set_config('enable_sort', %s, true)", ("on" if sort else "off",))
        # Of a statement that says nothing of its parameters' values.
        rows = await psycopg.AsyncClientCursor(connection).execute(b"EXPLAIN (GENERIC_PLAN) " + text)
        return "\n".join(row["QUERY PLAN"] for row in await rows.fetchall())


@pytest.mark.parametrize(
    "wanted",
    [Filter(("large",)), Filter(("large",), tags=("tag-1",)), Filter(("large",), types=("adr",), tags=("tag-1",))],
    ids=["all", "tag", "type and tag"],
)
async def test_no_list_of_a_whole_namespace_is_set_against_a_few_rows(filled: Pool, wanted: Filter) -> None:
    for way, unvouched in itertools.product(Way, (None, Way.PART)):
        plan = Plan(dense=True, lexical=True, way=way, way_unvouched=unvouched)
        text = await planned(filled, statement.search(plan, Shape.of(wanted)).text, sort=not plan.indexed)
        assert "BitmapAnd" not in text, plan
        assert "Seq Scan on documents" not in text, plan
        assert "Index Scan using documents_id on" in text, plan
        assert "Bitmap Index Scan on documents_lexemes" in text, plan
        assert text.count("Index Scan using chunks_embedding") == (way is Way.INDEX), plan


async def test_what_has_a_tag_is_counted_by_the_tag(filled: Pool) -> None:
    text = await planned(filled, statement.passing(Shape.of(Filter(("large",), types=("adr",), tags=("tag-1",)))).text)
    assert "Bitmap Index Scan on documents_folded_within" in text
    assert "BitmapAnd" not in text
