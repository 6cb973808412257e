"""The database that a backup is restored into."""

from collections.abc import Iterable, Mapping

from psycopg import sql

from context_ops.manifest import Role
from context_ops.store import Connection, every, one
from context_ops.store.content import OURS

CONTENT = f"""
SELECT nspname AS name FROM pg_namespace n WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'public')
UNION ALL SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND {OURS} ORDER BY 1"""  # noqa: S608
LIVE = "revoked_at IS NULL AND expires_at > clock_timestamp()"
LIVE_KEYS = f"SELECT count(*) AS keys FROM knowledge.keys WHERE {LIVE}"  # noqa: S608
REVOKE_KEYS = f"""
WITH ended AS (UPDATE knowledge.keys SET revoked_at = clock_timestamp() WHERE {LIVE} RETURNING 1)
INSERT INTO knowledge.audit (namespace, principal, request_id, action, item_id, detail)
SELECT '', 'owner:' || current_user, '', 'revoke_keys', '', count(*) || ' keys, after a restore' FROM ended"""  # noqa: S608
MEMBER = "SELECT pg_has_role(%s::text, %s::text, 'MEMBER') AS is"


def content(connection: Connection) -> list[str]:
    """The schemas that are there already, and the relations of `public`."""
    return [row["name"] for row in every(connection, CONTENT)]


def clear(connection: Connection, schemas: Iterable[str]) -> None:
    """Drop schemas with all that is in them. Who else is at work there makes this fail after 10 seconds."""
    with connection.transaction():
        connection.execute("SET LOCAL lock_timeout = '10s'")
        for schema in schemas:
            connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))


def make_roles(connection: Connection, roles: Iterable[Role]) -> list[str]:
    """Make the roles that are not there: without login, since passwords are in no backup. Answers their names."""
    made = []
    for role in roles:
        name = sql.Identifier(role.name)
        if not every(connection, "SELECT 1 FROM pg_roles WHERE rolname = %s", role.name):
            connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(name))
            made.append(role.name)
        if not one(connection, "SELECT pg_has_role(current_user, %s::text, 'SET') AS is", role.name)["is"]:
            connection.execute(sql.SQL("GRANT {} TO CURRENT_USER WITH INHERIT FALSE, SET TRUE").format(name))
    for role in roles:
        for group in role.member_of:
            if not one(connection, MEMBER, role.name, group)["is"]:
                grant = sql.SQL("GRANT {} TO {} WITH INHERIT FALSE, SET TRUE")
                connection.execute(grant.format(sql.Identifier(group), sql.Identifier(role.name)))
    return made


def hand_over(connection: Connection, owners: Mapping[str, str]) -> None:
    """Give relations to their owners: views that look past the policies belong to a role of their own."""
    for relation, owner in owners.items():
        schema, _, name = relation.partition(".")
        parts = {"schema": sql.Identifier(schema), "name": sql.Identifier(schema, name), "owner": sql.Identifier(owner)}
        with connection.transaction():
            for statement in (
                "GRANT CREATE ON SCHEMA {schema} TO {owner}",
                "ALTER TABLE {name} OWNER TO {owner}",
                "REVOKE CREATE ON SCHEMA {schema} FROM {owner}",
            ):
                connection.execute(sql.SQL(statement).format(**parts))


def analyse(connection: Connection) -> None:
    """Give the planner its statistics, without which searches by vector are slow and miss rows."""
    connection.execute("ANALYZE")


def live_keys(connection: Connection) -> int:
    """How many API keys open something."""
    return int(one(connection, LIVE_KEYS)["keys"])


def revoke_keys(connection: Connection) -> None:
    """End every API key."""
    connection.execute(REVOKE_KEYS.encode())


def create_database(connection: Connection, name: str) -> None:
    """Make an empty database."""
    connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))


def drop_database(connection: Connection, name: str) -> None:
    """Remove a database, whoever is in it."""
    connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
