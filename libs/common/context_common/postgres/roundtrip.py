"""Several statements in one round trip, with as little around libpq as there can be.

A cursor and a pipeline of psycopg's cost a short query more of our time than of the server's. What is asked for every
question goes this way: prepared once for each connection, sent at once, read as it comes without waking anybody before
all of it is there. Types are psycopg's own.
"""

import asyncio
import itertools
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import psycopg
import psycopg.adapt
from psycopg.abc import Transformer
from psycopg.adapt import PyFormat
from psycopg.pq import ExecStatus, Format, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult
from psycopg.rows import DictRow

from context_common.postgres.pool import Connection
from context_common.postgres.statements import Numbered

CANCEL = 5.0  # seconds for the server to end what nobody waits for any more; then the connection is given up
KEPT = 50  # statements that a connection keeps prepared: a plan of the longest takes a megabyte of the server's memory
FORGOTTEN = (psycopg.errors.InvalidSqlStatementName, psycopg.errors.FeatureNotSupported)  # by the server, or outdated
FAILED = (ExecStatus.FATAL_ERROR, ExecStatus.BAD_RESPONSE, ExecStatus.PIPELINE_ABORTED)

Prepared: TypeAlias = tuple[bytes, tuple[int, ...]]  # the text of a statement, and the types of its parameters

_numbers = itertools.count(1)
# The names under which each connection has prepared what.
_prepared: "WeakKeyDictionary[Connection, dict[Prepared, bytes]]" = WeakKeyDictionary()


async def ask(connection: Connection, *questions: tuple[Numbered, Sequence[Any]]) -> list[list[DictRow]]:
    """The rows of each statement with its values: all in one transaction, and in one round trip.

    Nobody else may use `connection` meanwhile. One that cannot be brought to its senses again is closed.

    Raises:
        psycopg.Error: The first that went wrong.
    """
    try:
        return await _ask(connection, questions)
    except FORGOTTEN:
        # psycopg has all statements forgotten where a transaction was rolled back, and does not know of ours.
        _prepared.pop(connection, None)
        if connection.info.transaction_status != TransactionStatus.IDLE:
            raise
        return await _ask(connection, questions)


async def _ask(connection: Connection, questions: Sequence[tuple[Numbered, Sequence[Any]]]) -> list[list[DictRow]]:
    prepared = _prepared.setdefault(connection, {})
    sent: list[tuple[Prepared, bytes] | None] = []  # in the order of the results: what each prepares
    asked: list[Transformer] = []
    server = connection.pgconn
    server.enter_pipeline_mode()
    reply = _Reply(server)
    try:
        for statement, values in questions:
            transformer: Transformer = psycopg.adapt.Transformer(connection)
            dumped = transformer.dump_sequence(values, [PyFormat.AUTO] * len(values))
            key = (statement.text, transformer.types or ())
            name = prepared.get(key)
            if name:
                prepared[key] = prepared.pop(key)  # the one that was not asked for longest goes first
            else:
                if len(prepared) >= KEPT:
                    server.send_query_params(b"DEALLOCATE " + prepared.pop(next(iter(prepared))), None)
                    sent.append(None)
                name = b"question_%d" % next(_numbers)
                server.send_prepare(name, *key)
                sent.append((key, name))
            server.send_query_prepared(name, dumped, transformer.formats, Format.BINARY)
            sent.append(None)
            asked.append(transformer)
        server.pipeline_sync()
        results = await reply.read()
    except asyncio.CancelledError:
        _remember(prepared, sent, await _give_up(connection, reply))
        raise
    except BaseException:
        await connection.close()
        raise
    server.exit_pipeline_mode()
    _remember(prepared, sent, results)
    for result in results:
        if result.status in FAILED:
            raise psycopg.errors.error_from_result(result)
    answers = [result for result in results if result.status == ExecStatus.TUPLES_OK]
    return [_rows(transformer, result) for transformer, result in zip(asked, answers, strict=True)]


def _remember(
    prepared: dict[Prepared, bytes], sent: Sequence[tuple[Prepared, bytes] | None], results: Sequence[PGresult]
) -> None:
    """What was prepared before something failed, or was given up, stays prepared."""
    prepared.update(made for made, result in zip(sent, results, strict=False) if made and result.status not in FAILED)


class _Reply:
    """What comes back over a connection in pipeline mode, up to its end."""

    def __init__(self, server: PGconn) -> None:
        self._server, self._socket = server, server.socket
        self._results: list[PGresult] = []
        self._loop = asyncio.get_running_loop()
        self._complete: asyncio.Future[list[PGresult]] = self._loop.create_future()

    async def read(self) -> list[PGresult]:
        """Send what there is to send, and give all results."""
        while self._server.flush():
            await self._writable()
        self._loop.add_reader(self._socket, self._take)
        return await self.rest()

    async def rest(self) -> list[PGresult]:
        """Give all results, even where an earlier wait for them was broken off."""
        return await asyncio.shield(self._complete)

    def stop(self) -> None:
        """Read no more."""
        self._loop.remove_reader(self._socket)

    def _take(self) -> None:
        """Take what has come; with the last of it, wake whoever waits."""
        server = self._server
        try:
            server.consume_input()
            while not server.is_busy():
                result = server.get_result()
                if result is None:
                    continue
                if result.status == ExecStatus.PIPELINE_SYNC:
                    self.stop()
                    self._complete.set_result(self._results)
                    return
                self._results.append(result)
        except psycopg.Error as error:
            self.stop()
            self._complete.set_exception(error)

    async def _writable(self) -> None:
        writable = self._loop.create_future()
        self._loop.add_writer(self._socket, writable.set_result, None)
        try:
            await writable
        finally:
            self._loop.remove_writer(self._socket)


async def _give_up(connection: Connection, reply: _Reply) -> list[PGresult]:
    """Have the server end what was asked, and give what came of it; whoever asked has left."""
    try:
        async with asyncio.timeout(CANCEL):
            await connection.cancel_safe(timeout=CANCEL)
            results = await reply.rest()
        connection.pgconn.exit_pipeline_mode()
    except (psycopg.Error, TimeoutError, asyncio.CancelledError):
        reply.stop()
        with suppress(psycopg.Error):
            await connection.close()
        return []
    return results


def _rows(transformer: Transformer, result: PGresult) -> list[DictRow]:
    transformer.set_pgresult(result, format=Format.BINARY)
    names = [(result.fname(column) or b"").decode() for column in range(result.nfields)]
    return transformer.load_rows(0, result.ntuples, lambda values: dict(zip(names, values, strict=True)))
