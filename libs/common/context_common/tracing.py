"""Spans of the work under way, where traces are wanted; where they are not, nothing is done and nothing imported.

A trace begins at the gateway, at an indexer's batch, or with a caller's `traceparent`. Whatever happens outside one
(health checks, the long poll of the feed, chores) leaves no spans. Attributes are names of ours and numbers: never a
question, SQL, a parameter or a credential.
"""

from collections.abc import Mapping
from typing import Protocol, Self, TypeAlias

Value: TypeAlias = str | int | float | bool
Attributes: TypeAlias = Mapping[str, Value]
Carrier: TypeAlias = Mapping[str, str]


class Span:
    """One piece of work, for the length of a `with` block. This one is kept by nobody."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """End it; as failed, where the block raised and nothing else was said."""

    def set(self, name: str, value: Value) -> None:
        """Add an attribute."""

    def rename(self, name: str) -> None:
        """Give it its final name."""

    def fail(self, reason: str) -> None:
        """Mark it as failed; `reason` is one of few words."""

    def headers(self) -> tuple[tuple[str, str], ...]:
        """What tells whoever is asked within it that they work for it (W3C Trace Context)."""
        return ()


class Tracer(Protocol):
    """What makes spans that are kept."""

    def serve(self, name: str, carrier: Carrier, attributes: Attributes) -> Span:
        """See the function of this name."""

    def ask(self, name: str, attributes: Attributes) -> Span:
        """See the function of this name."""

    def step(self, name: str, parents: "tuple[Place, ...]", attributes: Attributes) -> Span:
        """See the function of this name."""

    def place(self) -> "Place":
        """See the function of this name."""

    def trace_id(self) -> str:
        """See the function of this name."""


Place: TypeAlias = object  # in a trace, as a tracer knows it; None where there is none
NOTHING = Span()
_tracer: Tracer | None = None


def use(tracer: Tracer | None) -> None:
    """Have spans made by `tracer` from now on; by nobody where it is None."""
    global _tracer  # one per process, as the log and the metrics are
    _tracer = tracer


def begin(name: str, carrier: Carrier, attributes: Attributes) -> Span:
    """Work for somebody outside: goes on with the trace that `carrier`, lower-case headers, names, or begins one.

    Without a carrier it is work of our own.
    """
    return NOTHING if _tracer is None else _tracer.serve(name, carrier, attributes)


def resume(name: str, carrier: Carrier, attributes: Attributes) -> Span:
    """Work for another service; none of our business where `carrier` names no trace."""
    return NOTHING if _tracer is None or "traceparent" not in carrier else _tracer.serve(name, carrier, attributes)


def ask(name: str, attributes: Attributes) -> Span:
    """A question to somebody else, within the work under way. What happens meanwhile is not within it."""
    return NOTHING if _tracer is None else _tracer.ask(name, attributes)


def rpc(path: str) -> Attributes:
    """What every span about a call to `/package.Service/Method` says."""
    service, _, method = path[1:].partition("/")
    return {"rpc.system.name": "grpc", "rpc.service": service, "rpc.method": method}


def place() -> Place:
    """Where we are, for a step that is taken elsewhere."""
    return None if _tracer is None else _tracer.place()


def step(name: str, parents: tuple[Place, ...], attributes: Attributes) -> Span:
    """A step taken for several at once: within the first of `parents`, and known to be for the others."""
    return NOTHING if _tracer is None else _tracer.step(name, parents, attributes)


def trace_id() -> str:
    """The id of the trace under way; empty where there is none."""
    return "" if _tracer is None else _tracer.trace_id()
