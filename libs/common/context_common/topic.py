"""What a request is about (`adr`, `search`, `context` …): on the log lines of every service that works for it."""

import re
from collections.abc import Mapping
from contextvars import ContextVar

import structlog

HEADER = "x-context-query-type"
TOPIC = re.compile(r"[a-z][a-z_-]{0,31}")

_current: ContextVar[str] = ContextVar("topic", default="")


def bind(topic: str) -> None:
    """This task, and those it starts, are about `topic`."""
    _current.set(topic)
    structlog.contextvars.bind_contextvars(query_type=topic)


def metadata() -> tuple[tuple[str, str], ...]:
    """What tells the next service."""
    topic = _current.get()
    return ((HEADER, topic),) if topic else ()


def take(metadata: Mapping[str, str]) -> None:
    """Bind what the service before us said; no more than a word for the log, so it needs no proof."""
    topic = metadata.get(HEADER, "")
    if TOPIC.fullmatch(topic):
        bind(topic)
