"""The statement that searches, put together from constant parts; every value in it is a parameter."""

# ruff: noqa: S608 - put together from constants

from context_retrieval.model import MEANT, TELLING, UNRELATED, WORDS

UNVOUCHED = 24  # candidates that nobody vouches for, where there are some: beside the others, not in their place
NEIGHBOURS = 12  # edges followed from each of the
LEADS = 6  # best documents
LEADS_UNVOUCHED = 3
CHAIN = 100  # supersessions followed from one item
REFERENCES = 32  # edges that are counted at most
PLACES = 268435456  # of a document's impacts: see the migration

# For each word what Postgres makes of it, and in how many documents that stands.
TERMS = """
SELECT word, lexeme, (SELECT coalesce(sum(documents), 0)::bigint FROM terms t
    WHERE t.namespace = ANY(%(namespaces)s) AND t.lexeme = term.lexeme) AS documents
FROM (
    SELECT word, stem.lexeme FROM unnest(%(words)s::text[]) AS asked (word)
        LEFT JOIN LATERAL unnest(to_tsvector('english', word)) AS stem ON true
    UNION ALL SELECT NULL, whole FROM unnest(%(wholes)s::text[]) AS whole
) AS term"""

# Tags as they are compared, by the rules of `folded_within`; all at once, since a call for each row takes longer.
# Under the collation of the index again, which else would not be asked.
FOLDED = 'lower(({})::text COLLATE pg_c_utf8)::text[] COLLATE "default"'
TAGGED = f"{FOLDED.format('d.tags')} && (SELECT {FOLDED.format('%(tags)s::text[]')})"
# Which of some words nothing has but in capitals. Asked of rare ones: every passage that may have it is read.
IN_CAPITALS = """
SELECT word FROM unnest(%(words)s::text[], %(lexemes)s::text[]) AS asked (word, lexeme)
WHERE NOT EXISTS (
    SELECT FROM (SELECT * FROM visible_documents d WHERE d.lexemes @@ lexeme::tsquery OFFSET 0) AS d
    WHERE d.namespace = ANY(%(namespaces)s) AND position(word IN d.title) = 0 AND NOT EXISTS (
        SELECT FROM chunks c
        WHERE c.namespace = d.namespace AND c.item_id = d.item_id AND position(word IN c.text) > 0))"""

