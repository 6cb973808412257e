-- Which backups were good, so that everybody who can reach the database can tell how old the last one is. The backups
-- themselves are elsewhere, each with its own manifest.

CREATE TABLE backups (
    kind text NOT NULL CHECK (kind IN ('dump', 'base')),
    name text NOT NULL,
    finished_at timestamptz NOT NULL,
    bytes bigint NOT NULL,
    seconds double precision NOT NULL,
    PRIMARY KEY (kind, name)
);

-- What a login that backs up is given, beside reading everything.
SELECT make_role('context_backup');
GRANT INSERT ON backups TO context_backup;
GRANT SELECT ON backups TO context_knowledge;
