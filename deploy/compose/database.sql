-- Run once, on a new database, beside what migrations make: what `contextctl db slow` reads.
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
