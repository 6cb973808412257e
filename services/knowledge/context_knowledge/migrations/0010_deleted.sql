-- no transaction
-- Where items came from that were deleted, as a digest, also of those whose text was erased: an import asks whether it knows them.
CREATE INDEX CONCURRENTLY IF NOT EXISTS item_versions_deleted ON item_versions (namespace, coalesce(content ->> 'origin_digest', md5(coalesce(nullif(content ->> 'source_uri', ''), content ->> 'commit_hash')))) WHERE change = 'deleted';
