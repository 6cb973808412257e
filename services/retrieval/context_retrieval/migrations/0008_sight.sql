-- The view's condition is checked row by row and leads to no index. As a condition that an index can serve, the planner
-- read every entry of a large namespace, of whichever index begins with one, to set it against a few rows that were found
-- by a word or a tag: a list that grows with the namespace, in every search. A statement's own condition leads to rows.

CREATE OR REPLACE FUNCTION show(name regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    visible text := format('visible_%s', (SELECT relname FROM pg_class WHERE oid = name));
BEGIN
    EXECUTE format('DROP VIEW IF EXISTS %I', visible);
    EXECUTE format('CREATE VIEW %I AS SELECT * FROM %s'
                   ' WHERE array_position((SELECT visible_namespaces()), namespace) IS NOT NULL', visible, name);
    EXECUTE format('GRANT SELECT ON %I TO context_retrieval', visible);
    EXECUTE format('GRANT CREATE ON SCHEMA %I TO context_views', current_schema());
    EXECUTE format('ALTER VIEW %I OWNER TO context_views', visible);
    EXECUTE format('REVOKE CREATE ON SCHEMA %I FROM context_views', current_schema());
    EXECUTE format('GRANT SELECT ON %s TO context_views', name);
    EXECUTE format('DROP POLICY IF EXISTS shown ON %s', name);
    EXECUTE format('CREATE POLICY shown ON %s FOR SELECT TO context_views USING (true)', name);
END $$;
REVOKE EXECUTE ON FUNCTION show FROM PUBLIC;

SELECT show('documents');

-- Tags with the namespace before them, so that the index on tags can tell namespaces apart; neither a namespace nor what
-- begins with one and a slash can be mistaken for another, since a namespace has no slash.
CREATE FUNCTION tags_within(namespace text, tags text[]) RETURNS text[] IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
RETURN (SELECT coalesce(array_agg(namespace || '/' || tag), '{}') FROM unnest(tags) AS tag);
