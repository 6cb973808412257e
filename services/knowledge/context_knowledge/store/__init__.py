"""All the SQL there is: one module per group of tables, and the transaction they share."""

from context_knowledge.store.session import SESSION, Session, Store

__all__ = ["SESSION", "Session", "Store"]
