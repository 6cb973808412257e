-- Row-level security behind the queries: one that forgets the namespace gets no rows, and none reaches into another.
--
-- context_knowledge  the service. Sees and writes the namespaces that the transaction's `context.namespaces` lists.
-- context_feed       what spans namespaces: leases, counts, replays. Taken for one transaction by SET LOCAL ROLE, and
--                    never inherited, so that nothing spans namespaces by accident.
--
-- Later migrations call protect('table') for every new table with a namespace, and span('table', 'privileges') where
-- the feed needs it.

-- Roles belong to the server: another database, or another migrator at this moment, may have made them.
CREATE FUNCTION make_role(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF to_regrole(name) IS NULL THEN
        BEGIN
            EXECUTE format('CREATE ROLE %I', name);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
        END;
    END IF;
    -- An owner who is no superuser becomes the role to give it a view, and to serve as it where there is no other login.
    IF NOT pg_has_role(current_user, name, 'SET') THEN
        EXECUTE format('GRANT %I TO CURRENT_USER WITH INHERIT FALSE, SET TRUE', name);
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), name);
END $$;

SELECT make_role('context_knowledge'), make_role('context_feed');

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_auth_members
                   WHERE roleid = 'context_feed'::regrole AND member = 'context_knowledge'::regrole) THEN
        GRANT context_feed TO context_knowledge WITH INHERIT FALSE, SET TRUE;
    END IF;
EXCEPTION WHEN unique_violation THEN NULL; -- as above
END $$;

-- NULL or empty where the transaction names none: then no namespace is among them.
CREATE FUNCTION visible_namespaces() RETURNS text[] STABLE LANGUAGE sql AS $$
    SELECT nullif(current_setting('context.namespaces', true), '')::text[]
$$;

-- In a subquery, so that the setting is read once per statement and not once per row.
CREATE FUNCTION protect(name regclass, privileges text DEFAULT 'SELECT, INSERT, UPDATE, DELETE')
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', name);
    EXECUTE format('CREATE POLICY own_namespaces ON %s'
                   ' USING (namespace = ANY ((SELECT visible_namespaces())::text[]))', name);
    EXECUTE format('GRANT %s ON %s TO context_knowledge', privileges, name);
END $$;

CREATE FUNCTION span(name regclass, privileges text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE POLICY every_namespace ON %s TO context_feed USING (true)', name);
    EXECUTE format('GRANT %s ON %s TO context_feed', privileges, name);
END $$;

REVOKE EXECUTE ON FUNCTION make_role, protect, span FROM PUBLIC;

SELECT protect('counters'), protect('items'), protect('relationships'), protect('changes'), protect('access_counts'),
    protect('item_versions', 'SELECT, INSERT'), protect('audit', 'SELECT, INSERT'),
    span('items', 'SELECT'), span('relationships', 'SELECT'), span('changes', 'SELECT, INSERT, UPDATE, DELETE'),
    span('access_counts', 'SELECT, INSERT, UPDATE');
GRANT USAGE ON SEQUENCE change_ids TO context_knowledge, context_feed;
