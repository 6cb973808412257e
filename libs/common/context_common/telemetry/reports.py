"""Reports unexpected errors to Sentry where a DSN is given; without one nothing is imported and nobody called.

Every error of ours ends in the log, with its exception, so the log is the one place to take them from.
"""

import socket
import sys
from collections.abc import Callable, MutableMapping
from typing import TYPE_CHECKING, Any, TypeAlias

from context_common import scrub
from context_common.telemetry.settings import Telemetry

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint

LEVELS = ("error", "critical")
LONGEST = 300  # characters of what an exception says
TAGS = ("request_id", "trace_id", "namespace", "query_type", "method", "route")
FLUSH = 2.0  # seconds at the end

LogEvent: TypeAlias = MutableMapping[str, Any]


def start(settings: Telemetry) -> Callable[[Any, str, LogEvent], LogEvent]:
    """Begin to report; answers the structlog processor that does it."""
    import sentry_sdk
    from sentry_sdk.integrations.atexit import AtexitIntegration
    from sentry_sdk.integrations.dedupe import DedupeIntegration

    release = f"context@{settings.version}{f'+{settings.revision}' if settings.revision else ''}"
    sentry_sdk.init(
        dsn=settings.sentry_dsn,
        environment=settings.environment,
        release=release,
        server_name=socket.gethostname(),
        # It would hook into whatever it finds installed, and take bodies, headers and queries from it.
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[AtexitIntegration(callback=lambda _pending, _timeout: None), DedupeIntegration()],
        send_default_pii=False,
        include_local_variables=False,
        include_source_context=True,
        max_request_body_size="never",
        max_breadcrumbs=0,
        auto_session_tracking=False,
        traces_sample_rate=0.0,
        send_client_reports=False,
        shutdown_timeout=FLUSH,
        before_send=clean,
    )
    scope = sentry_sdk.get_global_scope()
    scope.set_tag("env", settings.environment)
    scope.set_tag("service", settings.service)

    def processor(_logger: Any, level: str, event: LogEvent) -> LogEvent:
        error = _exception(event.get("exc_info"))
        if event.get("level", level) in LEVELS and error is not None:
            with sentry_sdk.new_scope() as scope:
                _describe(scope, event)
                sentry_sdk.capture_exception(error)
        return event

    return processor


def clean(event: "Event", _hint: "Hint") -> "Event":
    """`event` as it may leave: no secrets, and of an exception's words only the first line, which quotes least."""
    event.pop("request", None)
    event.pop("modules", None)
    for exception in event.get("exception", {}).get("values", ()):
        exception["value"] = str(exception.get("value") or "").partition("\n")[0][:LONGEST]
    for name in ("exception", "logentry", "message", "tags", "user", "contexts", "extra"):
        if name in event:
            event[name] = scrub.scrubbed(event[name])
    return event


def _describe(scope: Any, event: LogEvent) -> None:
    """Say in which request it happened, and for whom."""
    for name in TAGS:
        if event.get(name):
            scope.set_tag(name, str(event[name]))
    if event.get("user_id"):
        scope.set_user({"id": str(event["user_id"])})
    scope.set_tag("event", str(event.get("message") or event.get("event") or ""))


def _exception(given: Any) -> BaseException | None:
    """What an event's `exc_info` stands for, as structlog and logging have it."""
    if given is True:
        return sys.exc_info()[1]
    found = given[1] if isinstance(given, tuple) else given
    return found if isinstance(found, BaseException) else None
