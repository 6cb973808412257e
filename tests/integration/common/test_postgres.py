"""Migrations run once whoever runs them, notifications wake waiters, and driver errors become ours."""

import asyncio
import re
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from context_common import postgres
from context_common.errors import Conflict, Unavailable
from context_common.settings import SettingsError

ROOT = Path(__file__).parents[3]
PUBLIC = postgres.Options("public")


def write(directory: Path, name: str, content: str) -> None:
    (directory / name).write_text(content)


async def test_parallel_migrators_run_each_file_once(make_database: Callable[[], str], tmp_path: Path) -> None:
    url = make_database()
    write(tmp_path, "0001_first.sql", "CREATE TABLE things (id int PRIMARY KEY);")
    write(tmp_path, "0002_second.sql", "INSERT INTO things VALUES (1);")
    ran = await asyncio.gather(*(postgres.migrate(url, schema="demo", directory=tmp_path) for _ in range(4)))
    assert sorted(ran, key=len) == [[], [], [], ["0001_first.sql", "0002_second.sql"]]
    write(tmp_path, "0003_third.sql", "INSERT INTO things VALUES (2);")
    assert await postgres.migrate(url, schema="demo", directory=tmp_path) == ["0003_third.sql"]


async def test_a_migration_that_changed_after_it_ran_is_refused(
    make_database: Callable[[], str], tmp_path: Path
) -> None:
    url = make_database()
    write(tmp_path, "0001_first.sql", "SELECT 1;")
    await postgres.migrate(url, schema="demo", directory=tmp_path)
    write(tmp_path, "0001_first.sql", "SELECT 2;")
    with pytest.raises(SettingsError, match=r"0001_first\.sql is not the one that ran") as refused:
        await postgres.migrate(url, schema="demo", directory=tmp_path)
    document, heading = re.findall(r"(docs/\S+\.md), `(.+)`", str(refused.value))[0]
    assert f"### {heading}\n" in (ROOT / document).read_text()


async def test_a_schema_that_holds_no_truth_is_made_anew_as_its_owner(database_url: str) -> None:
    """The way out that the operators' document names where retrieval's history is another one."""
    directory = ROOT / "services/retrieval/context_retrieval/migrations"
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as owner:
        await owner.execute("DROP SCHEMA retrieval CASCADE")
    files = [path.name for path in sorted(directory.glob("*.sql"))]
    assert await postgres.migrate(database_url, schema="retrieval", directory=directory) == files


async def test_a_failed_migration_leaves_nothing(make_database: Callable[[], str], tmp_path: Path) -> None:
    url = make_database()
    write(tmp_path, "0001_first.sql", "CREATE TABLE things (id int); SELECT nonsense;")
    with pytest.raises(psycopg.Error, match="nonsense"):
        await postgres.migrate(url, schema="demo", directory=tmp_path)
    write(tmp_path, "0001_first.sql", "CREATE TABLE things (id int);")
    assert await postgres.migrate(url, schema="demo", directory=tmp_path) == ["0001_first.sql"]


async def test_a_migration_gives_up_a_database_that_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["context_common.postgres.migrate"], "PATIENCE", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://u@127.0.0.1:{silent.getsockname()[1]}/x"
        async with asyncio.timeout(30):
            with pytest.raises(Unavailable, match="the database is away: connection timeout expired"):
                await postgres.migrate(url, schema="demo", directory=tmp_path)


async def test_a_notification_between_ticket_and_wait_is_not_missed(make_database: Callable[[], str]) -> None:
    url = make_database()
    async with postgres.Notifications(url, "news") as news:
        first = news.ticket()
        assert await news.wait(first, 5), "connecting wakes everybody once"
        ticket = news.ticket()
        connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
        async with connection:
            await connection.execute("NOTIFY news")
        assert await news.wait(ticket, 5)
        assert not await news.wait(news.ticket(), 0.05)


async def test_an_exhausted_pool_is_unavailable(make_database: Callable[[], str]) -> None:
    async with postgres.open_pool(make_database(), PUBLIC, name="test", size=1) as pool, pool.connection():
        with pytest.raises(Unavailable, match="no database connection became free"):
            async with postgres.translate_errors(), pool.connection(timeout=0.05):
                pass


async def test_an_absent_server_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        async with postgres.translate_errors():
            await psycopg.AsyncConnection.connect("postgresql://127.0.0.1:1/none")


async def test_a_known_constraint_is_the_error_it_stands_for(make_database: Callable[[], str]) -> None:
    known = Conflict("id is taken")
    async with postgres.open_pool(make_database(), PUBLIC, name="test", size=2) as pool:

        async def break_it() -> None:
            async with postgres.translate_errors({"things_pkey": known}), pool.connection() as connection:
                await connection.execute("CREATE TABLE things (id int PRIMARY KEY)")
                await connection.execute("INSERT INTO things VALUES (1), (1)")

        with pytest.raises(Conflict, match="id is taken"):
            await break_it()


async def test_a_connection_whose_pipeline_broke_off_is_not_used_again(make_database: Callable[[], str]) -> None:
    async with postgres.open_pool(make_database(), PUBLIC, name="test", size=1) as pool:
        async with pool.connection() as connection:
            connection.pgconn.enter_pipeline_mode()
        async with postgres.transaction(pool, postgres.Reach(("web",))) as other:
            assert await (await other.execute("SELECT 1 AS one")).fetchone() == {"one": 1}


async def test_an_index_is_built_beside_writes_by_a_file_without_a_transaction(
    make_database: Callable[[], str], tmp_path: Path
) -> None:
    url = make_database()
    write(tmp_path, "0001_first.sql", "CREATE TABLE things (id int);")
    await postgres.migrate(url, schema="demo", directory=tmp_path)
    alone = "-- no transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS things_id ON demo.things (id);"
    write(tmp_path, "0002_index.sql", alone)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as other:
        # As a build leaves it that was killed half-way: there by its name, and of no use.
        await other.execute("CREATE INDEX things_id ON demo.things (id)")
        await other.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'demo.things_id'::regclass")
        assert await postgres.migrate(url, schema="demo", directory=tmp_path) == ["0002_index.sql"]
        found = await other.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = 'demo.things_id'::regclass")
        assert await found.fetchone() == (True,)
    assert await postgres.migrate(url, schema="demo", directory=tmp_path) == []


async def test_a_migration_lets_others_pass_while_it_waits_for_a_lock(
    make_database: Callable[[], str], tmp_path: Path
) -> None:
    url = make_database()
    write(tmp_path, "0001_first.sql", "CREATE TABLE things (id int);")
    await postgres.migrate(url, schema="demo", directory=tmp_path)
    write(tmp_path, "0002_more.sql", "ALTER TABLE things ADD COLUMN more int;")
    async with (
        await psycopg.AsyncConnection.connect(url) as long,
        await psycopg.AsyncConnection.connect(url, autocommit=True) as reader,
    ):
        await long.execute("SELECT * FROM demo.things")  # a transaction that stays open
        migrating = asyncio.create_task(postgres.migrate(url, schema="demo", directory=tmp_path))
        waited = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'demo.things'::regclass"
        while await (await reader.execute(waited)).fetchone() == (0,):
            await asyncio.sleep(0.02)
        await reader.execute("SET statement_timeout = '20s'")
        await reader.execute("SELECT * FROM demo.things")
        assert not migrating.done()
        await long.rollback()
        assert await migrating == ["0002_more.sql"]
