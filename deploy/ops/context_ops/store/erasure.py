"""Takes the text of an item out of the database for good, which no service's role may."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from psycopg import sql

from context.v1.retrieval_pb2 import GetReceiptResponse
from context_client.errors import CommandFailed
from context_ops.store import NOT_FOUND, REFUSED, Connection, every, one

OWNS = """
SELECT current_user AS name, pg_has_role(current_user, c.relowner, 'USAGE') AS owns,
    EXISTS (SELECT FROM knowledge.migrations WHERE name = '0016_feedback.sql') AS ready
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
RETURNING from_id, to_id, type"""
# What follows where decisions supersede each other is knowledge's to know, which looks for these.
CUT = """
INSERT INTO knowledge.cut_chains (namespace, item_id, principal)
SELECT namespace, id, %(principal)s FROM knowledge.items WHERE namespace = %(namespace)s AND id = ANY(%(ids)s::text[])
ORDER BY id ON CONFLICT (namespace, item_id) DO UPDATE SET principal = excluded.principal"""
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
# Feedback names items of its own namespace alone.
UNNAME = """
UPDATE knowledge.feedback SET items_helpful = array_remove(items_helpful, %(id)s::text),
    items_not_helpful = array_remove(items_not_helpful, %(id)s::text),
    items_used = array_remove(items_used, %(id)s::text)
WHERE namespace = %(namespace)s AND items_helpful || items_not_helpful || items_used @> ARRAY[%(id)s]::text[]
RETURNING id"""
FORGET_VOTES = "DELETE FROM knowledge.feedback_votes WHERE namespace = %(namespace)s AND item_id = %(id)s"
# What is quoted is looked for as JSON has it, which all is made for that: metadata is kept so.
BLANK_FEEDBACK = """
UPDATE knowledge.feedback SET query_text = %(erased)s, missing_context = '', metadata = '{}'
WHERE (id = ANY(%(ids)s::uuid[]) OR query_id = ANY(%(asked)s::uuid[]) OR EXISTS (
        SELECT FROM unnest(%(quoting)s::text[]) AS text, to_json(text) AS quote WHERE position(
            substr(quote::text, 2, length(quote::text) - 2)
            IN jsonb_build_array(query_text, missing_context, metadata)::text) > 0))
    AND (query_text, missing_context, metadata) NOT IN (('', '', '{}'), (%(erased)s, '', '{}'))
