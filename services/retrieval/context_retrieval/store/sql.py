"""The parts that searching statements are put together from. Every value in them is a parameter."""

# ruff: noqa: S608 - put together from constants

DENSE = 100  # documents by vector, from so many nearest chunks
NEAREST = 200
LEXICAL = 100  # documents by words
UNVOUCHED = 60  # documents that nobody vouches for, where there are some: beside the others, not in their place
TERMS = 32  # of a question, the rarest
TERMS_COUNTED = 8  # of which the weightiest make up what a document can attain
REACH = 3000  # documents that the terms which choose candidates may stand in, all together; the others only score
BACKGROUND = 100  # documents without the question's words that we imagine, so that small namespaces weigh sanely
ABSENT = 0.75  # weight of a word that stands nowhere: no document can have it, but it tells what was asked
RARE = 3  # documents that an exact code may stand in, or
RARE_SHARE = 0.02  # of all
SATURATION = 1.5  # how slowly a word's repeats add up (BM25's k1)
NORM = 0.75  # how much length counts against a document (BM25's b), which is taken to have
EVEN = 25  # more words than it has: among short passages one more sentence says nothing against one
WEIGHTS = "'{0.25, 0.25, 0.5, 1.0}'"  # of a word in the text (D, C), the tags (B), the title (A), none above 1, so that
TEXT = 0.25  # is once in the text, and once in the title as often as four times there
NEIGHBOURS = 12  # edges followed from each hit
CHAIN = 10  # supersessions followed from one item

FILTERED_FEW = 4000  # documents up to which a filtered search compares every vector

# The question's lexemes with their weights. A word is what Postgres makes of it, an identifier itself; an identifier
# that stands nowhere says nothing, since its parts are asked for as well.
WEIGHTED = f"""
asked AS (
    SELECT lexeme, true AS word FROM unnest(to_tsvector('english', %(plain)s))
    UNION ALL SELECT lexeme, false FROM unnest(%(identifiers)s::text[]) AS whole (lexeme)
),
corpus AS (
    SELECT coalesce(sum(documents), 0)::float8 AS documents,
        greatest(coalesce(sum(total_length)::float8 / nullif(sum(documents), 0), 1), 1) AS average
    FROM namespace_stats WHERE namespace = ANY(%(namespaces)s)
),
counted AS (
    SELECT asked.lexeme, bool_or(asked.word) AS word, coalesce(sum(terms.documents), 0)::float8 AS documents
    FROM asked LEFT JOIN terms ON terms.namespace = ANY(%(namespaces)s) AND terms.lexeme = asked.lexeme
    GROUP BY asked.lexeme
),
weighted AS MATERIALIZED (
    SELECT lexeme, counted.documents, ('''' || lexeme || '''')::tsquery AS query,
        ln(1 + (corpus.documents + {BACKGROUND} - counted.documents + 0.5) / (counted.documents + 0.5))
            * CASE WHEN counted.documents > 0 THEN 1 ELSE {ABSENT} END AS weight
    FROM counted, corpus WHERE word OR counted.documents > 0
    ORDER BY counted.documents = 0, counted.documents, lexeme LIMIT {TERMS}
),
attainable AS MATERIALIZED (
    SELECT greatest(sum(weight), 1e-9) AS weight
    FROM (SELECT weight FROM weighted ORDER BY weight DESC LIMIT {TERMS_COUNTED}) AS best
),
exact AS MATERIALIZED (
    SELECT coalesce(string_agg(weighted.query::text, ' | ')::tsquery, ''::tsquery) AS query
    FROM weighted, corpus
    WHERE weighted.documents BETWEEN 1 AND greatest({RARE}, {RARE_SHARE} * corpus.documents)
        AND (lexeme = ANY(%(codes)s) OR lexeme IN (
            SELECT stem.lexeme FROM unnest(%(codes)s::text[]) AS code, unnest(to_tsvector('english', code)) AS stem
            WHERE code ~ '^[[:alnum:]]+$'))
)"""

# The question's rarer words.
CHOOSING = f"""
choosing AS MATERIALIZED (
    SELECT (%(marks)s || ' & (' || string_agg(query::text, ' | ') || ')')::tsquery AS query
    FROM (SELECT query, row_number() OVER rarest AS place, sum(documents) OVER rarest AS reach
        FROM weighted WHERE documents > 0 WINDOW rarest AS (ORDER BY documents, lexeme)) AS term
    WHERE place = 1 OR reach <= {REACH}
)"""
# Documents that have some of them.
LEXICAL_FOUND = """
{name} AS MATERIALIZED (
    SELECT d.namespace, d.item_id
    FROM visible_documents d, attainable, corpus, {words}
    WHERE d.lexemes @@ (SELECT query FROM choosing) AND {passes}
    ORDER BY words.bm25 DESC, d.namespace, d.item_id LIMIT {limit}
)"""

