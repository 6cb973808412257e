"""The four services as one container behind one port, for platforms that run just that; the database is theirs."""
