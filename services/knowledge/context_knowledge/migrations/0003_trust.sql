-- Keys, a fuller audit trail, requests that may be repeated, and changes that nobody could index.

-- No namespace column: a key opens several, and is found by its digest before anybody knows which.
CREATE TABLE keys (
    id text COLLATE "C" PRIMARY KEY,
    digest bytea NOT NULL UNIQUE CHECK (octet_length(digest) = 32),
    prefix text NOT NULL,
    name text NOT NULL,
    scopes text[] NOT NULL,
    namespaces text[] NOT NULL,
    read_namespaces text[] NOT NULL,
    provenance text NOT NULL CHECK (provenance IN ('human', 'agent', 'event')),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by text NOT NULL,
    expires_at timestamptz NOT NULL DEFAULT 'infinity',
    last_used_at timestamptz,
    revoked_at timestamptz,
    replaced_by text COLLATE "C" REFERENCES keys (id)
);
CREATE INDEX keys_newest ON keys (created_at DESC, id DESC);
-- What a key allows is settled when it is made.
GRANT SELECT, INSERT, UPDATE (expires_at, last_used_at, revoked_at, replaced_by) ON keys TO context_knowledge;

-- What concerns no one namespace has the empty one. `entry` alone orders the lines of several namespaces.
ALTER TABLE audit ADD COLUMN address text NOT NULL DEFAULT '';
SELECT span('audit', 'INSERT');
CREATE INDEX audit_principal ON audit (namespace, principal, entry);
CREATE INDEX audit_action ON audit (namespace, action, entry);
CREATE INDEX audit_request ON audit (namespace, request_id);

-- The answer to a request that its caller may send again, kept for a day.
CREATE TABLE idempotency (
    namespace text NOT NULL,
    principal text NOT NULL,
    key text COLLATE "C" NOT NULL,
    digest bytea NOT NULL, -- of what was asked for
    answer bytea NOT NULL DEFAULT '',
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (namespace, principal, key)
);
CREATE INDEX idempotency_at ON idempotency (at);
SELECT protect('idempotency'), span('idempotency', 'SELECT, UPDATE, DELETE');

-- A change that was set aside stays in its row, so that a new change of its item brings it back by itself.
ALTER TABLE changes
    ADD COLUMN reason text NOT NULL DEFAULT '',
    ADD COLUMN set_aside_at timestamptz;
CREATE INDEX changes_set_aside ON changes (namespace, item_id) WHERE set_aside_at IS NOT NULL;
CREATE INDEX changes_held ON changes (leased_by) WHERE leased_by <> '';
