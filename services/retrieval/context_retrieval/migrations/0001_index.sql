-- The read model. All of it can be rebuilt from knowledge's feed. The namespace is first in every key.
-- Ids sort by bytes (collation C), so that locks are taken in one order whatever the server's locale.

CREATE TABLE documents (
    namespace text NOT NULL,
    item_id text COLLATE "C" NOT NULL,
    change_id bigint NOT NULL,
    deleted boolean NOT NULL DEFAULT false, -- a tombstone: an older change must not bring the item back
    version bigint NOT NULL DEFAULT 0,
    type text NOT NULL DEFAULT '',
    title text NOT NULL DEFAULT '',
    tags text[] NOT NULL DEFAULT '{}',
    status text NOT NULL DEFAULT '',
    in_force boolean NOT NULL DEFAULT false,
    item_date date NOT NULL DEFAULT '1970-01-01',
    updated_at timestamptz NOT NULL DEFAULT now(),
    pinned boolean NOT NULL DEFAULT false,
    severity text NOT NULL DEFAULT '',
    access_count bigint NOT NULL DEFAULT 0,
    provenance text NOT NULL DEFAULT '',
    author text NOT NULL DEFAULT '',
    source_uri text NOT NULL DEFAULT '',
    payload jsonb NOT NULL DEFAULT '{}', -- the type's own fields, as a bundle shows them
    -- Title A, tags B, everything else D; identifiers whole and in parts; and one lexeme `@namespace`, so that the
    -- inverted index can tell namespaces apart (btree_gin is not to be had everywhere).
    lexemes tsvector NOT NULL DEFAULT '',
    length integer NOT NULL DEFAULT 0, -- words, for the length norm
    text_digest bytea NOT NULL DEFAULT '', -- of what the chunks were cut from
    model_id text NOT NULL DEFAULT '', -- the model of every vector; empty: some are still missing
    fill_after timestamptz NOT NULL DEFAULT '-infinity', -- who computes missing vectors has claimed it until then
    PRIMARY KEY (namespace, item_id)
) WITH (fillfactor = 90);

CREATE INDEX documents_lexemes ON documents USING gin (lexemes) WITH (fastupdate = off);
CREATE INDEX documents_tags ON documents USING gin (tags);
CREATE INDEX documents_newest ON documents (namespace, item_date DESC, item_id DESC) WHERE NOT deleted;
CREATE INDEX documents_newest_of_type ON documents (namespace, type, item_date DESC) WHERE NOT deleted;
CREATE INDEX documents_status ON documents (namespace, status) WHERE NOT deleted;
CREATE INDEX documents_id ON documents (namespace, lower(item_id));
CREATE INDEX documents_model ON documents (model_id) WHERE NOT deleted;

CREATE TABLE chunks (
    namespace text NOT NULL,
    item_id text COLLATE "C" NOT NULL,
    ordinal integer NOT NULL,
    text text NOT NULL,
    token_count integer NOT NULL, -- as embedded; 0 while it is not
    digest bytea NOT NULL, -- of the text that is embedded: the same text is not embedded again
    model_id text NOT NULL DEFAULT '',
    embedding halfvec(384), -- NULL: not embedded yet
    PRIMARY KEY (namespace, item_id, ordinal),
    FOREIGN KEY (namespace, item_id) REFERENCES documents ON DELETE CASCADE
);
-- Vectors stay in the row: an exact scan reads them all.
ALTER TABLE chunks ALTER COLUMN embedding SET STORAGE PLAIN;
CREATE INDEX chunks_embedding ON chunks USING hnsw (embedding halfvec_cosine_ops) WITH (m = 16, ef_construction = 128);

CREATE TABLE edges (
    namespace text NOT NULL,
    from_id text COLLATE "C" NOT NULL,
    to_id text COLLATE "C" NOT NULL,
    type text NOT NULL,
    strength double precision NOT NULL,
    PRIMARY KEY (namespace, from_id, to_id, type)
);
CREATE INDEX edges_incoming ON edges (namespace, to_id, type);

-- In how many documents a lexeme stands, and what a namespace amounts to: kept in the transaction that writes documents.
CREATE TABLE terms (
    namespace text NOT NULL,
    lexeme text COLLATE "C" NOT NULL,
    documents bigint NOT NULL,
    PRIMARY KEY (namespace, lexeme)
) WITH (fillfactor = 80);

CREATE TABLE namespace_stats (
    namespace text PRIMARY KEY,
    documents bigint NOT NULL,
    total_length bigint NOT NULL,
    chunks bigint NOT NULL
);

-- Changes that could not be indexed for a reason of their own, taken off the feed so that the others go on.
CREATE TABLE set_aside (
    namespace text NOT NULL,
    item_id text COLLATE "C" NOT NULL,
    change_id bigint NOT NULL,
    reason text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (namespace, item_id)
);