BM25 = "coalesce(-(d.impacts <#> %(words)s), 0)"
# Whether it has one of the exact codes of the question, if that has some.
CODED = "(%(coding)s AND coalesce(d.impacts <#> %(codes)s < 0, false))"
# Where rows are found by one condition, whatever else is asked of them, it stands in a subquery of its own: the planner
# takes every namespace for an equal share of everything, and else reads all of a large one out of a second index.
BY_WORDS = "(SELECT * FROM visible_documents d WHERE d.lexemes @@ %(chosen)s::tsquery OFFSET 0)"
BY_TAGS = f"""(
    SELECT * FROM visible_documents d
    WHERE folded_within(d.namespace, d.tags) && (SELECT {FOLDED.format("%(within)s::text[]")}) OFFSET 0
)"""
BY_TRUST = "(SELECT * FROM visible_documents d WHERE d.{namespaces} AND NOT d.vouched AND NOT d.deleted OFFSET 0)"
BY_ID = "(SELECT * FROM visible_documents d WHERE d.{namespaces} AND lower(d.item_id) = ANY(%(ids)s) OFFSET 0)"
# What is known of a candidate so far.
KNOWN = f"""
d.namespace, d.item_id, d.in_force, d.vouched, {BM25} AS bm25, {CODED} AS coded"""
UNKNOWN = "NULL::float8 AS distance, NULL::integer AS ordinal"
# Documents that have some of them.
WORDED = f"""
SELECT {KNOWN}, {UNKNOWN} FROM {BY_WORDS} AS d WHERE {{passes}}
ORDER BY d.impacts <#> %(words)s, d.namespace, d.item_id LIMIT {{limit}}"""
# Of one document: its nearest passage, and how near that is. Not in one with the order, or the vector index may be
# asked for all of them until it comes to one of this document's.
NEAREST_OF = """
SELECT distance, ordinal FROM (
    SELECT c.embedding <=> %(vector)s AS distance, c.ordinal FROM chunks c
    WHERE c.namespace = {d}.namespace AND c.item_id = {d}.item_id AND c.model_id = %(model)s AND {unknown} OFFSET 0
) AS its ORDER BY distance, ordinal LIMIT 1"""
# Every vector compared: of whole namespaces,
WHOLE = f"""
SELECT d.*, near.distance, NULL::integer AS ordinal FROM (
    SELECT c.namespace, c.item_id, min(c.embedding <=> %(vector)s) AS distance FROM chunks c
    WHERE c.{{namespaces}} AND c.model_id = %(model)s
    GROUP BY c.namespace, c.item_id ORDER BY distance, c.namespace, c.item_id OFFSET 0
) AS near, LATERAL (
    SELECT {KNOWN} FROM visible_documents d
    WHERE d.namespace = near.namespace AND d.item_id = near.item_id AND {{passes}} LIMIT 1
) AS d
ORDER BY near.distance, near.namespace, near.item_id LIMIT {{limit}}"""
# or of the documents of a part of them, one by one.
PART = f"""
SELECT {KNOWN}, near.distance, near.ordinal FROM (
    SELECT d.namespace, d.item_id, near.distance, near.ordinal
    FROM {{documents}} AS d, LATERAL ({NEAREST_OF.format(d="d", unknown="true")}) AS near
    WHERE {{passes}} ORDER BY near.distance, d.namespace, d.item_id LIMIT {{limit}}
) AS near JOIN visible_documents d USING (namespace, item_id)"""
# A document is looked up for each chunk that the index gives: joined, the planner may run through all that it takes for
# few that pass the filter, once for each chunk.
INDEXED = f"""
SELECT namespace, item_id, in_force, vouched, bm25, coded, min(distance) AS distance,
    (array_agg(ordinal ORDER BY distance))[1] AS ordinal
FROM (
    SELECT d.*, near.distance, near.ordinal FROM (
        SELECT c.namespace, c.item_id, c.ordinal, c.embedding <=> %(vector)s AS distance FROM chunks c
        WHERE c.{{namespaces}} AND c.model_id = %(model)s ORDER BY c.embedding <=> %(vector)s
    ) AS near, LATERAL (
        SELECT {KNOWN} FROM visible_documents d
        WHERE d.namespace = near.namespace AND d.item_id = near.item_id AND {{passes}} LIMIT 1
    ) AS d
    ORDER BY near.distance LIMIT %(near)s
) AS near GROUP BY namespace, item_id, in_force, vouched, bm25, coded
ORDER BY distance, namespace, item_id LIMIT {{limit}}"""
# How many documents pass a filter, and how many of them nobody vouches for; counted no further than `far`.
PASSING = """
SELECT count(*) AS documents, count(*) FILTER (WHERE NOT vouched) AS unvouched
FROM (SELECT d.vouched FROM {documents} AS d WHERE {passes} LIMIT %(far)s) AS passing"""
NAMED = f"""
SELECT {KNOWN}, {UNKNOWN} FROM {BY_ID} AS d WHERE {{passes}}"""
# The candidates, and how each compares with the best of them: by what is vouched for, where there is some. What the
# question names comes first, by its id or by a code.
RANKED = f"""
scored AS MATERIALIZED (
    SELECT namespace, item_id, in_force, vouched, lower(item_id) = ANY(%(ids)s) AS named, coded, bm25,
        1 - coalesce(found.distance, near.distance) AS cosine, coalesce(found.ordinal, near.ordinal) AS ordinal
    FROM (
        SELECT namespace, item_id, in_force, vouched, bm25, coded, min(distance) AS distance, min(ordinal) AS ordinal
        FROM ({{found}}) AS candidate GROUP BY namespace, item_id, in_force, vouched, bm25, coded
    ) AS found LEFT JOIN LATERAL ({{nearest}}) AS near ON true
),
best AS MATERIALIZED (
    SELECT bm25, cosine, coalesce(words / nullif(words + (1 - words) * meant, 0), words) AS words
    FROM (
        SELECT bm25, cosine, {WORDS} * greatest(bm25, 0) / (greatest(bm25, 0) + {TELLING}) AS words,
            least(1, greatest(0, (coalesce(cosine, 0) - {UNRELATED}) / {MEANT})) AS meant
        FROM (
            SELECT coalesce(max(bm25) FILTER (WHERE vouched), max(bm25)) AS bm25,
                coalesce(max(cosine) FILTER (WHERE vouched), max(cosine)) AS cosine
            FROM scored
        ) AS most
    ) AS said
),
ranked AS MATERIALIZED (
    SELECT scored.*, row_number() OVER (
        PARTITION BY scored.vouched ORDER BY named DESC, coded DESC,
            (1 - best.words) * coalesce(scored.cosine / nullif(best.cosine, 0), 0)
            + best.words * coalesce(scored.bm25 / nullif(best.bm25, 0), 0) DESC, namespace, item_id
    ) AS place FROM scored, best
)"""

