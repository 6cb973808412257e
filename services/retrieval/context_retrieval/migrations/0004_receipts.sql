-- What each question was asked and answered. No part of the index: a rebuild leaves it alone.

CREATE TABLE receipts (
    query_id uuid PRIMARY KEY, -- of version 7: in the order of time, by which they are purged
    namespace text NOT NULL, -- the first of those asked
    namespaces text[] NOT NULL, -- all of them: only who may read each may read the receipt
    asked_at timestamptz NOT NULL,
    principal text NOT NULL,
    request_id text NOT NULL,
    receipt bytea NOT NULL -- what was asked and answered, as GetReceiptResponse
);

SELECT protect('receipts', 'SELECT, INSERT'), span('receipts', 'SELECT, DELETE');

-- Nothing is set aside here any more: the feed's owner keeps what could not be indexed.
DROP TABLE set_aside;
