"""Takes the text of an item out of the database for good, which no service's role may."""

from dataclasses import dataclass

from context_client.errors import CommandFailed
from context_ops.store import NOT_FOUND, REFUSED, Connection, one

OWNS = """
SELECT current_user AS name, pg_has_role(current_user, c.relowner, 'USAGE') AS owns,
    EXISTS (SELECT FROM knowledge.migrations WHERE name = '0014_digests.sql') AS ready
FROM pg_class c WHERE c.oid = 'knowledge.item_versions'::regclass"""
# The policies hold an owner too: it sees the one namespace, as a service at work in it does.
WITHIN = """
SELECT set_config('row_security', 'on', true), set_config('context.erasing', 'on', true),
    set_config('context.namespaces', ARRAY[%(namespace)s]::text[]::text, true)"""
# As knowledge locks what it deletes, and in that order: see its `lock_supersession`.
LOCK_SUPERSESSION = """
INSERT INTO knowledge.counters AS held (namespace, type) VALUES (%(namespace)s, 'adr')
ON CONFLICT (namespace, type) DO UPDATE SET last = held.last"""
LOCK = "SELECT id FROM knowledge.items WHERE namespace = %(namespace)s AND id = %(id)s FOR UPDATE"
CHAINED = """
SELECT i.id FROM knowledge.relationships r JOIN knowledge.items i ON i.namespace = r.namespace
    AND i.id IN (r.from_id, r.to_id) AND i.id <> %(id)s
WHERE r.namespace = %(namespace)s AND r.type = 'supersedes' AND %(id)s IN (r.from_id, r.to_id) ORDER BY 1 LIMIT 1"""
DELETE = """
WITH gone AS (
    DELETE FROM knowledge.items WHERE namespace = %(namespace)s AND id = %(id)s
    RETURNING type, source_uri, commit_hash, version
), kept AS (
    INSERT INTO knowledge.item_versions
        (namespace, id, version, changed_at, changed_by, change, changed_fields, content, valid_from)
    SELECT %(namespace)s, %(id)s, version + 1, clock_timestamp(), %(principal)s, 'deleted', '{}',
        jsonb_build_object('type', type, 'source_uri', source_uri, 'commit_hash', commit_hash), now() FROM gone
)
INSERT INTO knowledge.audit (namespace, principal, request_id, action, item_id, version)
SELECT %(namespace)s, %(principal)s, '', 'delete', %(id)s, version + 1 FROM gone"""
FORGET_ACCESS = "DELETE FROM knowledge.access_counts WHERE namespace = %(namespace)s AND item_id = %(id)s"
ERASE_EDGES = """
DELETE FROM knowledge.relationships WHERE namespace = %(namespace)s AND (from_id = %(id)s OR to_id = %(id)s)
RETURNING from_id"""
# The type stays, and a digest of where the item came from, by which knowledge refuses to import it anew.
BLANK = """
UPDATE knowledge.item_versions SET content = jsonb_strip_nulls(jsonb_build_object(
    'erased', true, 'type', content -> 'type',
    'origin_digest', knowledge.origin_digest(content)))
WHERE namespace = %(namespace)s AND id = %(id)s"""
# Answers are messages `Recorded`: they begin with the item (field 1), which begins with its id (field 1). One that is
# empty tells whoever sends the request again that what it recorded is no more.
FORGET_ANSWERS = """
UPDATE knowledge.idempotency SET answer = '' WHERE namespace = %(namespace)s
    AND encode(answer, 'hex') ~ ('^0a([89a-f].)*[0-7].0a' || lpad(to_hex(octet_length(%(id)s)), 2, '0')
        || encode(convert_to(%(id)s, 'UTF8'), 'hex'))"""
# As knowledge puts a change on its feed: the row is held before its number is drawn.
HOLD = """
INSERT INTO knowledge.changes (namespace, item_id, change_id, changed_at)
SELECT %(namespace)s, id, 0, clock_timestamp() FROM unnest(%(ids)s::text[]) AS wanted (id)
WHERE id = %(id)s OR EXISTS (SELECT FROM knowledge.items i WHERE i.namespace = %(namespace)s AND i.id = wanted.id)
ORDER BY id COLLATE "C"
ON CONFLICT (namespace, item_id) DO UPDATE SET changed_at = excluded.changed_at, leased_by = '',
    lease_until = '-infinity', attempts = 0, reason = '', set_aside_at = NULL, bulk = false"""
NUMBER = """
UPDATE knowledge.changes SET change_id = nextval('knowledge.change_ids')
WHERE namespace = %(namespace)s AND item_id = ANY(%(ids)s::text[])"""
WAKE = "SELECT pg_notify('knowledge_changes', %(namespace)s)"
NOTE = """
INSERT INTO knowledge.audit (namespace, principal, request_id, action, item_id, detail)
VALUES (%(namespace)s, %(principal)s, '', 'erase', %(id)s, %(detail)s)"""


@dataclass(frozen=True)
class Erased:
    """What an erasure came to."""

    deleted: bool  # it stood until now
    versions: int  # that say nothing any more
    answers: int  # that were kept for Idempotency-Keys


def erase(connection: Connection, namespace: str, item_id: str) -> Erased:
    """Blank every version of an item; one that stands is deleted first, and the index follows by the feed.

    Raises:
        CommandFailed: Nothing was done: there was never such an item, a decision that stands is chained to it, or the
            login does not own the tables.
    """
    login = one(connection, OWNS)
    if not login["owns"]:
        raise CommandFailed(f"{login['name']} does not own the tables: MIGRATION_DATABASE_URL names who does", REFUSED)
    if not login["ready"]:
        raise CommandFailed("the database is of an earlier release: migrate it first", REFUSED)
    values = {"namespace": namespace, "id": item_id, "principal": f"owner:{login['name']}"}
    with connection.transaction():
        connection.execute(WITHIN, values)
        connection.execute(LOCK_SUPERSESSION, values)
        stands = connection.execute(LOCK, values).fetchone() is not None
        ids = {item_id} | (_delete(connection, values) if stands else set())
        versions = connection.execute(BLANK, values).rowcount
        if not versions:
            raise CommandFailed(f"there was never a {item_id} in {namespace}", NOT_FOUND)
        answers = connection.execute(FORGET_ANSWERS, values).rowcount
        marks = {**values, "ids": sorted(ids)}
        for statement in (HOLD, NUMBER, WAKE):
            connection.execute(statement, marks)
        connection.execute(NOTE, {**values, "detail": f"{versions} versions, {answers} answers"})
    return Erased(stands, versions, answers)


def _delete(connection: Connection, values: dict[str, str]) -> set[str]:
    """Delete an item that stands; answers the items that had edges to it.

    What follows where decisions supersede each other is knowledge's to know, and is not told here a second time.
    """
    chained = connection.execute(CHAINED, values).fetchone()
    if chained:
        raise CommandFailed(
            f"{values['id']} supersedes {chained['id']} or is superseded by it: delete it by the API first, which"
            " brings the status of the other up to date, then erase it",
            REFUSED,
        )
    neighbours = {row["from_id"] for row in connection.execute(ERASE_EDGES, values).fetchall()}
    connection.execute(DELETE, values)
    connection.execute(FORGET_ACCESS, values)
    return neighbours
