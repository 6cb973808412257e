"""Questions to a restored index, asked as the service asks: as its role, through its view, within a namespace."""

import psycopg
from psycopg import sql
from psycopg.rows import DictRow

from context_ops.store import Connection, every, one

# A document that is searchable by word and by vector, of the largest namespace; its rarest word is what is asked for.
PICK = """
SELECT d.namespace, d.item_id, c.embedding::text AS vector,
    (SELECT t.lexeme FROM unnest(d.lexemes) AS t JOIN retrieval.terms r USING (lexeme)
     WHERE r.namespace = d.namespace ORDER BY r.documents, t.lexeme LIMIT 1) AS word
FROM retrieval.documents d JOIN retrieval.chunks c USING (namespace, item_id)
WHERE NOT d.deleted AND c.embedding IS NOT NULL AND d.namespace = (
    SELECT namespace FROM retrieval.namespace_stats ORDER BY documents DESC, namespace LIMIT 1)
ORDER BY d.item_date DESC, d.item_id LIMIT 1"""
BY_WORD = """
SELECT item_id FROM retrieval.visible_documents
WHERE namespace = %s AND lexemes @@ quote_literal(%s::text)::tsquery"""
BY_VECTOR = """
SELECT c.item_id, c.embedding <=> %s::public.halfvec AS distance
FROM retrieval.chunks c JOIN retrieval.visible_documents d USING (namespace, item_id)
WHERE d.namespace = %s ORDER BY c.embedding <=> %s::public.halfvec LIMIT 10"""
INDEXES = """
SELECT i.relname AS name FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_am a ON a.oid = i.relam
WHERE x.indrelid = 'retrieval.chunks'::regclass AND a.amname = 'hnsw' AND x.indisvalid"""
LEFT_OUT = "SELECT count(*) AS rows FROM retrieval.visible_documents"
NEAR = 1e-3  # cosine distance of a vector to itself, in half precision


def checks(connection: Connection) -> dict[str, str]:
    """What was asked, and what is wrong with the answer; empty: nothing."""
    if not every(connection, "SELECT 1 WHERE to_regclass('retrieval.chunks') IS NOT NULL"):
        return {"the index": "there is none"}
    found = {"a vector index that is valid": "" if every(connection, INDEXES) else "there is none"}
    picked = every(connection, PICK)
    if not picked:
        return {**found, "a search": "" if _empty(connection) else "no document can be searched"}
    try:
        with connection.transaction():
            return found | _ask(connection, picked[0])
    except psycopg.Error as error:
        return {**found, "a search": str(error).strip()}


def _ask(connection: Connection, row: DictRow) -> dict[str, str]:
    """Look for the document `row`, in its namespace and without one."""
    _as_service(connection, "")
    hidden = one(connection, LEFT_OUT)["rows"]
    _as_service(connection, row["namespace"])
    by_word = [hit["item_id"] for hit in every(connection, BY_WORD, row["namespace"], row["word"])]
    near = every(connection, BY_VECTOR, row["vector"], row["namespace"], row["vector"])
    found = {"rows without a namespace are hidden": f"{hidden} are seen" if hidden else ""}
    wanted = f"{row['item_id']} of {row['namespace']}"
    found["a search by word"] = "" if row["item_id"] in by_word else f"{row['word']} does not find {wanted}"
    exact = [hit["item_id"] for hit in near if hit["distance"] < NEAR]
    found["a search by vector"] = "" if row["item_id"] in exact else f"its own vector does not find {wanted}"
    return found


def _empty(connection: Connection) -> bool:
    return not every(connection, "SELECT 1 FROM retrieval.chunks WHERE embedding IS NOT NULL LIMIT 1")


def _as_service(connection: Connection, namespace: str) -> None:
    """Work as retrieval does, in one namespace; for the transaction."""
    connection.execute("RESET ROLE")
    connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier("context_retrieval")))
    connection.execute("SET LOCAL row_security = on")
    connection.execute(
        "SELECT set_config('context.namespaces', %s::text[]::text, true)", ([namespace] if namespace else [],)
    )