# Over `supersedes` edges backwards from what is not in force, until something is; and whether that passes the filter.
SUCCESSION = f"""
succession AS MATERIALIZED (
    WITH RECURSIVE chain AS (
        SELECT namespace, item_id COLLATE "C" AS origin, item_id COLLATE "C" AS at, false AS holds, 0 AS step
        FROM ranked WHERE place <= %(most)s AND NOT in_force
        UNION
        SELECT chain.namespace, chain.origin, d.item_id, d.in_force, chain.step + 1
        FROM chain
        JOIN LATERAL (
            SELECT from_id FROM edges
            WHERE namespace = chain.namespace AND to_id = chain.at AND type = 'supersedes' OFFSET 0
        ) AS e ON true
        JOIN visible_documents d ON d.namespace = chain.namespace AND d.item_id = e.from_id AND NOT d.deleted
        WHERE NOT chain.holds AND chain.step < {CHAIN}
    )
    SELECT DISTINCT chain.namespace, origin, at AS target, {{passes}} AS passes
    FROM chain JOIN visible_documents d ON d.namespace = chain.namespace AND d.item_id = chain.at
    WHERE chain.holds
)"""
NEIGHBOURHOOD = f"""
neighbourhood AS MATERIALIZED (
    SELECT hit.namespace, hit.item_id AS origin, near.target, near.type, near.strength
    FROM ranked AS hit,
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
    WHERE hit.in_force AND hit.place <= CASE WHEN hit.vouched THEN {LEADS} ELSE {LEADS_UNVOUCHED} END
)"""
# What is shown, and what is known of it so far: the best, what holds in place of some, what stands beside others. It
# comes together in one pass: joined, each is looked for among all the others, since the planner takes every part for a
# row or two.
SHOWN = """
SELECT namespace, item_id, max(cosine) AS cosine, max(bm25) AS bm25, max(ordinal) AS ordinal,
    coalesce(bool_or(named), false) AS named, coalesce(bool_or(found), false) AS found,
    jsonb_agg(succeeds) FILTER (WHERE succeeds IS NOT NULL) AS succeeds,
    jsonb_agg(beside) FILTER (WHERE beside IS NOT NULL) AS neighbours
FROM ({shown}) AS each GROUP BY namespace, item_id
HAVING bool_or(found) OR count(succeeds) > 0 OR count(beside) > 0"""
BEST = """
SELECT namespace, item_id, cosine, bm25, ordinal, named, place <= %(most)s AS found,
    NULL::jsonb AS succeeds, NULL::jsonb AS beside
FROM ranked"""
SUCCEEDING = """
SELECT namespace, target, NULL, NULL, NULL, NULL, NULL, jsonb_build_array(origin, passes), NULL FROM succession"""
BESIDE = """
SELECT namespace, target, NULL, NULL, NULL, NULL, NULL, NULL, jsonb_build_array(origin, type, strength)
FROM neighbourhood"""
# By weight, how much of the question stands in a passage, and in a document.
ASKED = """
unnest(%(lexemes)s::text[], %(numbers)s::integer[], %(weights)s::float8[]) AS w (lexeme, number, weight)"""
SAID = f"""
(SELECT coalesce(sum(w.weight), 0) FROM {ASKED} WHERE position(w.lexeme IN lower(c.text)) > 0)"""
COVERED = f"""
(SELECT least(1.0, coalesce(sum(w.weight), 0) / %(attainable)s) FROM {ASKED}
 WHERE d.impacts <#> ('{{{{' || w.number + 1 || ':1}}}}/{PLACES}')::sparsevec < 0)"""