# Okapi's BM25. Of a single term ts_rank_cd is how often it stands there, each time with the weight of its place, in C.
# `covered` is the share of the question that is there at all, however often.
# The tsvector is copied first, so that it is read and unpacked once and not once per term; and only the terms that are
# there are counted, since looking for one costs far less.
WORDS = f"""
LATERAL (
    SELECT told.bm25, least(1.0, told.bm25 / attainable.weight) AS lexical,
        least(1.0, told.there / attainable.weight) AS covered
    FROM (
        SELECT coalesce(sum(w.weight * often.times / (often.times + {SATURATION} * length.norm)), 0) AS bm25,
            coalesce(sum(w.weight), 0) AS there
        FROM (SELECT d.lexemes || ''::tsvector AS lexemes OFFSET 0) AS whole,
            (SELECT 1 - {NORM} + {NORM} * (d.length + {EVEN}) / (corpus.average + {EVEN}) AS norm OFFSET 0) AS length,
            weighted w,
            LATERAL (SELECT ts_rank_cd({WEIGHTS}, whole.lexemes, w.query) / {TEXT} AS times OFFSET 0) AS often
        WHERE w.documents > 0 AND whole.lexemes @@ w.query
    ) AS told
) AS words"""
NO_WORDS = "LATERAL (SELECT 0.0::float8 AS bm25, 0.0::float8 AS lexical, 0.0::float8 AS covered) AS words"

EXACT_FOUND = """
{name} AS MATERIALIZED (
    SELECT d.namespace, d.item_id, min(c.embedding <=> %(vector)s) AS distance
    FROM visible_documents d JOIN chunks c USING (namespace, item_id)
    WHERE {passes} AND c.namespace = ANY(%(namespaces)s) AND c.model_id = %(model)s
    GROUP BY d.namespace, d.item_id ORDER BY distance, d.namespace, d.item_id LIMIT {limit}
)"""
INDEXED_FOUND = f"""
{{name}} AS MATERIALIZED (
    SELECT namespace, item_id, min(distance) AS distance FROM (
        SELECT c.namespace, c.item_id, c.embedding <=> %(vector)s AS distance
        FROM chunks c JOIN visible_documents d USING (namespace, item_id)
        WHERE {{passes}} AND c.model_id = %(model)s
        ORDER BY c.embedding <=> %(vector)s LIMIT {NEAREST}
    ) AS near GROUP BY namespace, item_id ORDER BY distance, namespace, item_id LIMIT {{limit}}
)"""
NAMED_FOUND = """
named AS (
    SELECT d.namespace, d.item_id FROM visible_documents d
    WHERE d.namespace = ANY(%(namespaces)s) AND lower(d.item_id) = ANY(%(ids)s) AND {passes}
)"""
COSINE = """
(SELECT 1 - min(c.embedding <=> %(vector)s) FROM chunks c
 WHERE c.namespace = d.namespace AND c.item_id = d.item_id AND c.model_id = %(model)s)"""
EVIDENCE = """
d.namespace, d.item_id, d.type, d.status, d.in_force, d.item_date, d.pinned, d.severity, d.access_count, d.provenance,
d.vouched, (SELECT count(*) FROM edges e WHERE e.namespace = d.namespace AND e.to_id = d.item_id) AS "references",
{cosine} AS cosine, words.bm25, words.lexical, words.covered,
lower(d.item_id) = ANY(%(ids)s) AS named, d.lexemes @@ exact.query AS coded"""

