-- no transaction
-- In the place of documents_tags, which the release before still asks.
CREATE INDEX CONCURRENTLY IF NOT EXISTS documents_tags_within ON documents USING gin (tags_within(namespace, tags)) WITH (fastupdate = off);
