"""What is in a database: schemas, tables with counts and digests, roles, owners, migrations."""

from psycopg import sql

from context_client.errors import CommandFailed
from context_ops.manifest import Role, Table
from context_ops.store import REFUSED, Connection, every, one

OURS = """
n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND NOT EXISTS (
    SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')"""
TABLES = f"""
SELECT n.nspname AS schema, c.relname AS name, pg_total_relation_size(c.oid) AS bytes
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND {OURS} ORDER BY 1, 2"""  # noqa: S608
# The sum of the rows' hashes: the same whatever their order.
COUNT = "SELECT count(*) AS rows, coalesce(sum(hashtextextended(t::text, 0)), 0)::text AS digest FROM {} AS t"
FREE = """
SELECT current_user AS name, rolsuper OR rolbypassrls AS free, rolsuper OR rolreplication AS copies,
    rolsuper AS super FROM pg_roles WHERE rolname = current_user"""
# Roles that own something in this database, or that a right or a policy in it names.
ROLES = """
WITH used AS (
    SELECT DISTINCT refobjid AS oid FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass
        AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database()))
SELECT r.rolname AS name,
    coalesce(array_agg(g.rolname ORDER BY g.rolname) FILTER (WHERE g.oid IS NOT NULL), '{}') AS groups
FROM used JOIN pg_roles r USING (oid) LEFT JOIN pg_auth_members m ON m.member = r.oid
LEFT JOIN pg_roles g ON g.oid = m.roleid AND g.oid IN (SELECT oid FROM used)
WHERE r.rolname !~ '^pg_' GROUP BY r.rolname ORDER BY r.rolname"""
OWNERS = f"""
SELECT n.nspname || '.' || c.relname AS name, pg_get_userbyid(c.relowner) AS owner
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm') AND c.relowner <> n.nspowner AND n.nspname <> 'public' AND {OURS}"""  # noqa: S608
MIGRATED = "SELECT n.nspname AS schema FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE relname = %s"


def check_sees_all(connection: Connection) -> None:
    """See that policies leave no rows out for whoever is logged in.

    Raises:
        CommandFailed: They would.
    """
    found = one(connection, FREE)
    if not found["free"]:
        raise CommandFailed(
            f"row-level security holds {found['name']}, so it would miss rows: log in as a superuser, or as a role with"
            " BYPASSRLS that is a member of pg_read_all_data (BACKUP_DATABASE_URL)",
            REFUSED,
        )


def tables(connection: Connection) -> dict[str, Table]:
    """Every table by `schema.name`, counted and digested: this reads all there is."""
    found = {}
    for row in every(connection, TABLES):
        counted = connection.execute(sql.SQL(COUNT).format(sql.Identifier(row["schema"], row["name"]))).fetchone() or {}
        found[f"{row['schema']}.{row['name']}"] = Table(counted["rows"], counted["digest"], row["bytes"])
    return found


def roles(connection: Connection) -> tuple[Role, ...]:
    """The roles that the database's rights speak of."""
    return tuple(Role(row["name"], tuple(row["groups"])) for row in every(connection, ROLES))


def owners(connection: Connection) -> dict[str, str]:
    """Who owns what its schema's owner does not own."""
    return {row["name"]: row["owner"] for row in every(connection, OWNERS)}


def migrations(connection: Connection) -> dict[str, tuple[str, ...]]:
    """The migrations that ran, by schema."""
    found = {}
    for row in every(connection, MIGRATED, "migrations"):
        table = sql.Identifier(row["schema"], "migrations")
        ran = connection.execute(sql.SQL("SELECT name FROM {} ORDER BY name").format(table)).fetchall()
        found[row["schema"]] = tuple(entry["name"] for entry in ran)
    return found


def server_version(connection: Connection) -> str:
    """Such as 17.6."""
    number = connection.info.server_version
    return f"{number // 10000}.{number % 10000}"
