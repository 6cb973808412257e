-- Words that no document has any more: they may be what somebody had deleted. From now on they go with the last document.
-- The policies may hold whoever migrates, and let through the namespaces that are named: all of them.
SET LOCAL row_security = on;
SET LOCAL ROLE context_indexer;
SELECT set_config('context.namespaces', (SELECT coalesce(array_agg(DISTINCT namespace), '{}') FROM documents)::text, true);
RESET ROLE;

-- Rows that an indexer is at work on are left to it: who waited for them could meet it half-way.
DELETE FROM terms WHERE (namespace, lexeme) IN (
    SELECT namespace, lexeme FROM terms WHERE documents <= 0 FOR UPDATE SKIP LOCKED);
