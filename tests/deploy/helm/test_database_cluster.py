"""What is done to a new database, by CloudNativePG or by hand, is enough for migrations, services, backups and a look.

The operator is played here by the superuser of a real server, in the order in which the operator does it.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.support.helm.chart import load_set, render
from tests.support.helm.database import DATABASE, execute, statements
from tests.support.postgres import scratch_server

ATTRIBUTES = {"login": "LOGIN", "bypassrls": "BYPASSRLS", "replication": "REPLICATION"}  # of a managed role


@pytest.fixture
def server() -> Iterator[str]:
    """A server whose roles are all ours."""
    if "DATABASE_URL" in os.environ or "TEST_POSTGRES_IMAGE" in os.environ:
        pytest.skip("roles belong to a whole server, and this one is another's")
    with scratch_server() as url:
        yield url


def run(*command: str, **environ: str) -> str:
    """Run a module of ours; answers what it printed."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "TMPDIR", "XDG_RUNTIME_DIR")}
    ran = subprocess.run(
        [sys.executable, "-m", *command], env={**kept, **environ}, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, f"{command}: {ran.stdout}{ran.stderr}"
    return ran.stdout


def create(role: Mapping[str, object]) -> str:
    """The statement that makes a managed role."""
    attributes = [word for name, word in ATTRIBUTES.items() if role.get(name)]
    groups = role["inRoles"]
    assert isinstance(groups, list)
    return f"CREATE ROLE {role['name']} {' '.join(attributes)} IN ROLE {', '.join(groups)}"


def by_operator(server: str) -> tuple[str, str]:
    """A database that the operator made; answers its address for the owner and for backups."""
    [cluster] = render(load_set("cloudnative-pg.yaml")).of("Cluster")
    first = cluster.spec["bootstrap"]["initdb"]
    name, owner = first["database"], first["owner"]
    [backup] = cluster.spec["managed"]["roles"]
    database = make_conninfo(server, dbname=name)

    execute(server, f"CREATE ROLE {owner} LOGIN", *first["postInitSQL"])
    execute(
        server, sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(owner)).as_string()
    )
    execute(database, *first["postInitApplicationSQL"])
    execute(server, create(backup))
    assert (
        "pg_stat_statements.max" in cluster.spec["postgresql"]["parameters"]
    )  # the operator makes the extension for it
    return make_conninfo(database, user=owner), make_conninfo(database, user=str(backup["name"]))


def by_hand(server: str) -> tuple[str, str]:
    """The same, by the statements of docs/operations.md."""
    of_server, of_database = statements()
    database = make_conninfo(server, dbname=DATABASE)
    execute(server, *of_server)
    execute(database, *of_database)
    return make_conninfo(database, user="context_owner"), make_conninfo(database, user="context_backup_login")


@pytest.mark.parametrize("make", [by_operator, by_hand])
def test_migrations_services_and_backups_have_the_rights_they_need(
    make: Callable[[str], tuple[str, str]], server: str, tmp_path: Path
) -> None:
    owner_url, backup_url = make(server)
    for service in ("knowledge", "retrieval"):
        login_url = make_conninfo(owner_url, user=f"{service}_login", password="a password")
        run(f"context_{service}", "migrate", MIGRATION_DATABASE_URL=owner_url, DATABASE_URL=login_url)
        execute(login_url, f"SET ROLE context_{service}")

    target = tmp_path / "backups"
    target.mkdir()
    run("context_client", "backup", "--to", str(target), BACKUP_DATABASE_URL=backup_url)
    assert list(target.glob("**/*.dump"))
    with psycopg.connect(make_conninfo(server, dbname=conninfo_to_dict(owner_url)["dbname"])) as connection:
        noted = connection.execute("SELECT count(*) FROM knowledge.backups").fetchone()
    assert noted == (1,)
    with psycopg.connect(backup_url) as connection:  # `db slow` reads both, of all logins
        connection.execute("SELECT current_setting('shared_preload_libraries')")
        assert connection.execute("SELECT pg_has_role('pg_read_all_stats', 'USAGE')").fetchone() == (True,)
