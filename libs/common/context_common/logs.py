"""JSON log lines on standard output, one event a line, with the request id in every one."""

import logging
import sys

import structlog

from context_common import scrub

LEVELS = ("debug", "info", "warning", "error")


def configure(service: str, level: str = "info") -> None:
    """Send structlog and the standard library's logging to stdout as JSON, from `level` up.

    Event names are constants (`item_created`) and what varies is a field; context bound with
    `structlog.contextvars` (request id, namespace, principal) is on every line. Secrets are taken out of all of it.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.EventRenamer("message"),
        lambda _logger, _method, event: {"service": service, **event},
        structlog.processors.format_exc_info,
        scrub.processor,
    ]
    renderer = structlog.processors.JSONRenderer(sort_keys=False)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.WriteLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    scrub.log_crashes()
    root.setLevel(max(logging.getLevelName(level.upper()), logging.WARNING))
