"""What the server must be and have is found out at the start, and said with figures."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from prometheus_client import REGISTRY
from psycopg.conninfo import make_conninfo

from context_common import postgres
from context_common.postgres import limits
from context_common.postgres.limits import Room
from context_common.postgres.requirements import check_version
from context_common.settings import SettingsError

PUBLIC = postgres.Options("public")


@pytest.mark.parametrize(("version", "named"), [(160009, "16"), (90624, "9")])
def test_a_server_that_is_too_old_is_named(version: int, named: str) -> None:
    with pytest.raises(SettingsError, match=f"Postgres 17 or newer is needed; this server is {named}"):
        check_version(version)
    check_version(170000)


async def test_an_old_pgvector_is_refused_with_what_to_do(make_database: Callable[[], str], tmp_path: Path) -> None:
    url = make_database()
    await postgres.migrate(url, schema="demo", directory=tmp_path)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE pg_extension SET extversion = '0.7.4' WHERE extname = 'vector'")
    for attempt in (
        postgres.migrate(url, schema="demo", directory=tmp_path),
        postgres.check_session(url, PUBLIC, strict=False),
    ):
        with pytest.raises(SettingsError, match=r"pgvector 0\.7\.4 is installed .* ALTER EXTENSION vector UPDATE"):
            await attempt


async def test_a_database_that_holds_bytes_in_place_of_text_is_refused(
    make_database: Callable[[], str], tmp_path: Path
) -> None:
    url = make_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE DATABASE ascii ENCODING 'SQL_ASCII' LOCALE 'C' LOCALE_PROVIDER libc TEMPLATE template0"
        )
    with pytest.raises(SettingsError, match="encoding is SQL_ASCII: create it with ENCODING 'UTF8'"):
        await postgres.migrate(make_conninfo(url, dbname="ascii"), schema="demo", directory=tmp_path)


async def test_an_owner_who_may_not_set_up_is_told_what_it_takes(
    make_database: Callable[[], str], tmp_path: Path
) -> None:
    url = make_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP EXTENSION IF EXISTS vector CASCADE")
        connection.execute("CREATE ROLE plain_owner LOGIN")
    try:
        with pytest.raises(SettingsError, match=r"plain_owner may not set the database up.*CREATE EXTENSION vector"):
            await postgres.migrate(make_conninfo(url, user="plain_owner"), schema="demo", directory=tmp_path)
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DROP ROLE plain_owner")


async def test_every_pool_counts_against_what_the_server_has(make_database: Callable[[], str]) -> None:
    url = make_database()
    with psycopg.connect(url) as connection:
        (most,) = connection.execute("SELECT current_setting('max_connections')::int").fetchone() or (0,)
    async with (
        postgres.open_pool(url, PUBLIC, name="one", size=3) as one,
        postgres.open_pool(url, PUBLIC, name="two", size=most) as two,
    ):
        await postgres.ping(two)
        room = await limits.look(one)
        assert room.limit < most
        assert room.pooled >= most + 3
        assert room.processes >= 2
        assert f"may open {room.pooled} connections" in room.complaint()
        assert f"the server has {room.limit}: lower POOL_SIZE" in room.complaint()
        watching = asyncio.create_task(postgres.watch_limits(one))
        async with asyncio.timeout(10):
            # Not what `room` counted: a session of an earlier test may have been ending then.
            while (REGISTRY.get_sample_value("context_db_connections_possible") or 0) < most + 3:
                await asyncio.sleep(0.01)
        watching.cancel()
        assert REGISTRY.get_sample_value("context_db_connections_limit") == room.limit


async def test_sessions_of_other_logins_count_for_a_login_that_may_not_look_at_them(
    make_database: Callable[[], str],
) -> None:
    url = make_database()
    with psycopg.connect(url, autocommit=True) as connection, psycopg.connect(url), psycopg.connect(url):
        connection.execute("CREATE ROLE plain_login LOGIN")
        try:
            plain = make_conninfo(url, user="plain_login")
            async with postgres.open_pool(plain, PUBLIC, name="plain", size=1) as pool:
                assert (await limits.look(pool)).others >= 3
        finally:
            connection.execute("DROP ROLE plain_login")


@pytest.mark.parametrize(
    ("room", "said"),
    [
        (Room(server=97, database=-1, login=-1, pooled=90, own=90, processes=2, others=7), ""),
        (Room(server=97, database=-1, login=-1, pooled=91, own=91, processes=2, others=7), "2 pools may open 91"),
        (Room(server=97, database=50, login=-1, pooled=45, own=45, processes=2, others=7), "the server has 50"),
        (Room(server=97, database=-1, login=20, pooled=45, own=30, processes=2, others=1), "it may have 20"),
    ],
)
def test_limits_of_the_database_and_of_the_login_count_too(room: Room, said: str) -> None:
    assert said in room.complaint()
    assert bool(said) == bool(room.complaint())


async def test_a_pool_shows_its_size_what_is_lent_and_who_waits(make_database: Callable[[], str]) -> None:
    def shown(name: str) -> float | None:
        return REGISTRY.get_sample_value(f"context_db_pool_{name}", {"pool": "shown"})

    async with postgres.open_pool(make_database(), PUBLIC, name="shown", size=2) as pool:
        await pool.wait()
        assert (shown("limit"), shown("connections"), shown("in_use")) == (2, 2, 0)
        async with pool.connection(), pool.connection():
            waiting = asyncio.create_task(postgres.ping(pool))
            while shown("waiting") != 1:
                await asyncio.sleep(0.005)
            assert shown("in_use") == 2
        await waiting
    assert shown("limit") is None
