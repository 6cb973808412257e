"""What every connection of retrieval's pool is set to."""

import orjson
from pgvector.psycopg import register_vector_async
from psycopg.types.json import set_json_loads

from context_common.postgres import Connection, Options, Reach

SESSION = Options("retrieval", role="context_retrieval")
EVERYWHERE = Reach(role="context_indexer")  # for what spans namespaces
CHANNEL = "retrieval_indexed"  # notified when the index has reached a change
EF_SEARCH = 200  # the default 40 finds 84 % of the exact top ten at 20,000 vectors; 200 nearly all


async def configure(connection: Connection) -> None:
    """Set `connection` up once, when it joins the pool."""
    await register_vector_async(connection)
    set_json_loads(orjson.loads, connection)
    # Without the iterative scan a filtered search silently returns too few rows.
    await connection.execute("SELECT set_config('hnsw.iterative_scan', 'relaxed_order', false)")
    await connection.execute("SELECT set_config('hnsw.ef_search', %s, false)", (str(EF_SEARCH),))
    # Compiling costs more than these queries take.
    await connection.execute("SELECT set_config('jit', 'off', false)")
