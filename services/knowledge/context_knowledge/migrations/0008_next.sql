-- no transaction
-- Which changes are handed out next. The index on their age alone stays for a release: the one before asks it.
CREATE INDEX CONCURRENTLY IF NOT EXISTS changes_next ON changes (bulk, change_id);
