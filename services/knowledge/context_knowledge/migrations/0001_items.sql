-- Every table has the namespace first in its key, and every query names it.
-- Ids sort by bytes (collation C), so that cursors and locks have one order whatever the server's locale.

CREATE TABLE counters (
    namespace text NOT NULL,
    type text NOT NULL,
    last bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (namespace, type)
);

CREATE TABLE items (
    namespace text NOT NULL,
    id text COLLATE "C" NOT NULL,
    type text NOT NULL CHECK (type IN ('adr', 'failure', 'meeting', 'snapshot')),
    title text NOT NULL,
    tags text[] NOT NULL,
    author text NOT NULL,
    status text NOT NULL,
    source_uri text NOT NULL,
    provenance text NOT NULL CHECK (provenance IN ('human', 'agent', 'import', 'event')),
    pinned boolean NOT NULL,
    item_date date NOT NULL,
    body jsonb NOT NULL,
    search tsvector NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    severity text GENERATED ALWAYS AS (body ->> 'severity') STORED,
    pattern text GENERATED ALWAYS AS (body ->> 'pattern') STORED,
    app_name text GENERATED ALWAYS AS (body ->> 'app_name') STORED,
    commit_hash text GENERATED ALWAYS AS (body ->> 'commit_hash') STORED,
    PRIMARY KEY (namespace, id)
);

-- By digest: an address may be longer than an index entry.
CREATE UNIQUE INDEX items_source_uri ON items (namespace, type, md5(source_uri)) WHERE source_uri <> '';
CREATE UNIQUE INDEX items_commit_hash ON items (namespace, commit_hash) WHERE type = 'snapshot';
CREATE INDEX items_newest ON items (namespace, item_date DESC, length(id) DESC, id DESC);
CREATE INDEX items_newest_of_type ON items (namespace, type, item_date DESC, length(id) DESC, id DESC);
CREATE INDEX items_status ON items (namespace, type, status);
CREATE INDEX items_author ON items (namespace, author);
CREATE INDEX items_severity ON items (namespace, severity) WHERE type = 'failure';
CREATE INDEX items_pattern ON items (namespace, pattern) WHERE type = 'failure';
CREATE INDEX items_app_name ON items (namespace, app_name) WHERE type = 'failure';
CREATE INDEX items_tags ON items USING gin (tags);
CREATE INDEX items_search ON items USING gin (search);

CREATE TABLE item_versions (
    namespace text NOT NULL,
    id text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    changed_at timestamptz NOT NULL,
    changed_by text NOT NULL,
    change text NOT NULL CHECK (change IN ('created', 'updated', 'superseded', 'restored', 'deleted')),
    changed_fields text[] NOT NULL,
    content jsonb NOT NULL,
    -- From when on the organisation saw it so; for what was written down later than it happened, earlier than changed_at.
    valid_from timestamptz NOT NULL,
    PRIMARY KEY (namespace, id, version)
);
CREATE INDEX item_versions_valid ON item_versions (namespace, id, valid_from DESC, version DESC);

-- No foreign key on either end: an edge may be named before its item arrives, and counts for nothing until then.
CREATE TABLE relationships (
    namespace text NOT NULL,
    from_id text COLLATE "C" NOT NULL,
    to_id text COLLATE "C" NOT NULL,
    type text NOT NULL CHECK (type IN (
        'supersedes', 'caused_by', 'related_to', 'references',
        'discussed_in', 'resolved_by', 'implements', 'contradicts'
    )),
    strength double precision NOT NULL CHECK (strength > 0 AND strength <= 1),
    origin text NOT NULL CHECK (origin IN ('field', 'text', 'explicit')),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (namespace, from_id, to_id, type)
);
CREATE INDEX relationships_incoming ON relationships (namespace, to_id, type);

-- The feed: one row per item that read models have not caught up with. `change_id` grows with every change of an
-- item, because it is drawn while the row is held.
CREATE SEQUENCE change_ids;
CREATE TABLE changes (
    namespace text NOT NULL,
    item_id text COLLATE "C" NOT NULL,
    change_id bigint NOT NULL,
    changed_at timestamptz NOT NULL,
    leased_by text NOT NULL DEFAULT '',
    lease_until timestamptz NOT NULL DEFAULT '-infinity',
    attempts integer NOT NULL DEFAULT 0,
    PRIMARY KEY (namespace, item_id)
);
CREATE INDEX changes_oldest ON changes (change_id);
CREATE INDEX changes_lease ON changes (lease_until);

CREATE TABLE access_counts (
    namespace text NOT NULL,
    item_id text COLLATE "C" NOT NULL,
    day date NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (namespace, item_id, day)
);

CREATE TABLE audit (
    namespace text NOT NULL,
    entry bigint GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    principal text NOT NULL,
    request_id text NOT NULL,
    action text NOT NULL,
    item_id text COLLATE "C" NOT NULL,
    version bigint,
    detail text NOT NULL DEFAULT '',
    PRIMARY KEY (namespace, entry)
);
CREATE INDEX audit_item ON audit (namespace, item_id, entry);
CREATE INDEX audit_at ON audit (namespace, at);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% only grows', TG_TABLE_NAME;
END $$;
CREATE TRIGGER item_versions_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON item_versions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
