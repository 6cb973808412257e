"""What a process tells of itself: logs, metrics, traces and error reports, set up once and the same in all four."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TextIO

from context_common import logs, metrics, tracing
from context_common.telemetry import vitals
from context_common.telemetry.settings import Telemetry, Traces

__all__ = ["Telemetry", "Traces", "telemetry"]


@asynccontextmanager
async def telemetry(settings: Telemetry, *, serving: bool = True, output: TextIO | None = None) -> AsyncIterator[None]:
    """Tell of this process for the length of the block; what is left to send is sent at its end.

    Args:
        settings: What to tell, and to whom.
        serving: Whether it stays and so shows metrics; a step that ends does not.
        output: Where log lines go; standard output.
    """
    processors: list[logs.Processor] = []
    if settings.sentry_dsn:
        from context_common.telemetry import reports  # its library takes time to import, and finds much to hook into

        processors.append(reports.start(settings))
    logs.configure(settings.service, settings.log_level, output=output or sys.stdout, processors=processors)
    vitals.show(settings)
    if serving:
        metrics.serve(settings.metrics_listen)
    if settings.traces is None:
        yield
        return
    from context_common.telemetry.otel import Pipeline  # a quarter of a second, for those who want it

    pipeline = Pipeline(settings.traces, settings.resource())
    tracing.use(pipeline.tracer())
    try:
        yield
    finally:
        tracing.use(None)
        await asyncio.to_thread(pipeline.close)
