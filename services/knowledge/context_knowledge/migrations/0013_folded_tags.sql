-- no transaction
-- In the place of items_tags, which the release before still asks.
CREATE INDEX CONCURRENTLY IF NOT EXISTS items_folded_tags ON items USING gin (folded(tags));
