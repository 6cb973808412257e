"""Keeps secrets out of what a process prints: those it holds, by their value, and others' by what they look like."""

import re
import sys
import threading
from collections.abc import MutableMapping
from functools import lru_cache
from types import TracebackType
from typing import Any
from urllib.parse import unquote

from context_common.redact import redact

SHORTEST = 8  # characters; what is shorter stands in too many other words
HIDDEN = "[redacted]"
REMEMBERED = 200  # characters
# Fields that hold names of ours.
PLAIN = frozenset({"service", "level", "time", "method", "route", "namespace", "logger"})
OWN_ID = re.compile(r"[0-9a-f]{32}")
CONNECTION = re.compile(r"://|\b(?:host|hostaddr|dbname|user|password)\s*=")
PASSWORD = re.compile(r"(?:://[^:/?#\s]*:|password\s*=\s*'?)((?<=:).+(?=@)|(?<!:)[^\s'&]+)", re.DOTALL)

_hidden: dict[str, None] = {}  # longest first


def hide(secret: str) -> None:
    """Print `secret` no more; where it is a connection string, the password in it."""
    found = {secret} if not CONNECTION.search(secret) else {*PASSWORD.findall(secret)}
    found |= {unquote(part) for part in found}
    known = sorted({*_hidden, *(part for part in found if len(part) >= SHORTEST)}, key=len, reverse=True)
    _hidden.clear()
    _hidden.update(dict.fromkeys(known))
    _remembered.cache_clear()


def scrub(text: str) -> str:
    """`text` without secrets."""
    return _remembered(text) if len(text) <= REMEMBERED else _scrub(text)


def _scrub(text: str) -> str:
    for secret in _hidden:
        if secret in text:
            text = text.replace(secret, HIDDEN)
    return text if OWN_ID.fullmatch(text) else redact(text).text


@lru_cache(maxsize=4096)
def _remembered(text: str) -> str:
    """The same paths and principals come again and again."""
    return _scrub(text)


def processor(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """structlog's: scrubs whatever of an event may hold what somebody else wrote."""
    for name, value in event.items():
        if name not in PLAIN and not isinstance(value, int | float | None):
            event[name] = scrubbed(value)
    return event


def log_crashes() -> None:
    """Have uncaught exceptions logged, and so scrubbed, instead of printed as they are."""
    import structlog  # most of the time that a short command would take to load

    log = structlog.get_logger()

    def crashed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return
        log.critical("crashed", exc_info=(kind, error, trace))

    def thread_crashed(args: threading.ExceptHookArgs) -> None:
        log.critical("thread_crashed", exc_info=args.exc_value)

    def not_raisable(args: "sys.UnraisableHookArgs") -> None:
        log.error("exception_ignored", exc_info=args.exc_value, source=repr(args.object))

    sys.excepthook, threading.excepthook, sys.unraisablehook = crashed, thread_crashed, not_raisable


def scrubbed(value: Any) -> Any:
    """`value` with every text in it scrubbed; what is no number, text or collection becomes a text."""
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, dict):
        return {scrub(str(name)): scrubbed(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [scrubbed(inner) for inner in value]
    return value if isinstance(value, int | float | None) else scrub(str(value))