RETURNING id"""
# Answers to who gave feedback begin as those `Recorded` do, with an id of 36 characters.
FORGET_FEEDBACK_ANSWERS = """
UPDATE knowledge.idempotency SET answer = ''
WHERE substring(encode(answer, 'hex') FROM '^0a(?:[89a-f].)*[0-7].0a24([0-9a-f]{72})') = ANY(%(ids)s::text[])"""
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


RECEIPTS = "SELECT to_regclass('retrieval.receipts') IS NOT NULL AS kept"
# Who may look over all namespaces, and where they are found.
SPANNING = {
    "context_feed": "SELECT DISTINCT namespace FROM knowledge.feedback",
    "context_indexer": "SELECT DISTINCT namespace FROM retrieval.receipts",
}
SEE = "SELECT set_config('context.namespaces', %(namespaces)s::text[]::text, true)"
FIND_RECEIPTS = """
SELECT query_id, namespaces, receipt FROM retrieval.receipts
WHERE EXISTS (SELECT FROM unnest(%(wanted)s::text[]) AS text WHERE position(convert_to(text, 'UTF8') IN receipt) > 0)"""
BLANK_RECEIPT = "UPDATE retrieval.receipts SET receipt = %(receipt)s WHERE query_id = %(query_id)s"
ERASED = "[erased]"  # in the place of a question, in a receipt or in feedback


@dataclass(frozen=True)
class Erased:
    """What an erasure came to."""

    deleted: bool  # it stood until now
    versions: int  # that say nothing any more
    answers: int  # that were kept for Idempotency-Keys
    chained: int = 0  # decisions that superseded it or were superseded by it
    questions: int = 0  # in receipts
    feedback: int = 0  # that named the item, or may quote it


class Erasure:
    """Takes the text of one item out, in one transaction, and then the questions that may quote it, in another.

    Feedback is treated as receipts are: what was written there goes where it may quote the item; the rating, and who
    gave it, stay. That which names the item is done with the text, that on such a question with the question. Done
    again it does what is left: nothing is lost where it is interrupted between them.

    Attributes:
        feedback: Ids of the feedback that was changed so far.
    """

    def __init__(self, connection: Connection, namespace: str, item_id: str, *, dry_run: bool = False) -> None:
        """Check that the login may do this.

        Args:
            connection: As the owner of the tables.
            namespace: Whose item it is.
            item_id: As it was given out; whether it stands or was deleted.
            dry_run: Do it all, and take it back.

        Raises:
            CommandFailed: It does not own them, or they are of an earlier release.
        """
        login = one(connection, OWNS)
        if not login["owns"]:
            raise CommandFailed(
                f"{login['name']} does not own the tables: MIGRATION_DATABASE_URL names who does", REFUSED
            )
        if not login["ready"]:
            raise CommandFailed("the database is of an earlier release: migrate it first", REFUSED)
        self._connection, self._dry_run = connection, dry_run
        self._values = {"namespace": namespace, "id": item_id, "principal": f"owner:{login['name']}"}
        self.feedback: set[UUID] = set()

    def text(self, quoting: Sequence[str] = ()) -> Erased:
        """Blank every version of the item; one that stands is deleted first, and the index follows by the feed.

        Feedback that names the item names it no more, its votes on it are gone, and what was written there is blank; so
        is feedback of any namespace that has one of `quoting` in it.

        Raises:
            CommandFailed: There was never such an item.
        """
        connection, values = self._connection, self._values
        with connection.transaction(force_rollback=self._dry_run):
            connection.execute(WITHIN, values)
            connection.execute(LOCK_SUPERSESSION, values)
            stands = connection.execute(LOCK, values).fetchone() is not None
            neighbours, chained = self._delete() if stands else (set(), 0)
            versions = connection.execute(BLANK, values).rowcount
            if not versions:
                raise CommandFailed(f"there was never a {values['id']} in {values['namespace']}", NOT_FOUND)
            answers = connection.execute(FORGET_ANSWERS, values).rowcount
            feedback = self._feedback(quoting)
            marks = {**values, "ids": sorted({values["id"], *neighbours})}
            for statement in (HOLD, NUMBER, WAKE):
                connection.execute(statement, marks)
            self._note(f"{versions} versions, {answers} answers, {feedback} feedback")
        return Erased(stands, versions, answers, chained, feedback=feedback)

    def questions(self, quoting: Sequence[str] = ()) -> int:
        """Blank the questions that the item answered or was left out of the answer to, since they may quote it, and
        those that have one of `quoting` in them as it is written there; answers how many. Who asked, when, and what was
        handed out stays in their receipts. What was written as feedback on one of them is blank as well.
        """
        connection = self._connection
        if not one(connection, RECEIPTS)["kept"]:
            return 0
        with connection.transaction(force_rollback=self._dry_run):
            connection.execute(WITHIN, self._values)
            self._see_every_namespace(*SPANNING)
            wanted = [self._values["id"], *quoting]
            asked, blanked = [], 0
            with connection.cursor("receipts") as cursor:
                for row in cursor.execute(FIND_RECEIPTS, {"wanted": wanted}):
                    kept = GetReceiptResponse.FromString(row["receipt"])
                    if not self._concerns(kept, row["namespaces"], quoting):
                        continue
                    asked.append(row["query_id"])
                    if not _is_blank(kept):
                        kept.asked.query = ERASED
                        kept.asked.filter.tags[:] = []
                        body = {"query_id": row["query_id"], "receipt": kept.SerializeToString()}
                        blanked += connection.execute(BLANK_RECEIPT, body).rowcount
            feedback = self._blank_feedback(asked=asked)
            if blanked or feedback:
                self._note(f"{blanked} questions, {feedback} feedback")
        return blanked

    def _feedback(self, quoting: Sequence[str]) -> int:
        """Take the item, and what quotes it, out of feedback; answers how much was changed."""
        connection, values = self._connection, self._values
        connection.execute(FORGET_VOTES, values)
        naming = [row["id"] for row in connection.execute(UNNAME, values)]
        if quoting:  # whoever said so
            self._see_every_namespace("context_feed")
        return self._blank_feedback(naming, quoting=quoting)

    def _blank_feedback(
        self, naming: Sequence[UUID] = (), *, asked: Sequence[UUID] = (), quoting: Sequence[str] = ()
    ) -> int:
        """Blank what was written as the feedback `naming`, on the queries `asked`, or has one of `quoting` in it, and
        empty the answers kept to who gave it; answers how much was changed, `naming` in any case.
        """
        connection = self._connection
        wanted = {"ids": list(naming), "asked": list(asked), "quoting": list(quoting), "erased": ERASED}
        found = {*naming, *(row["id"] for row in connection.execute(BLANK_FEEDBACK, wanted))}
        connection.execute(FORGET_FEEDBACK_ANSWERS, {"ids": [str(feedback).encode().hex() for feedback in found]})
        self.feedback |= found
        return len(found)

    def _see_every_namespace(self, *roles: str) -> None:
        """Let the policies, which hold an owner too, show what was asked and said by whomever, in all the namespaces
        that `roles` of SPANNING find.
        """
        connection = self._connection
        names = {self._values["namespace"]}
        for role in roles:
            connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
            names |= {row["namespace"] for row in every(connection, SPANNING[role])}
            connection.execute("RESET ROLE")
        connection.execute(SEE, {"namespaces": sorted(names)})

    def _concerns(self, kept: GetReceiptResponse, namespaces: Collection[str], quoting: Sequence[str]) -> bool:
        """Whether a question was about the item, or quotes what must go; one that is blank already quotes nothing."""
        asked = [] if _is_blank(kept) else [kept.asked.query, *kept.asked.filter.tags]
        namespace, item_id = self._values["namespace"], self._values["id"]
        answered = any(entry.id == item_id and entry.namespace == namespace for entry in kept.entries)
        left_out = namespace in namespaces and any(omission.id == item_id for omission in kept.omitted)
        return answered or left_out or any(quote in text for quote in quoting for text in asked)

    def _delete(self) -> tuple[set[str], int]:
        """Delete the item, which stands; answers the items that had edges to it, and how many decisions it leaves to
        knowledge.
        """
        connection, values = self._connection, self._values
        edges = connection.execute(ERASE_EDGES, values).fetchall()
        connection.execute(DELETE, values)
        connection.execute(FORGET_ACCESS, values)
        ends = {end for edge in edges if edge["type"] == "supersedes" for end in (edge["from_id"], edge["to_id"])}
        chained = connection.execute(CUT, {**values, "ids": sorted(ends)}).rowcount
        return {edge["from_id"] for edge in edges}, chained

    def _note(self, detail: str) -> None:
        self._connection.execute(NOTE, {**self._values, "detail": detail})


def _is_blank(kept: GetReceiptResponse) -> bool:
    return kept.asked.query == ERASED and not kept.asked.filter.tags
