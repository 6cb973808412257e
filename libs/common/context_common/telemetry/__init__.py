"""What a process tells of itself: logs, metrics, traces and error reports."""

from context_common.telemetry.settings import Telemetry, Traces

__all__ = ["Telemetry", "Traces"]
