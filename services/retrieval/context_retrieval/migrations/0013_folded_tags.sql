-- no transaction
-- In the place of documents_tags_within, which the release before still asks.
CREATE INDEX CONCURRENTLY IF NOT EXISTS documents_folded_within ON documents USING gin (folded_within(namespace, tags)) WITH (fastupdate = off);
