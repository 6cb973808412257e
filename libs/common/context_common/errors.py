"""The few kinds of error there are, and how each crosses the wire.

AppError
├── Invalid            the request is wrong; names every bad field
├── NotFound
├── Conflict           something already stands there
│   └── Stale          it has changed since the caller read it
├── Unauthenticated
├── Denied
├── Overloaded         full just now; try again after `retry_after`
├── Unavailable        something needed is away; try again after `retry_after`
└── TooLate            the deadline passed

Kind ↔ gRPC status is the table below; kind → HTTP status is the gateway's.
Anything else is INTERNAL, its detail only logged.
"""

from collections.abc import Mapping, Sequence

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

DOMAIN = "context.v1"


class AppError(Exception):
    """Something went wrong that the caller can act on."""

    retry_after: float | None = None  # seconds, where trying again makes sense

    def __init__(self, message: str | None = None) -> None:
        self.message = message or (type(self).__doc__ or "").strip()
        super().__init__(self.message)


class Invalid(AppError):
    """Validation failed."""

    def __init__(self, fields: Mapping[str, Sequence[str]] | None = None, message: str | None = None) -> None:
        super().__init__(message)
        self.fields = {name: list(reasons) for name, reasons in (fields or {}).items()}

    def __str__(self) -> str:
        bad = "; ".join(f"{name} {', '.join(reasons)}" for name, reasons in self.fields.items())
        return f"{self.message} {bad}".strip()


class NotFound(AppError):
    """Nothing is stored under that id."""


class Conflict(AppError):
    """Something already stands there."""


class Stale(Conflict):
    """It has changed since it was read."""


class Unauthenticated(AppError):
    """Who is asking is not known."""


class Denied(AppError):
    """The caller may not do this."""


class Overloaded(AppError):
    """Too much to do just now."""

    def __init__(self, message: str | None = None, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(AppError):
    """A part that is needed is away."""

    def __init__(self, message: str | None = None, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TooLate(AppError):
    """There was not enough time to answer."""


# Kind, gRPC code, and the reason that tells two kinds of one code apart on the wire.
TABLE: tuple[tuple[type[AppError], grpc.StatusCode, str], ...] = (
    (Invalid, grpc.StatusCode.INVALID_ARGUMENT, "VALIDATION_FAILED"),
    (NotFound, grpc.StatusCode.NOT_FOUND, "NOT_FOUND"),
    (Stale, grpc.StatusCode.ABORTED, "VERSION_MISMATCH"),
    (Conflict, grpc.StatusCode.ALREADY_EXISTS, "CONFLICT"),
    (Unauthenticated, grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED"),
    (Denied, grpc.StatusCode.PERMISSION_DENIED, "DENIED"),
    (Overloaded, grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED"),
    (Unavailable, grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE"),
    (TooLate, grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"),
)
INTERNAL = "INTERNAL"
# From our servers these bring a status of ours. Bare they are gRPC's own: something broke in the middle of a call.
# Or the call is not known there yet, while one replica after the other is replaced: soon one is there that knows it.
BROKEN = frozenset(
    {grpc.StatusCode.INTERNAL, grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNIMPLEMENTED}
)


def reason(error: BaseException) -> str:
    """The stable upper-case name of an error's kind; INTERNAL for anything that is not ours."""
    return next((name for kind, _, name in TABLE if isinstance(error, kind)), INTERNAL)


def to_status(error: BaseException) -> Status:
    """The google.rpc.Status that stands for `error`; what is not ours says only "internal error"."""
    if not isinstance(error, AppError):
        return Status(code=Code.INTERNAL, message="internal error")
    code = next(code for kind, code, _ in TABLE if isinstance(error, kind))
    status = Status(code=code.value[0], message=error.message)
    status.details.add().Pack(ErrorInfo(reason=reason(error), domain=DOMAIN))
    if isinstance(error, Invalid):
        violations = [
            BadRequest.FieldViolation(field=name, description=text)
            for name, texts in error.fields.items()
            for text in texts
        ]
        status.details.add().Pack(BadRequest(field_violations=violations))
    if error.retry_after is not None:
        delay = Duration()
        delay.FromMilliseconds(int(error.retry_after * 1000))
        status.details.add().Pack(RetryInfo(retry_delay=delay))
    return status


def from_status(status: Status) -> Exception:
    """The error that `status` stands for, of the same kind as on the other side; RuntimeError for INTERNAL."""
    fields: dict[str, list[str]] = {}
    retry_after = 1.0
    for detail in status.details:
        if detail.Is(BadRequest.DESCRIPTOR):
            bad = BadRequest()
            detail.Unpack(bad)
            for violation in bad.field_violations:
                fields.setdefault(violation.field, []).append(violation.description)
        elif detail.Is(RetryInfo.DESCRIPTOR):
            retry = RetryInfo()
            detail.Unpack(retry)
            retry_after = retry.retry_delay.ToMilliseconds() / 1000
    kind = next((kind for kind, code, _ in TABLE if code.value[0] == status.code), None)
    if kind is None:
        return RuntimeError(f"{Code.Name(status.code)}: {status.message}")
    if issubclass(kind, Invalid):
        return kind(fields, status.message)
    if issubclass(kind, Overloaded | Unavailable):
        return kind(status.message, retry_after)
    return kind(status.message)


def from_rpc(error: grpc.aio.AioRpcError) -> Exception:
    """The error behind a failed call: ours where the server sent one, else by the bare gRPC code.

    gRPC's own words name addresses, which are nobody's business outside: they stay with the cause, for the log.
    """
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    if status is None and error.code() in BROKEN:
        return Unavailable()
    if status is None:
        status = Status(code=error.code().value[0])
    return from_status(status)
