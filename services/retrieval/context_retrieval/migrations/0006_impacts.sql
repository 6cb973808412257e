-- What the words of a document say for it, as a sparse vector: a question's words weigh a document by one inner product.
--
-- Okapi's BM25 in two halves. This one is the document's: how often a word stands there, saturating, the slower the
-- longer the document is beside one of 200 words. Not beside the others of its namespace: so it depends on nothing but
-- the document, and need not be renewed when those change. The other half, how rare a word is, comes with the question.

-- The place of a term in such a vector, 1 to 2^28. Two terms that share one are too rare to matter.
CREATE FUNCTION term_number(term text) RETURNS integer IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
RETURN ('x' || substr(md5(term), 1, 7))::bit(28)::integer + 1;

-- The pairs of words that follow each other in a text, with at most two stop words between them.
CREATE FUNCTION pairs_of(lexemes tsvector) RETURNS TABLE (one text, other text, weight text)
IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql AS $$
    SELECT lexeme, next_lexeme, place_weight FROM (
        SELECT lexeme, place, place_weight, lead(lexeme) OVER reading AS next_lexeme, lead(place) OVER reading AS next_place
        FROM unnest(lexemes) AS word, unnest(word.positions, word.weights) AS at (place, place_weight)
        WHERE NOT starts_with(lexeme, '@')
        WINDOW reading AS (ORDER BY place)
    ) AS following
    WHERE next_place - place BETWEEN 1 AND 3
$$;

-- k1 is 1.2 and b 0.4. What stands in a title counts four times, in a tag twice. The mark of the namespace says nothing.
-- A vector holds 16,000 places: of a longer document those with most to say.
CREATE FUNCTION impacts_of(lexemes tsvector, length integer) RETURNS sparsevec
IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql AS $$
    WITH said AS (
        SELECT lexeme AS term, place_weight FROM unnest(lexemes) AS word, unnest(word.weights) AS place_weight
        WHERE NOT starts_with(lexeme, '@')
        UNION ALL SELECT one || ' ' || other, weight FROM pairs_of(lexemes)
    ), counted AS (
        SELECT term_number(term) AS number, sum(CASE place_weight WHEN 'A' THEN 4 WHEN 'B' THEN 2 ELSE 1 END)::float8 AS times
        FROM said GROUP BY term
    ), weighed AS (
        SELECT number, max(times / (times + 1.2 * (0.6 + 0.4 * length / 200.0))) AS impact FROM counted
        GROUP BY number ORDER BY impact DESC, number LIMIT 16000
    )
    SELECT coalesce('{' || string_agg(number || ':' || impact::real, ',') || '}/268435456', '{}/268435456')::sparsevec
    FROM weighed
$$;

ALTER TABLE documents ADD COLUMN impacts sparsevec;
-- In the row as long as it fits there, and not packed: a search reads a thousand of them.
ALTER TABLE documents ALTER COLUMN impacts SET STORAGE MAIN;
ALTER TABLE documents SET (toast_tuple_target = 4096);

-- By whoever writes, the release before included. What was there already is weighed by the service, little by little.
CREATE FUNCTION weigh() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    NEW.impacts := impacts_of(NEW.lexemes, NEW.length);
    RETURN NEW;
END $$;
CREATE TRIGGER weigh BEFORE INSERT OR UPDATE OF lexemes, length ON documents FOR EACH ROW EXECUTE FUNCTION weigh();

SELECT show('documents');
