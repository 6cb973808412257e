"""What watches the engine: Prometheus, its rules, the dashboards, and whether an alert reaches anybody."""

import json
import re
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from context_client.doctor.engine import PROBES, error_rate
from context_client.doctor.findings import Finding, State

BACKUP_AGE = 26 * 3600.0  # seconds: a nightly backup, and two hours for it to be late
BACKUP = 'time() - max(context_backup_last_success_timestamp_seconds{kind="dump"})'
# What is left of an expression without strings, matchers, ranges and label lists, and is no function, is a metric.
ASIDE = re.compile(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]|\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)')
NAME = re.compile(r"(?<![\w:.$])[a-zA-Z_:][\w:]*(?![\w:]*\s*\()")
WORDS = frozenset(
    {"and", "or", "unless", "bool", "offset", "by", "without", "on", "ignoring", "group_left", "group_right"}
)
ALERT = "ContextDoctorTest"
NOTIFY_WAIT = 90.0  # seconds: Alertmanager gathers alerts for a while before it tells of them
LOOK_EVERY = 1.0


class Prometheus:
    """Asks Prometheus about the engine."""

    def __init__(self, http: httpx2.Client) -> None:
        self._http = http

    def targets(self) -> Iterator[Finding]:
        """Whether every target is scraped."""
        active = self._get("/api/v1/targets", state="active")["activeTargets"]
        down = [f"{target['labels'].get('job')} {target['scrapeUrl']}" for target in active if target["health"] != "up"]
        if not active or down:
            yield Finding("scraping", State.FAILED, "; ".join(down) or "no targets", "deploy/monitoring/prometheus.yml")
            return
        yield Finding("scraping", State.OK, f"{len(active)} targets up")

    def rules(self) -> Iterator[Finding]:
        """Whether alert rules are loaded, and which fire."""
        alerts = [rule for group in self._get("/api/v1/rules", type="alert")["groups"] for rule in group["rules"]]
        # The watchdog, of severity none, fires always: its silence would be the news.
        firing = sorted(r["name"] for r in alerts if r["state"] == "firing" and r["labels"].get("severity") != "none")
        if not alerts:
            yield Finding("alerts", State.FAILED, "no alert rules are loaded", "deploy/monitoring/rules")
        elif firing:
            yield Finding("alerts", State.FAILED, f"firing: {', '.join(firing)}", "each names its runbook")
        else:
            yield Finding("alerts", State.OK, f"{len(alerts)} rules, none fires")

    def errors(self) -> Iterator[Finding]:
        """The share of failed answers in the last hour."""
        asked = f'route!~"{"|".join(PROBES)}"'
        failed = self._value(f'sum(increase(http_requests_total{{{asked},status=~"5.."}}[1h]))') or 0.0
        total = self._value(f"sum(increase(http_requests_total{{{asked}}}[1h]))") or 0.0
        yield error_rate(failed, total, "in the last hour")

    def backup(self) -> Iterator[Finding]:
        """How old the last good backup is."""
        age = self._value(BACKUP)
        if age is None:
            yield Finding("backups", State.FAILED, "no backup was ever reported", "contextctl backup")
            return
        old = age > BACKUP_AGE
        detail = f"the last good one is {age / 3600:.1f} h old"
        yield Finding("backups", State.FAILED if old else State.OK, detail, "contextctl backup; runbook" if old else "")

    def dashboards(self, folder: Path) -> Iterator[Finding]:
        """Whether every metric that a dashboard shows is there."""
        wanted = {name for path in sorted(folder.glob("**/*.json")) for name in metrics_in(path.read_text())}
        there = set(self._get("/api/v1/label/__name__/values"))
        if not wanted:
            yield Finding("dashboards", State.UNKNOWN, f"no dashboards in {folder}", "--dashboards")
            return
        missing = sorted(wanted - there)
        if missing:
            detail = f"{len(missing)} of {len(wanted)} metrics have no series yet: {', '.join(missing)}"
            yield Finding("dashboards", State.WARNING, detail, "some appear with their first event")
            return
        yield Finding("dashboards", State.OK, f"{len(wanted)} metrics are there")

    def _value(self, query: str) -> float | None:
        result = self._get("/api/v1/query", query=query)["result"]
        return float(result[0]["value"][1]) if result else None

    def _get(self, path: str, **params: str) -> Any:
        answer = self._http.get(path, params=params)
        answer.raise_for_status()
        return answer.json()["data"]


class Alertmanager:
    """Sends one alert through, on request."""

    def __init__(self, http: httpx2.Client, wait: float = NOTIFY_WAIT) -> None:
        self._http, self._wait = http, wait

    def status(self) -> Iterator[Finding]:
        """Whether it is ready."""
        answer = self._http.get("/-/ready")
        well = answer.is_success
        yield Finding("alertmanager", State.OK if well else State.FAILED, f"GET /-/ready {answer.status_code}")

    def try_alert(self) -> Iterator[Finding]:
        """Raise a harmless alert and see that notifications went out and none failed."""
        before, failed = self._notifications()
        ends = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
        labels = {"alertname": ALERT, "severity": "warning", "instance": f"doctor-{time.time_ns()}"}
        text = {"summary": "A test by contextctl doctor: nothing is wrong.", "description": "It ends within 5 minutes."}
        alerts = [{"labels": labels, "annotations": text, "endsAt": ends}]
        self._http.post("/api/v2/alerts", json=alerts).raise_for_status()
        deadline = time.monotonic() + self._wait
        while time.monotonic() < deadline:
            sent, lost = self._notifications()
            if lost > failed:
                yield Finding(
                    "alert notification", State.FAILED, "a receiver refused it", "Alertmanager's log says why"
                )
                return
            if sent > before:
                yield Finding("alert notification", State.OK, f"{ALERT} went out; ask the receiver whether it came")
                return
            time.sleep(LOOK_EVERY)
        yield Finding(
            "alert notification", State.FAILED, f"nothing went out in {self._wait:.0f} s", "alertmanager.yml: route"
        )

    def _notifications(self) -> tuple[float, float]:
        """How many notifications were tried, and how many failed."""
        found = {"alertmanager_notifications_total": 0.0, "alertmanager_notifications_failed_total": 0.0}
        for family in text_string_to_metric_families(self._http.get("/metrics").text):
            for sample in family.samples:
                if sample.name in found:
                    found[sample.name] += sample.value
        tried, failed = found.values()
        return tried, failed


def metrics_in(dashboard: str) -> set[str]:
    """The metrics that the expressions of a Grafana dashboard name."""
    bare = (ASIDE.sub(" ", expression) for expression in _expressions(json.loads(dashboard)))
    return {name for expression in bare for name in NAME.findall(expression)} - WORDS


def _expressions(node: Any) -> Iterable[str]:
    if isinstance(node, dict):
        if isinstance(node.get("expr"), str):
            yield node["expr"]
        for value in node.values():
            yield from _expressions(value)
    elif isinstance(node, list):
        for value in node:
            yield from _expressions(value)
