-- How far a document's text is to be trusted. The rule stands here alone: everything else reads `vouched`.

ALTER TABLE documents ADD COLUMN review text NOT NULL DEFAULT '';
ALTER TABLE documents ADD COLUMN vouched boolean NOT NULL
    GENERATED ALWAYS AS (provenance IN ('human', 'import') OR review = 'approved') STORED;
CREATE INDEX documents_unvouched ON documents (namespace) WHERE NOT vouched AND NOT deleted;
