"""Whom a service may log in as: made by its migrations, held by row-level security, refused in production otherwise."""

import asyncio
import os
import secrets
import sys
from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from context_common import postgres
from context_common.settings import SettingsError

KNOWLEDGE = postgres.Options("knowledge", role="context_knowledge")
ROLE = "SELECT rolcanlogin, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = %s"
PASSWORD = "a password with ' and \\ in it"


@pytest.fixture
def login(database_url: str) -> Iterator[str]:
    """The name of a user who does not exist yet."""
    name = f"login_{secrets.token_hex(4)}"
    yield name
    with psycopg.connect(database_url, autocommit=True) as owner:
        if owner.execute(ROLE, (name,)).fetchone():
            owner.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
            owner.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def as_user(url: str, name: str) -> str:
    return make_conninfo(url, user=name, password=PASSWORD)


def create(url: str, name: str, attributes: str = "LOGIN") -> None:
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(sql.SQL(f"CREATE ROLE {{}} {attributes} PASSWORD {{}}").format(sql.Identifier(name), PASSWORD))
        owner.execute(
            sql.SQL("GRANT context_knowledge TO {} WITH INHERIT FALSE, SET TRUE").format(sql.Identifier(name))
        )


async def test_a_login_is_made_once_and_works_as_the_service_only(database_url: str, login: str) -> None:
    url = as_user(database_url, login)
    await asyncio.gather(*(postgres.make_login(database_url, url, "context_knowledge") for _ in range(3)))
    with psycopg.connect(database_url) as owner:
        assert owner.execute(ROLE, (login,)).fetchone() == (True, False, False)
        stored = owner.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", (login,)).fetchone()
        assert stored
        assert stored[0].startswith("SCRAM-SHA-256$")
    await postgres.check_session(url, KNOWLEDGE, strict=True)
    async with postgres.open_pool(url, KNOWLEDGE, name="test", size=2) as pool:
        rows = await postgres.fetch(pool, postgres.Reach(("web",)), "SELECT session_user, current_user", ())
        assert list(rows[0].values()) == [login, "context_knowledge"]
        spanning = postgres.Reach(role="context_feed")
        assert await postgres.fetch(pool, spanning, "SELECT count(*) FROM changes", ()) == [{"count": 0}]
        for role in ("context_retrieval", "context_indexer", "context_views"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied to set role"):
                await postgres.fetch(pool, postgres.Reach(role=role), "SELECT 1", ())
    with psycopg.connect(url, options="-c search_path=knowledge") as bare, pytest.raises(psycopg.Error):
        bare.execute("SELECT 1 FROM items")  # on its own, without the role, it may do nothing


async def test_an_owner_who_serves_needs_no_login(database_url: str) -> None:
    await postgres.make_login(database_url, database_url, "context_knowledge")


@pytest.mark.parametrize(
    ("attributes", "reason"), [("LOGIN SUPERUSER", "is a superuser"), ("LOGIN BYPASSRLS", "has BYPASSRLS")]
)
async def test_who_could_bypass_the_policies_is_refused(
    database_url: str, login: str, attributes: str, reason: str
) -> None:
    create(database_url, login, attributes)
    url = as_user(database_url, login)
    with pytest.raises(SettingsError, match=f"logs in as {login}, who {reason}"):
        await postgres.check_session(url, KNOWLEDGE, strict=True)
    await postgres.check_session(url, KNOWLEDGE, strict=False)


async def test_who_owns_the_tables_is_refused(database_url: str, login: str) -> None:
    create(database_url, login)
    url = as_user(database_url, login)
    await postgres.check_session(url, KNOWLEDGE, strict=True)
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute(sql.SQL("ALTER TABLE knowledge.access_counts OWNER TO {}").format(sql.Identifier(login)))
    with pytest.raises(SettingsError, match="owns the tables"):
        await postgres.check_session(url, KNOWLEDGE, strict=True)


@pytest.mark.parametrize("service", ["knowledge", "retrieval"])
async def test_in_production_the_process_refuses_a_superuser_and_serves_its_own_login(
    make_database: Callable[[], str], login: str, service: str
) -> None:
    owner = make_database()
    secret = {"SECRET_KEY_BASE": secrets.token_urlsafe(48), "APP_ENV": "prod", "LISTEN": "127.0.0.1:0"}
    code, said = await run(service, **secret, DATABASE_URL=owner)
    assert code == 1
    assert "DATABASE_URL logs in as" in said
    assert "MIGRATION_DATABASE_URL" in said
    assert "Traceback" not in said
    own = as_user(owner, login)
    code, said = await run(service, "migrate", **secret, DATABASE_URL=own, MIGRATION_DATABASE_URL=owner)
    assert code == 0, said
    _, said = await run(service, **secret, DATABASE_URL=own, POOL_SIZE="4")
    assert '"message": "listening"' in said or '"message":"listening"' in said, said


async def run(service: str, *arguments: str, **environ: str) -> tuple[int | None, str]:
    """How a process ends, or what it says until it listens."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"context_{service}",
        *arguments,
        env={**os.environ, **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout
    said = b""
    async with asyncio.timeout(60):
        while line := await process.stdout.readline():
            said += line
            if b"listening" in line:
                process.terminate()
        return await process.wait(), said.decode()
