-- The digest of where a deleted item came from: its source_uri, or a snapshot's commit; of an erased one what is left of it.
-- Postgres puts the expression in the function's place, so that the index of 0010_deleted, which has the same, serves it.
CREATE FUNCTION origin_digest(content jsonb) RETURNS text IMMUTABLE PARALLEL SAFE LANGUAGE sql
RETURN coalesce(content ->> 'origin_digest', md5(coalesce(nullif(content ->> 'source_uri', ''), content ->> 'commit_hash')));
