-- What callers say of the answers they got. A caller has one word on each query; without a query, as many as it likes.
CREATE TABLE feedback (
    namespace text NOT NULL,
    id uuid NOT NULL,
    principal text NOT NULL,
    query_id uuid,
    query_text text NOT NULL,
    overall_rating smallint CHECK (overall_rating BETWEEN 1 AND 5),
    items_helpful text[] NOT NULL,
    items_not_helpful text[] NOT NULL,
    items_used text[] NOT NULL,
    missing_context text NOT NULL,
    agent_id text NOT NULL,
    session_id text NOT NULL,
    metadata jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT statement_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT statement_timestamp(),
    PRIMARY KEY (namespace, id)
);
CREATE UNIQUE INDEX feedback_query ON feedback (namespace, query_id, principal) WHERE query_id IS NOT NULL;
CREATE INDEX feedback_newest ON feedback (namespace, created_at, id);
CREATE INDEX feedback_items ON feedback USING gin ((items_helpful || items_not_helpful || items_used));

-- What of it counts for an item's rank. Kept apart, so that an item is weighed without reading what was said.
CREATE TABLE feedback_votes (
    namespace text NOT NULL,
    item_id text COLLATE "C" NOT NULL,
    feedback_id uuid NOT NULL,
    principal text NOT NULL,
    day date NOT NULL,
    helpful boolean NOT NULL,
    PRIMARY KEY (namespace, item_id, feedback_id)
);
CREATE INDEX feedback_votes_day ON feedback_votes (namespace, day);
CREATE INDEX feedback_votes_feedback ON feedback_votes (namespace, feedback_id);

-- An erasure looks for what quotes the text in every namespace.
SELECT protect('feedback'), protect('feedback_votes'), span('feedback', 'SELECT'), span('feedback_votes', 'SELECT');
SELECT show('feedback');