# Over `supersedes` edges backwards, until something is in force; a union ends on cycles by itself.
SUCCESSORS = f"""
succession AS (
    WITH RECURSIVE chain AS (
        SELECT namespace, item_id COLLATE "C" AS origin, item_id COLLATE "C" AS at, false AS holds, 0 AS step
        FROM unnest(%(gone_namespaces)s::text[], %(gone_ids)s::text[]) AS gone (namespace, item_id)
        UNION
        SELECT chain.namespace, chain.origin, d.item_id, d.in_force, chain.step + 1
        FROM chain
        JOIN edges e ON e.namespace = chain.namespace AND e.to_id = chain.at AND e.type = 'supersedes'
        JOIN visible_documents d ON d.namespace = e.namespace AND d.item_id = e.from_id AND NOT d.deleted
        WHERE NOT chain.holds AND chain.step < {CHAIN}
    )
    SELECT DISTINCT chain.namespace, origin, at AS target, 'supersedes'::text AS type, 1.0::float8 AS strength
    FROM chain JOIN visible_documents d ON d.namespace = chain.namespace AND d.item_id = chain.at
    WHERE chain.holds AND {{passes}}
)"""
NEIGHBOURHOOD = f"""
neighbourhood AS (
    SELECT hit.namespace, hit.item_id AS origin, near.target, near.type, near.strength
    FROM unnest(%(lead_namespaces)s::text[], %(lead_ids)s::text[]) AS hit (namespace, item_id),
    LATERAL (
        SELECT edge.target, edge.type, edge.strength FROM (
            SELECT e.to_id AS target, e.type, e.strength FROM edges e
            WHERE e.namespace = hit.namespace AND e.from_id = hit.item_id
            UNION ALL
            SELECT e.from_id, e.type, e.strength FROM edges e
            WHERE e.namespace = hit.namespace AND e.to_id = hit.item_id
        ) AS edge
        JOIN visible_documents d ON d.namespace = hit.namespace AND d.item_id = edge.target
        WHERE d.in_force AND {{passes}}
        ORDER BY d.vouched DESC, edge.strength DESC, d.item_date DESC, edge.target LIMIT {NEIGHBOURS}
    ) AS near
)"""
# The passage that bears most on the question: by meaning, and by the weight of the question's words in it.
PASSAGE = """
(SELECT c.text FROM chunks c WHERE c.namespace = d.namespace AND c.item_id = d.item_id
 ORDER BY {closeness} + (
    SELECT coalesce(sum(w.weight) FILTER (WHERE position(w.lexeme IN lower(c.text)) > 0) / nullif(sum(w.weight), 0), 0)
    FROM weighted w WHERE w.documents > 0) DESC, c.ordinal LIMIT 1)"""
CLOSENESS = "coalesce(CASE WHEN c.model_id = %(model)s THEN 1 - (c.embedding <=> %(vector)s) END, 0)"
EXPAND = """
WITH {weighted}, {successors}, {neighbours},
wanted AS (
    SELECT namespace, item_id FROM unnest(%(show_namespaces)s::text[], %(show_ids)s::text[]) AS s (namespace, item_id)
    UNION SELECT namespace, target FROM succession
    UNION SELECT namespace, target FROM neighbourhood
)
SELECT {evidence}, d.version, d.title, d.tags, d.payload, d.updated_at, {passage} AS passage,
    (SELECT jsonb_agg(jsonb_build_array(origin, strength)) FROM succession s
     WHERE s.namespace = d.namespace AND s.target = d.item_id) AS succeeds,
    (SELECT jsonb_agg(jsonb_build_array(origin, type, strength)) FROM neighbourhood n
     WHERE n.namespace = d.namespace AND n.target = d.item_id) AS neighbours
FROM wanted JOIN visible_documents d USING (namespace, item_id), attainable, corpus, exact, {words}
WHERE NOT d.deleted"""
BROWSE = """
SELECT d.namespace, d.item_id, d.type, d.title, d.status, d.tags, d.item_date, d.provenance, d.vouched,
    (SELECT c.text FROM chunks c WHERE c.namespace = d.namespace AND c.item_id = d.item_id AND c.ordinal = 0) AS passage
FROM visible_documents d WHERE {passes}
ORDER BY d.item_date DESC, d.updated_at DESC, length(d.item_id) DESC, d.item_id DESC, d.namespace LIMIT %(limit)s"""
SIZE = """
SELECT coalesce(sum(chunks), 0)::bigint AS chunks, EXISTS (
    SELECT 1 FROM documents WHERE namespace = ANY(%(namespaces)s) AND NOT vouched AND NOT deleted) AS unvouched
FROM namespace_stats WHERE namespace = ANY(%(namespaces)s)"""
FEW = "SELECT count(*) AS documents FROM (SELECT 1 FROM visible_documents d WHERE {passes} LIMIT {limit}) AS passing"
EVIDENCE_NAMES = (
    "type", "status", "in_force", "item_date", "pinned", "severity", "access_count", "provenance", "vouched",
    "references", "cosine", "bm25", "lexical", "covered", "named", "coded",
)  # fmt: skip
