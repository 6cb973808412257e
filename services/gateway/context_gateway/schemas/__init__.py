"""pydantic ↔ wire: what callers may send, and how messages are written as JSON."""
