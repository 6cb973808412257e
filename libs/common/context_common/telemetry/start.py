"""Begins what a process tells of itself, the same in all four, and ends it."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TextIO

from context_common import logs, metrics, tracing
from context_common.process import Process
from context_common.telemetry import vitals


@asynccontextmanager
async def telemetry(process: Process, *, serving: bool = True, output: TextIO | None = None) -> AsyncIterator[None]:
    """Tell of this process for the length of the block; what is left to send is sent at its end.

    Args:
        process: What to tell, and to whom.
        serving: Whether it stays and so shows metrics; a step that ends does not.
        output: Where log lines go; standard output.
    """
    settings, certificates = process.telemetry, process.trust.certificates
    processors: list[logs.Processor] = []
    if settings.sentry_dsn:
        from context_common.telemetry import reports  # its library takes time to import, and finds much to hook into

        processors.append(reports.start(settings))
    logs.configure(settings.service, settings.log_level, output=output or sys.stdout, processors=processors)
    vitals.show(settings)
    if serving:
        metrics.serve(settings.metrics_listen)
        if certificates:
            vitals.show_certificates(certificates.files)
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
