"""Real processes under faults and load; what came of it is in docs/reliability.md."""
