"""All the SQL of retrieval: `Index` writes the read model, `Reader` searches it, `Status` counts it, and `Receipts`
stand beside it.
"""

from context_retrieval.store.index import CLAIM, Index
from context_retrieval.store.pool import CHANNEL, SESSION, configure
from context_retrieval.store.reader import Passing, Reader, Readers, Size, look, sought, way
from context_retrieval.store.receipts import Receipts
from context_retrieval.store.status import Status

__all__ = [
    "CHANNEL",
    "CLAIM",
    "SESSION",
    "Index",
    "Passing",
    "Reader",
    "Readers",
    "Receipts",
    "Size",
    "Status",
    "configure",
    "look",
    "sought",
    "way",
]
