"""JSON log lines on standard output, one event a line, with the request id and the trace id in every one."""

import logging
import sys
from collections.abc import MutableMapping, Sequence
from typing import Any, TextIO, TypeAlias

import structlog

from context_common import scrub, tracing

LEVELS = ("debug", "info", "warning", "error")
FIRST = ("time", "level", "service", "message")  # in this order, for those who read them without tools

Event: TypeAlias = MutableMapping[str, Any]
Processor: TypeAlias = structlog.typing.Processor


def configure(
    service: str, level: str = "info", *, output: TextIO | None = None, processors: Sequence[Processor] = ()
) -> None:
    """Send structlog and the standard library's logging to `output` (stdout) as JSON, from `level` up.

    Event names are constants (`item_created`) and what varies is a field; context bound with
    `structlog.contextvars` (request id, principal, namespace, query type) is on every line, and so is the id of the
    trace under way. Secrets are taken out of all of it. `processors` see events before their exceptions are text.
    """
    stream = output or sys.stdout

    def ordered(_logger: Any, _method: str, event: Event) -> Event:
        event["service"] = service
        if trace := tracing.trace_id():
            event["trace_id"] = trace
        return {**dict.fromkeys(FIRST), **event}

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.EventRenamer("message"),
        ordered,
        *processors,
        structlog.processors.format_exc_info,
        scrub.processor,
    ]
    renderer = structlog.processors.JSONRenderer(sort_keys=False)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared[:2], structlog.stdlib.add_logger_name, *shared[2:]],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    logging.captureWarnings(True)
    scrub.log_crashes()
    root.setLevel(max(logging.getLevelName(level.upper()), logging.WARNING))
