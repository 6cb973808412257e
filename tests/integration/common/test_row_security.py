"""What the services' roles can see and do in Postgres, whatever their SQL forgets. Tables come from the catalogue."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import InsufficientPrivilege

SERVICES = {"knowledge": "context_knowledge", "retrieval": "context_retrieval"}
SPANNING = {"knowledge": "context_feed", "retrieval": "context_indexer"}
VIEWS = "context_views"
ROLES = (*SERVICES.values(), *SPANNING.values(), VIEWS)
GROWING = ("audit", "item_versions")
FORBIDDEN = ("UPDATE {} SET namespace = namespace", "DELETE FROM {}", "TRUNCATE {}")

RELATIONS = """
SELECT c.relname AS name, c.relkind = 'v' AS view, c.relrowsecurity AND c.relforcerowsecurity AS protected
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'namespace' AND NOT a.attisdropped
WHERE c.relnamespace = %s::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm') ORDER BY 1
"""
COLUMNS = """
SELECT a.attname AS name, t.typname AS type
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attnotnull
    AND NOT a.atthasdef AND a.attidentity = '' AND a.attgenerated = ''
"""
VALUES: dict[str, Any] = {
    **dict.fromkeys(("text", "varchar"), "x"),
    **dict.fromkeys(("int2", "int4", "int8", "float4", "float8", "numeric"), 1),
    **dict.fromkeys(("timestamptz", "date"), "2026-01-31"),
    "bool": False,
    "jsonb": "{}",
    "_text": "{}",
    "tsvector": "",
    "bytea": b"x" * 32,
    "uuid": "00000000-0000-4000-8000-000000000000",
}


@contextmanager
def session(url: str, schema: str, role: str = "", namespaces: str = "") -> Iterator[psycopg.Connection[Any]]:
    """A transaction as `role` that sees `namespaces`, an array's text, and is rolled back."""
    options = f"-c search_path={schema},public" + (f" -c role={role}" if role else "")
    with psycopg.connect(url, options=options) as connection:
        if namespaces:
            connection.execute("SELECT set_config('context.namespaces', %s, true)", (namespaces,))
        yield connection
        connection.rollback()


def relations(url: str, schema: str) -> list[tuple[str, bool, bool]]:
    """Name, whether it is a view, and whether row-level security is on and forced, of all that has a namespace."""
    with session(url, schema) as connection:
        return connection.execute(RELATIONS, (schema,)).fetchall()


def tables(url: str, schema: str) -> list[str]:
    return [name for name, is_view, _ in relations(url, schema) if not is_view]


def insert(connection: psycopg.Connection[Any], table: str, namespace: str) -> None:
    """A row of which nothing but the namespace matters."""
    columns = dict(connection.execute(COLUMNS, (table,)).fetchall()) | {"namespace": "text"}
    values = {name: VALUES[kind] for name, kind in columns.items()} | {"namespace": namespace}
    connection.execute(
        sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, values)),
            sql.SQL(", ").join(map(sql.Placeholder, values)),
        ),
        values,
    )


def count(connection: psycopg.Connection[Any], name: str) -> int:
    row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(name))).fetchone()
    return int(row[0]) if row else 0


def affected(connection: psycopg.Connection[Any], statement: LiteralString, table: str) -> int:
    """How many rows a statement changes; none where it is refused."""
    try:
        return connection.execute(sql.SQL(statement).format(sql.Identifier(table))).rowcount
    except InsufficientPrivilege:
        return 0


@pytest.fixture
def filled(database_url: str) -> str:
    """A database with one row of the namespace `web` in every table that has namespaces."""
    for schema in SERVICES:
        with session(database_url, schema) as connection:
            # The rows need not make sense; what they must not break is not what is tested.
            connection.execute("SET session_replication_role = replica")
            for table in tables(database_url, schema):
                checks = connection.execute(
                    "SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'c'", (table,)
                ).fetchall()
                for (check,) in checks:
                    drop = sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}")
                    connection.execute(drop.format(sql.Identifier(table), sql.Identifier(check)))
                insert(connection, table, "web")
            connection.commit()
    return database_url


@pytest.mark.parametrize("schema", SERVICES)
def test_every_table_with_a_namespace_is_protected(database_url: str, schema: str) -> None:
    found = relations(database_url, schema)
    assert len(found) > 6
    assert [name for name, is_view, protected in found if not is_view and not protected] == []


@pytest.mark.parametrize("schema", SERVICES)
def test_who_forgets_the_namespace_gets_no_rows(filled: str, schema: str) -> None:
    for name, _, _ in relations(filled, schema):
        with session(filled, schema) as owner:
            assert count(owner, name) == (0 if name.startswith("visible_") else 1), name
        with session(filled, schema, SERVICES[schema]) as forgetful:
            assert count(forgetful, name) == 0, name
        with session(filled, schema, SERVICES[schema], "{other}") as elsewhere:
            assert count(elsewhere, name) == 0, name
        with session(filled, schema, SERVICES[schema], "{other,web}") as there:
            assert count(there, name) == 1, name


