"""All checks of one installation, in the order of the first day's list."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import httpx2

from context_client.doctor.certificate import certificate
from context_client.doctor.engine import Engine
from context_client.doctor.findings import Finding, State
from context_client.doctor.monitoring import Alertmanager, Prometheus
from context_client.http import open_http, trust
from context_client.settings import Settings

TIMEOUT = 10.0  # seconds of one request
Check: TypeAlias = Callable[[], Iterator[Finding]]


@dataclass(frozen=True, slots=True)
class Places:
    """Where what watches the engine is; empty: not there, or not to be asked."""

    prometheus: str = ""
    alertmanager: str = ""
    dashboards: Path | None = None
    try_alert: bool = False


class Installation:
    """One live installation, as an operator reaches it. Close it, or use it in a `with` block."""

    def __init__(self, settings: Settings, places: Places, transport: httpx2.BaseTransport | None = None) -> None:
        self._settings, self._places, self._transport = settings, places, transport
        self._stack = ExitStack()

    def __enter__(self) -> "Installation":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def findings(self) -> Iterator[Finding]:
        """What each check finds, as it finds it; one that breaks off is a failure of its own."""
        for name, check in self._checks():
            try:
                yield from check()
            except (httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
                yield Finding(name, State.FAILED, f"{type(error).__name__}: {error}", "is the address right?")

    def _checks(self) -> Iterator[tuple[str, Check]]:
        engine = Engine(self._stack.enter_context(open_http(self._settings, self._transport)))
        yield "health endpoint", engine.services
        yield "API endpoints", engine.endpoints
        yield "index", engine.index
        yield "certificate", lambda: certificate(self._settings.url)
        yield from self._watched(engine)

    def _watched(self, engine: Engine) -> Iterator[tuple[str, Check]]:
        places = self._places
        if places.prometheus:
            prometheus = Prometheus(self._open(places.prometheus))
            yield "error rate", prometheus.errors
            yield "backups", prometheus.backup
            yield "scraping", prometheus.targets
            yield "alerts", prometheus.rules
            if places.dashboards:
                folder = places.dashboards
                yield "dashboards", lambda: prometheus.dashboards(folder)
        else:
            yield "error rate", engine.errors
            yield "monitoring", lambda: _not_asked("backups, scraping, alerts, dashboards", "--prometheus")
        if not places.alertmanager:
            yield "alertmanager", lambda: _not_asked("alert notification", "--alertmanager")
            return
        alertmanager = Alertmanager(self._open(places.alertmanager))
        yield "alertmanager", alertmanager.status
        if places.try_alert:
            yield "alert notification", alertmanager.try_alert
        else:
            yield "alert notification", lambda: _not_asked("alert notification", "--try-alert")

    def _open(self, url: str) -> httpx2.Client:
        client = httpx2.Client(base_url=url, timeout=TIMEOUT, transport=self._transport, **trust(url))
        return self._stack.enter_context(client)


def _not_asked(what: str, option: str) -> Iterator[Finding]:
    yield Finding(what, State.UNKNOWN, "not looked at", f"takes {option}")
