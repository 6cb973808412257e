-- What looks like instructions to an agent waits for somebody's verdict, in its own row, with what gave rise to it.
ALTER TABLE items
    ADD COLUMN review text NOT NULL DEFAULT '' CHECK (review IN ('', 'held', 'approved', 'rejected')),
    ADD COLUMN suspicions jsonb NOT NULL DEFAULT '[]';
CREATE INDEX items_held ON items (namespace, updated_at, id) WHERE review = 'held';

-- A verdict is a version of its own.
ALTER TABLE item_versions
    DROP CONSTRAINT item_versions_change_check,
    ADD CONSTRAINT item_versions_change_check
        CHECK (change IN ('created', 'updated', 'superseded', 'restored', 'reviewed', 'deleted'));