# The passage that bears most on the question: where the matter is a code, or meaning is not known, by words.
PASSAGE = f"""
(SELECT c.text, c.tokens, c.tokens_of FROM chunks c
    WHERE NOT ({{wordy}}) AND c.namespace = d.namespace AND c.item_id = d.item_id
        AND c.ordinal = coalesce(shown.ordinal, near.ordinal, 0))
UNION ALL
(SELECT c.text, c.tokens, c.tokens_of FROM chunks c
    WHERE {{wordy}} AND c.namespace = d.namespace AND c.item_id = d.item_id
    ORDER BY {SAID} DESC, c.ordinal LIMIT 1)"""
FOUND = f"""
SELECT d.namespace, d.item_id, d.type, d.status, d.in_force, d.item_date, d.pinned, d.severity, d.access_count,
    d.feedback, d.provenance, d.vouched, (SELECT count(*) FROM (
        SELECT FROM edges e WHERE e.namespace = d.namespace AND e.to_id = d.item_id LIMIT {REFERENCES}
    ) AS pointing) AS "references",
    coalesce(shown.cosine, 1 - near.distance) AS cosine, coalesce(shown.bm25, {BM25}) AS bm25,
    least(1.0, coalesce(shown.bm25, {BM25}) / %(attainable)s) AS lexical,
    CASE WHEN {{weak}} THEN {COVERED} ELSE 0 END AS covered, shown.named, {CODED} AS coded, shown.found,
    d.version, d.title, d.tags, {{payload}} AS payload, d.updated_at,
    d.tokens, d.tokens_of, d.frame_tokens, d.frame_tokens_of,
    passage.text AS passage, passage.tokens AS passage_tokens, passage.tokens_of AS passage_tokens_of,
    shown.succeeds, shown.neighbours
FROM ({{shown}}) AS shown JOIN visible_documents d USING (namespace, item_id)
    LEFT JOIN LATERAL ({{nearest}}) AS near ON true LEFT JOIN LATERAL ({PASSAGE}) AS passage ON true, best
WHERE NOT d.deleted"""
# Nothing of what was found means much: then it counts how much of the question is there at all.
WEAK = "best.cosine IS NULL OR best.cosine < 0.4"
# Of a list, what comes after a place in it.
AFTER = """
(d.item_date, d.updated_at, length(d.item_id), d.item_id)
    <= (%(date)s::date, %(at)s::timestamptz, length(%(id)s::text), %(id)s::text)
AND ((d.item_date, d.updated_at, d.item_id) <> (%(date)s::date, %(at)s::timestamptz, %(id)s::text)
    OR d.namespace > %(space)s::text)"""
BROWSE = """
SELECT d.namespace, d.item_id, d.type, d.title, d.status, d.tags, d.item_date, d.provenance, d.vouched, d.updated_at,
    (SELECT c.text FROM chunks c WHERE c.namespace = d.namespace AND c.item_id = d.item_id AND c.ordinal = 0) AS passage
FROM {documents} AS d WHERE {passes}
ORDER BY d.item_date DESC, d.updated_at DESC, length(d.item_id) DESC, d.item_id DESC, d.namespace LIMIT %(limit)s"""
SIZE = """
SELECT coalesce(sum(documents), 0)::bigint AS documents, coalesce(sum(chunks), 0)::bigint AS chunks,
    (SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'chunks'::regclass) AS everywhere, (
    SELECT count(*) FROM documents WHERE namespace = ANY(%(namespaces)s) AND NOT vouched AND NOT deleted) AS unvouched
FROM namespace_stats WHERE namespace = ANY(%(namespaces)s)"""
