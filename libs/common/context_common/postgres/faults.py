"""Driver errors as ours: which of them say that something is away, full or too slow."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import psycopg
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from context_common.errors import AppError, Conflict, Invalid, Unavailable

NO_WRITES = (psycopg.errors.ReadOnlySqlTransaction, psycopg.errors.DiskFull)
BUSY = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected, psycopg.errors.LockNotAvailable)


class NotAnswered(Unavailable):
    """The database did not answer this: it is away, or else this is at fault."""


@asynccontextmanager
async def translate_errors(unique: Mapping[str, AppError] | None = None) -> AsyncIterator[None]:
    """Turn driver errors into ours: a broken constraint named in `unique` into that error, a server that is away,
    too busy, or takes no writes, and a pool with nothing free, into Unavailable, of which NotAnswered is what the
    statement itself may have brought about; what is too long into Invalid;
    a bug in our SQL stays what it is.
    """
    try:
        yield
    except psycopg.errors.UniqueViolation as error:
        known = (unique or {}).get(error.diag.constraint_name or "")
        raise known or Conflict from error
    except BUSY as error:
        raise Unavailable("the database was too busy; try again", 0.1) from error
    except NO_WRITES as error:
        raise Unavailable(f"the database takes no writes: {error.diag.message_primary}", 30) from error
    except psycopg.errors.ProgramLimitExceeded as error:  # an OperationalError to the driver, though the server is well
        raise Invalid({"body": [f"is too much for the database: {error.diag.message_primary}"]}) from error
    except psycopg.errors.QueryCanceled as error:
        raise NotAnswered("the database took too long", 1) from error
    except (PoolTimeout, TooManyRequests) as error:
        raise Unavailable("no database connection became free in time", 1) from error
    except (psycopg.OperationalError, psycopg.errors.IdleInTransactionSessionTimeout, PoolClosed) as error:
        raise NotAnswered("the database is away") from error
