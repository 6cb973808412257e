"""doctor and smoke: what they make of an installation that answers in every way."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from typer.testing import CliRunner, Result

from context_client import __main__
from context_client.cli.app import Session, app
from context_client.doctor.findings import Finding, State, worst
from context_client.doctor.monitoring import BACKUP, metrics_in

assert __main__.COMMANDS  # importing it makes the commands known

WATCHED = ("--prometheus", "http://prometheus:9090", "--alertmanager", "http://alertmanager:9093")
Answer = Callable[[httpx2.Request], Any]


class Site:
    """An engine, a Prometheus and an Alertmanager; `answers` holds what a test wants answered otherwise."""

    def __init__(self, **answers: Any) -> None:
        self.checks = {"database": "healthy", "embedding_service": "healthy"}
        self.requests = 'http_requests_total{method="POST",route="/api/search",status="200"} 5000\n'
        self.index: dict[str, Any] = {"pending": 0, "lag_seconds": 0.0, "set_aside": 0}
        self.paths: dict[str, Any] = {"/api/adr": {"get": {}}, "/api/adr/{id}": {"get": {}}, "/api/bulk": {"post": {}}}
        self.statuses: dict[str, int] = {}
        self.values = {"increase": 10000.0, "5..": 0.0, BACKUP: 3600.0}
        self.targets = [{"labels": {"job": "gateway"}, "scrapeUrl": "http://gateway:9100/metrics", "health": "up"}]
        self.alerts: list[dict[str, Any]] = [
            {"name": "ContextServiceDown", "state": "inactive", "labels": {"severity": "critical"}},
            {"name": "ContextWatchdog", "state": "firing", "labels": {"severity": "none"}},
        ]
        self.names = ["http_requests_total", "feed_pending"]
        self.notified = self.refused = 0
        self.raised: list[dict[str, Any]] = []
        self.on_alert: Callable[[Site], None] = lambda site: None
        for name, value in answers.items():
            setattr(self, name, value)

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        content = getattr(self, f"at_{request.url.host.replace('.', '_')}", self.at_engine)(request)
        status = self.statuses.get(request.url.path, 200)
        if isinstance(content, str):
            return httpx2.Response(status, text=content)
        return httpx2.Response(status, json=content)

    def at_engine(self, request: httpx2.Request) -> Any:
        fixed: dict[str, Any] = {
            "/health": {"status": "healthy", "version": "1", "checks": self.checks},
            "/openapi.json": {"paths": self.paths},
            "/metrics": f"# TYPE http_requests counter\n{self.requests}",
            "/api/admin/index": self.index,
        }
        return fixed.get(request.url.path, {})

    def at_prometheus(self, request: httpx2.Request) -> Any:
        query = request.url.params.get("query", "")
        value = next((value for part, value in reversed(self.values.items()) if part in query), None)
        data: dict[str, Any] = {
            "/api/v1/query": {"result": [] if value is None else [{"value": [0, str(value)]}]},
            "/api/v1/targets": {"activeTargets": self.targets},
            "/api/v1/rules": {"groups": [{"rules": self.alerts}]},
            "/api/v1/label/__name__/values": self.names,
        }
        return {"data": data[request.url.path]}

    def at_alertmanager(self, request: httpx2.Request) -> Any:
        if request.url.path == "/api/v2/alerts":
            self.raised += json.loads(request.content)
            self.on_alert(self)
        return (
            "# TYPE alertmanager_notifications_total counter\n"
            f'alertmanager_notifications_total{{integration="webhook"}} {self.notified}\n'
            "# TYPE alertmanager_notifications_failed_total counter\n"
            f'alertmanager_notifications_failed_total{{integration="webhook"}} {self.refused}\n'
        )


def doctor(site: Site, *arguments: str) -> tuple[Result, dict[str, dict[str, str]]]:
    """The run of `contextctl doctor`, and its lines by the check."""
    session = Session({}, transport=httpx2.MockTransport(site.handle))
    result = CliRunner().invoke(app, ["doctor", "--json", *arguments], obj=session, prog_name="contextctl")
    return result, {line["check"]: line for line in json.loads(result.stdout)}


def test_an_installation_without_a_fault_has_no_failure_and_says_what_was_not_looked_at() -> None:
    result, lines = doctor(Site())
    assert result.exit_code == 0, result.stdout
    assert (
        lines["service: database"]["state"] == lines["API endpoints"]["state"] == lines["error rate"]["state"] == "ok"
    )
    assert lines["alert notification"]["state"] == "unknown"
    assert "--prometheus" in lines["backups, scraping, alerts, dashboards"]["advice"]


def test_what_was_not_looked_at_fails_where_that_is_asked_for() -> None:
    assert doctor(Site(), "--strict")[0].exit_code == 1


@pytest.mark.parametrize(
    ("site", "check"),
    [
        (Site(checks={"database": "unhealthy"}, statuses={"/health": 503}), "service: database"),
        (Site(statuses={"/health": 503}), "health endpoint"),
        (Site(statuses={"/api/adr": 500}), "API endpoints"),
        (Site(statuses={"/api/search": 404}), "API endpoints"),
        (Site(index={"pending": 9, "lag_seconds": 61.0, "set_aside": 0}), "index"),
        (Site(requests='http_requests_total{route="/api/adr",status="500"} 1\n'), "error rate"),
    ],
)
def test_a_fault_of_the_engine_is_a_failure_of_its_own_line(site: Site, check: str) -> None:
    result, lines = doctor(site)
    assert result.exit_code == 1
    assert lines[check]["state"] == "failed", lines


def test_answers_to_probes_are_no_errors() -> None:
    result, lines = doctor(Site(requests='http_requests_total{route="/readyz",status="503"} 44\n'))
    assert lines["error rate"]["state"] == "unknown"
    assert result.exit_code == 0


def test_a_credential_that_may_not_see_all_is_told_so() -> None:
    result, lines = doctor(Site(statuses={"/metrics": 403, "/api/adr": 403, "/api/admin/index": 401}))
    assert {lines[check]["state"] for check in ("error rate", "API endpoints", "index")} == {"unknown"}
    assert result.exit_code == 0


def test_all_of_the_first_day_is_looked_at_where_its_places_are_named(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(
        '{"panels": [{"targets": [{"expr": "rate(http_requests_total{a=\\"b\\"}[5m])"}]}]}'
    )
    site = Site(on_alert=lambda site: setattr(site, "notified", 1))
    result, lines = doctor(site, *WATCHED, "--try-alert", "--dashboards", str(tmp_path))
    assert result.exit_code == 0, result.stdout
    states = {name: line["state"] for name, line in lines.items()}
    assert states.pop("certificate") == "unknown"
    assert set(states.values()) == {"ok"}, states
    assert site.raised[0]["labels"]["alertname"] == "ContextDoctorTest"


@pytest.mark.parametrize(
    ("site", "check", "state"),
    [
        (Site(values={"increase": 1000.0, "5..": 2.0, BACKUP: 1.0}), "error rate", "failed"),
        (Site(values={"increase": 1000.0, "5..": 0.0, BACKUP: 27 * 3600.0}), "backups", "failed"),
        (Site(values={"increase": 1000.0}), "backups", "failed"),
        (Site(targets=[]), "scraping", "failed"),
        (Site(targets=[{"labels": {"job": "x"}, "scrapeUrl": "u", "health": "down"}]), "scraping", "failed"),
        (Site(alerts=[]), "alerts", "failed"),
        (Site(alerts=[{"name": "ContextServiceDown", "state": "firing", "labels": {}}]), "alerts", "failed"),
        (Site(statuses={"/-/ready": 503}), "alertmanager", "failed"),
        (Site(on_alert=lambda site: setattr(site, "refused", 1)), "alert notification", "failed"),
        (Site(names=["feed_pending"]), "dashboards", "warning"),
    ],
)
def test_a_fault_of_what_watches_is_seen(site: Site, check: str, state: str, tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text('{"expr": "sum(http_requests_total)"}')
    asked = ("--try-alert",) if check == "alert notification" else ()
    _, lines = doctor(site, *WATCHED, *asked, "--dashboards", str(tmp_path))
    assert lines[check]["state"] == state, lines


def test_a_place_where_nobody_answers_is_a_failure_and_not_the_end() -> None:
    def refuse(_: httpx2.Request) -> Any:
        raise httpx2.ConnectError("refused")

    result, lines = doctor(Site(at_prometheus=refuse), *WATCHED)
    assert result.exit_code == 1
    assert lines["error rate"]["state"] == lines["scraping"]["state"] == "failed"
    assert lines["alertmanager"]["state"] == "ok"


@pytest.mark.parametrize(
    ("expression", "metrics"),
    [
        ("sum by (le) (rate(a_bucket[5m]))", {"a_bucket"}),
        ('histogram_quantile(0.95, sum by (le, route) (rate(a{b="c"}[$__rate_interval])))', {"a"}),
        ("a / ignoring(code) group_left b", {"a", "b"}),
        ("max(a) or vector(0)", {"a"}),
        ("time() - a > 26 * 3600", {"a"}),
        ("context:errors:ratio5m", {"context:errors:ratio5m"}),
        ('a{x=~"$service"} offset 1d', {"a"}),
    ],
)
def test_the_metrics_of_an_expression_are_found(expression: str, metrics: set[str]) -> None:
    found = metrics_in(json.dumps({"panels": [{"targets": [{"expr": expression}]}]}))
    assert found == metrics


def test_the_worst_state_is_that_of_all() -> None:
    assert worst(Finding("a", state, "") for state in (State.OK, State.FAILED, State.UNKNOWN)) is State.FAILED
    assert worst([]) is State.OK
