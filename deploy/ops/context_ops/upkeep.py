"""Upkeep of the database while it is in use: graphs and inverted indexes rebuilt, tables vacuumed and analysed."""

from collections.abc import Iterator, Sequence

from context_ops.store import connect
from context_ops.store.upkeep import Tended, Upkeep

SCHEMAS = ("knowledge", "retrieval")


def tend(url: str, methods: Sequence[str], memory: str) -> Iterator[Tended]:
    """Rebuild the indexes of `methods` and vacuum every table, one after the other; nobody waits for it.

    Rebuilding comes first, since a vacuum of a vector index that is full of holes takes longest.

    Args:
        url: The database, as the owner of its tables.
        methods: Access methods such as hnsw, gin or btree; none leaves indexes as they are.
        memory: For one rebuild; a graph that fits into it is built several times as fast.

    Yields:
        Each step when it is done.

    Raises:
        CommandFailed: The login does not own the tables, somebody else is at it, or a transaction held it up.
    """
    with connect(url) as connection:
        for schema in SCHEMAS:
            upkeep = Upkeep(connection, schema, memory)
            yield from upkeep.unfinished()
            for index in upkeep.indexes(list(methods)):
                yield upkeep.rebuild(index)
            for table in upkeep.tables():
                yield upkeep.vacuum(table)
