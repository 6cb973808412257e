"""Several statements in one round trip: their rows, what goes wrong, and that a connection is fit for use again."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import date

import psycopg
import pytest
import pytest_asyncio

from context_common import postgres
from context_common.postgres import Numbered, Options, roundtrip
from context_common.postgres.pool import Connection
from context_common.postgres.roundtrip import ask

pytestmark = pytest.mark.asyncio(loop_scope="module")
PUBLIC = Options("public")
ONE = Numbered.of("SELECT %(number)s::int AS number, %(words)s::text[] AS words")
SLEEP = Numbered.of("SELECT pg_sleep(%(seconds)s)::text AS slept")


@pytest_asyncio.fixture(loop_scope="module")
async def connection(make_database: Callable[[], str]) -> AsyncIterator[Connection]:
    async with (
        postgres.open_pool(make_database(), PUBLIC, name="roundtrip", size=1) as pool,
        pool.connection() as one,
    ):
        yield one


async def test_each_statement_gives_its_rows_in_their_types(connection: Connection) -> None:
    others = Numbered.of(
        "SELECT %(day)s::date AS day, %(day)s::date + 1 AS next, jsonb_build_array(%(word)s::text) AS held"
    )
    for _ in range(3):  # the first prepares what the others use
        numbers, held, nothing = await ask(
            connection,
            (ONE, [7, ["a", "é"]]),
            (others, [date(2026, 2, 28), "it's"]),
            (Numbered.of("SELECT 1 AS one WHERE false"), []),
        )
        assert numbers == [{"number": 7, "words": ["a", "é"]}]
        assert held == [{"day": date(2026, 2, 28), "next": date(2026, 3, 1), "held": ["it's"]}]
        assert nothing == []
    prepared = await (await connection.execute("SELECT count(*) AS many FROM pg_prepared_statements")).fetchone()
    assert prepared
    assert prepared["many"] <= 4  # three, and this one


async def test_all_of_them_are_one_transaction(connection: Connection) -> None:
    see = Numbered.of("SELECT set_config('context.namespaces', %(seen)s, true)")
    shown = Numbered.of("SELECT current_setting('context.namespaces', true) AS seen")
    assert (await ask(connection, (see, ["mine"]), (shown, [])))[1] == [{"seen": "mine"}]
    assert not (await ask(connection, (shown, [])))[0][0]["seen"]


async def test_the_first_error_is_told_and_the_connection_goes_on(connection: Connection) -> None:
    divide = Numbered.of("SELECT 1 / %(number)s::int AS quotient")
    for _ in range(2):
        with pytest.raises(psycopg.errors.DivisionByZero):
            await ask(connection, (divide, [0]), (ONE, [1, ["a"]]))
        with pytest.raises(psycopg.errors.UndefinedTable):
            await ask(connection, (Numbered.of("SELECT * FROM nowhere"), []))
    prepared = "SELECT count(*) AS many FROM pg_prepared_statements WHERE statement LIKE 'SELECT 1 / %'"
    assert (await (await connection.execute(prepared)).fetchone() or {})["many"] == 1
    assert (await ask(connection, (divide, [1]), (ONE, [1, ["a"]])))[0] == [{"quotient": 1}]


async def test_what_the_server_forgot_is_prepared_again(connection: Connection) -> None:
    await ask(connection, (ONE, [1, ["a"]]))
    await connection.execute("DEALLOCATE ALL")
    assert (await ask(connection, (ONE, [2, ["a"]])))[0][0]["number"] == 2


async def test_a_transaction_that_was_rolled_back_costs_no_answer(connection: Connection) -> None:
    """The driver has every statement of a connection forgotten then, those it knows nothing of as well."""
    await ask(connection, (ONE, [1, ["a"]]))
    with pytest.raises(psycopg.errors.DivisionByZero):
        async with connection.transaction():
            await connection.execute("SELECT 1 / 0")
    await connection.execute("SELECT 1")
    assert (await ask(connection, (ONE, [2, ["a"]])))[0][0]["number"] == 2


async def test_inside_a_transaction_that_cannot_go_on_the_error_is_told(connection: Connection) -> None:
    await ask(connection, (ONE, [1, ["a"]]))
    await connection.execute("BEGIN; DEALLOCATE ALL")
    with pytest.raises(psycopg.errors.InvalidSqlStatementName):
        await ask(connection, (ONE, [2, ["a"]]))
    await connection.rollback()
    assert (await ask(connection, (ONE, [3, ["a"]])))[0][0]["number"] == 3


async def test_no_more_is_kept_prepared_than_there_is_room_for(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roundtrip, "KEPT", 3)
    for number in (*range(9), *range(9)):
        statement = Numbered.of(f"SELECT {number} AS number")
        assert (await ask(connection, (statement, [])))[0] == [{"number": number}]
    kept = "SELECT count(*) AS many FROM pg_prepared_statements WHERE name LIKE 'question_%'"
    assert (await (await connection.execute(kept)).fetchone() or {})["many"] == 3


async def test_whoever_leaves_takes_the_statement_along(connection: Connection) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await ask(connection, (SLEEP, [30.0]))
    async with asyncio.timeout(5):
        assert (await ask(connection, (ONE, [3, ["a"]])))[0][0]["number"] == 3


async def test_what_whoever_left_had_prepared_is_known(connection: Connection) -> None:
    slow = Numbered.of("SELECT pg_sleep(%(seconds)s)::text AS slept, 'left'::text AS word")
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await ask(connection, (slow, [60.0]))
    prepared = "SELECT count(*) AS many FROM pg_prepared_statements WHERE statement LIKE '%%left%%word%%'"
    assert (await (await connection.execute(prepared, prepare=False)).fetchone() or {})["many"] == 1


async def test_a_lost_connection_is_told_and_closed(connection: Connection) -> None:
    asked = asyncio.create_task(ask(connection, (SLEEP, [30.0])))
    await asyncio.sleep(0.1)
    with psycopg.connect(connection.info.dsn, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [connection.info.backend_pid])
    with pytest.raises(psycopg.OperationalError):
        await asked
    assert connection.closed
