-- Tags as they are compared, in small letters. By Postgres' own rules for letters, since those of a machine may change
-- under an index; and all tags as one text, in which small letters change nothing else: an array comes out of it again.
CREATE FUNCTION folded(tags text[]) RETURNS text[] IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
RETURN lower(tags::text COLLATE pg_c_utf8)::text[];
