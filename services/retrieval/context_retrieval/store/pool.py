"""What every connection of retrieval's pool is set to."""

import orjson
from pgvector.psycopg import register_vector_async
from psycopg.types.json import set_json_loads

from context_common.postgres import Connection, Options, Reach

SESSION = Options("retrieval", role="context_retrieval")
EVERYWHERE = Reach(role="context_indexer")  # for what spans namespaces
PREPARED = 500  # statements of a connection
CHANNEL = "retrieval_indexed"  # notified when the index has reached a change


async def configure(connection: Connection) -> None:
    """Set `connection` up once, when it joins the pool."""
    await register_vector_async(connection)
    set_json_loads(orjson.loads, connection)
    # Without the iterative scan a filtered search silently returns too few rows.
    await connection.execute("SELECT set_config('hnsw.iterative_scan', 'relaxed_order', false)")
    # A plan for each combination of filters, made once: planning a search would take as long as running it.
    await connection.execute("SELECT set_config('plan_cache_mode', 'force_generic_plan', false)")
    connection.prepare_threshold, connection.prepared_max = 0, PREPARED
    # Compiling costs more than these queries take.
    await connection.execute("SELECT set_config('jit', 'off', false)")
