-- Tags as they are compared, in small letters, with the namespace before them as in tags_within. By Postgres' own rules for
-- letters: those of the machine may change under an index. A namespace in other letters is told apart by its own condition.
CREATE FUNCTION folded_within(namespace text, tags text[]) RETURNS text[] IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
RETURN (SELECT coalesce(array_agg(lower((namespace || '/' || tag) COLLATE pg_c_utf8)), '{}') FROM unnest(tags) AS tag);