@pytest.mark.parametrize("schema", SERVICES)
def test_the_setting_ends_with_its_transaction(filled: str, schema: str) -> None:
    table = tables(filled, schema)[0]
    with session(filled, schema, SERVICES[schema], "{web}") as connection:
        assert count(connection, table) == 1
        connection.commit()
        assert count(connection, table) == 0


@pytest.mark.parametrize("schema", SERVICES)
def test_nothing_is_written_into_another_namespace(filled: str, schema: str) -> None:
    for table in tables(filled, schema):
        for namespaces in ("", "{other}"):
            service = session(filled, schema, SERVICES[schema], namespaces)
            with service as connection, pytest.raises(InsufficientPrivilege):
                insert(connection, table, "web")
        for statement in FORBIDDEN[:2]:
            with session(filled, schema, SERVICES[schema], "{other}") as connection:
                assert affected(connection, statement, table) == 0, (table, statement)
        with session(filled, schema, SERVICES[schema], "{web}") as connection, pytest.raises(InsufficientPrivilege):
            connection.execute(sql.SQL("UPDATE {} SET namespace = 'other'").format(sql.Identifier(table)))


@pytest.mark.parametrize("role", [SERVICES["knowledge"], SPANNING["knowledge"]])
@pytest.mark.parametrize("table", GROWING)
@pytest.mark.parametrize("statement", FORBIDDEN)
def test_what_only_grows_is_neither_changed_nor_removed(filled: str, role: str, table: str, statement: str) -> None:
    with (
        session(filled, "knowledge", role, "{web}") as connection,
        pytest.raises(InsufficientPrivilege, match=f"permission denied for table {table}"),
    ):
        connection.execute(sql.SQL(statement).format(sql.Identifier(table)))


@pytest.mark.parametrize("role", ROLES)
def test_roles_are_nobody_special(database_url: str, role: str) -> None:
    query = """
        SELECT rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication OR rolcanlogin
        FROM pg_roles WHERE rolname = %s"""
    owned = """
        SELECT o.relname FROM pg_class o WHERE o.relowner = %(role)s::regrole AND NOT o.relname LIKE 'visible%%'
        UNION ALL SELECT nspname FROM pg_namespace WHERE nspowner = %(role)s::regrole
        UNION ALL SELECT proname FROM pg_proc WHERE proowner = %(role)s::regrole"""
    with session(database_url, "public") as connection:
        assert connection.execute(query, (role,)).fetchone() == (False,)
        assert connection.execute(owned, {"role": role}).fetchall() == []
        views = "SELECT count(*) FROM pg_class WHERE relowner = %s::regrole"
        assert (connection.execute(views, (role,)).fetchone() == (0,)) == (role != VIEWS)


@pytest.mark.parametrize("schema", SERVICES)
def test_services_make_no_objects(database_url: str, schema: str) -> None:
    for place in (schema, "public"):
        with session(database_url, place, SERVICES[schema]) as connection, pytest.raises(InsufficientPrivilege):
            connection.execute("CREATE FUNCTION peek() RETURNS int LANGUAGE sql AS 'SELECT 1'")


@pytest.mark.parametrize("schema", SERVICES)
def test_what_spans_namespaces_sees_them_all_and_only_when_asked_for(filled: str, schema: str) -> None:
    table = {"knowledge": "changes", "retrieval": "documents"}[schema]
    with session(filled, schema, SERVICES[schema]) as connection:
        assert count(connection, table) == 0
        connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(SPANNING[schema])))
        assert count(connection, table) == 1
        connection.rollback()
        assert connection.execute("SELECT current_user").fetchone() == (SERVICES[schema],)
        assert count(connection, table) == 0


@pytest.mark.parametrize("role", [*SPANNING.values(), VIEWS])
def test_only_its_own_service_may_span_namespaces(database_url: str, role: str) -> None:
    query = """
        SELECT r.rolname FROM pg_roles r
        WHERE NOT r.rolsuper AND pg_has_role(r.oid, %(role)s, 'SET') AND r.rolname <> %(role)s
            AND NOT r.rolcanlogin"""
    inherited = "SELECT count(*) FROM pg_auth_members WHERE roleid = %s::regrole AND inherit_option"
    with session(database_url, "public") as connection:
        holders = [name for (name,) in connection.execute(query, {"role": role}).fetchall()]
        assert holders == [SERVICES[schema] for schema, spanning in SPANNING.items() if spanning == role]
        assert connection.execute(inherited, (role,)).fetchone() == (0,)
