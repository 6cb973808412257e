-- Decisions that superseded one another until an erasure took one of them out: what their status is now is for knowledge to say,
-- which does so within seconds.
CREATE TABLE cut_chains (
    namespace text NOT NULL,
    item_id text COLLATE "C" NOT NULL,
    principal text NOT NULL, -- who erased
    PRIMARY KEY (namespace, item_id)
);
SELECT protect('cut_chains', 'SELECT, DELETE'), span('cut_chains', 'SELECT');
