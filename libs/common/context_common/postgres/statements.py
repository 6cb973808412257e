"""What every statement costs, by the name of the store or operation that sends it, never by its text."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from time import perf_counter
from typing import Any, LiteralString, Self

import psycopg
from prometheus_client import Counter, Histogram
from psycopg import sql
from psycopg.abc import Params
from psycopg.rows import DictRow

from context_common import tracing
from context_common.errors import Unavailable
from context_common.postgres.pool import Connection

SECONDS = Histogram(
    "context_db_query_seconds",
    "Time of one statement, or of several that travel together",
    ["source"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
QUERIES = Counter("context_db_queries_total", "Statements, by what became of them", ["source", "result"])
# What becomes of a statement, by the error it ends with; of several that fit the first.
RESULTS: tuple[tuple[type[BaseException], str], ...] = (
    (psycopg.errors.QueryCanceled, "timeout"),
    (psycopg.errors.IntegrityError, "conflict"),
    (psycopg.OperationalError, "unavailable"),
    (Unavailable, "unavailable"),
    (psycopg.Error, "error"),
)
FAILED = (psycopg.Error, Unavailable)
OTHER = "other"  # the source of what has no name
SPAN = {"db.system.name": "postgresql"}


class Measured:
    """Times one statement of `source`, for the length of a `with` block, and makes it a span of the trace."""

    __slots__ = ("_source", "_span", "_start")

    def __init__(self, source: str) -> None:
        self._source = source

    def __enter__(self) -> Self:
        self._span = tracing.ask(f"db {self._source}", SPAN)
        self._start = perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        seconds, succeeded = _series(self._source)
        seconds.observe(perf_counter() - self._start)
        if kind is None or not issubclass(kind, FAILED):  # else its caller left, or it is our code's
            succeeded.inc()
        else:
            result = next(name for error, name in RESULTS if issubclass(kind, error))
            QUERIES.labels(self._source, result).inc()
            self._span.fail(result)
        self._span.__exit__(kind, None, None)


@cache
def _series(source: str) -> tuple[Histogram, Counter]:
    return SECONDS.labels(source), QUERIES.labels(source, "ok")


PLACE = re.compile(r"%\(([\w.]+)\)s")


@dataclass(frozen=True, slots=True)
class Numbered:
    """A statement with its parameters by number, as the server takes it: nothing in it is looked for at each use.

    Args:
        text: With `$1`, `$2` and so on.
        names: Of the parameters, in that order.
    """

    text: bytes
    names: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Self:
        """The statement `text`, in which parameters stand as `%(name)s`."""
        names = tuple(dict.fromkeys(PLACE.findall(text)))
        numbers = {name: f"${number}" for number, name in enumerate(names, 1)}
        return cls(PLACE.sub(lambda place: numbers[place[1]], text).encode(), names)

    def values(self, params: Mapping[str, Any]) -> list[Any]:
        """Those of `params` that it takes, in its order."""
        return [params[name] for name in self.names]


class Statements:
    """A connection as one store has it: what it sends is counted under `source`."""

    def __init__(self, connection: Connection, source: str) -> None:
        self._connection, self._source = connection, source

    async def execute(
        self, query: LiteralString | bytes | sql.SQL | sql.Composed, params: Params | None = None
    ) -> psycopg.AsyncCursor[DictRow]:
        """As the connection does."""
        with Measured(self._source):
            return await self._connection.execute(query, params)

    async def execute_each(self, query: LiteralString | bytes, several: Sequence[Params]) -> None:
        """The same statement with each of `several`, which travel together."""
        if len(several) == 1:  # a pipeline costs one statement more than it saves
            await self.execute(query, several[0])
            return
        with Measured(self._source):
            await self._connection.cursor().executemany(query, several)
