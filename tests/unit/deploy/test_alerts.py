"""Alert rules: Prometheus takes them, each fires and stays silent when it should, and each leads to its runbook."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.monitoring import FOLDER, ROOT, alerts, asked, rules

SEVERITIES = {"critical", "warning", "info"}
ALWAYS = "ContextWatchdog"  # fires, and is there to
UNIT_TESTS = sorted((FOLDER / "tests").glob("*.yml"))
ANCHORS = {
    line.lstrip("# ").lower().replace(" ", "-")
    for line in (ROOT / "docs/operations.md").read_text().splitlines()
    if line.startswith("#")
}


def run(program: str, *arguments: str | Path) -> None:
    """Run a program of Prometheus's; where it is absent the test is skipped, and says so."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed: apt-get install prometheus prometheus-alertmanager")
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_its_configuration_and_the_rules() -> None:
    run("promtool", "check", "config", FOLDER / "prometheus.yml")
    run("promtool", "check", "rules", "--lint=all", "--lint-fatal", *sorted((FOLDER / "rules").glob("*.yml")))


@pytest.mark.parametrize("path", UNIT_TESTS, ids=lambda path: path.stem)
def test_each_alert_fires_and_stays_silent_when_it_should(path: Path) -> None:
    run("promtool", "test", "rules", path)


def test_alertmanager_takes_its_configuration_and_sends_each_severity_to_its_receiver() -> None:
    config = FOLDER / "alertmanager.yml"
    run("amtool", "check-config", config)
    for labels, receiver in {
        "severity=critical alertname=ContextServiceDown": "on-call",
        "severity=warning alertname=ContextQuerySlow": "team",
        "severity=info alertname=ContextErrorRateHigh": "team",
        f"severity=none alertname={ALWAYS}": "watchdog",
    }.items():
        test = ["config", "routes", "test", f"--config.file={config}", f"--verify.receivers={receiver}"]
        run("amtool", *test, *labels.split())


def test_each_alert_says_how_urgent_it_is_what_it_means_and_where_its_runbook_stands() -> None:
    assert len(alerts()) > 20
    for alert in alerts():
        name, told = alert["alert"], alert["annotations"]
        assert alert["labels"]["severity"] in SEVERITIES or name == ALWAYS, name
        assert told["summary"], name
        assert told["description"], name
        document, _, anchor = told["runbook_url"].partition("#")
        assert document.endswith("/operations.md"), name
        assert anchor == name.lower(), name
        assert anchor in ANCHORS, f"docs/operations.md has no section {name}"


def test_each_alert_fires_in_a_unit_test() -> None:
    fired = {name for path in UNIT_TESTS for scene in scenes(path) for name in firing(scene)}
    assert {alert["alert"] for alert in alerts()} - fired == set()


def test_what_every_alert_looks_at_is_there_where_none_fires() -> None:
    (healthy,) = scenes(FOLDER / "tests/healthy.yml")
    assert all(test["exp_samples"] == [] for test in healthy["promql_expr_test"])
    there = {entry["series"].partition("{")[0] for entry in healthy["input_series"]}
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    wanted = {found.metric for rule in rules() for found in asked(rule["expr"])}
    assert wanted - recorded - there == set()


def scenes(path: Path) -> list[dict[str, Any]]:
    """The tests in a file of promtool's."""
    found: list[dict[str, Any]] = yaml.safe_load(path.read_text())["tests"]
    return found


def firing(scene: dict[str, Any]) -> Iterator[str]:
    """The alerts that a scene expects to fire."""
    for test in scene.get("alert_rule_test", []):
        if test["exp_alerts"]:
            yield test["alertname"]
    for test in scene.get("promql_expr_test", []):
        if test["exp_samples"]:
            labels = " ".join(sample["labels"] for sample in test["exp_samples"])
            yield from re.findall(r'alertname="(\w+)"', test["expr"] + labels)
