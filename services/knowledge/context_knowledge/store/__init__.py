"""All the SQL there is: one module per group of tables, and the transaction they share."""

from context_knowledge.store.session import Session, Store

__all__ = ["Session", "Store"]
