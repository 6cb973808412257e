"""What rules and dashboards ask for is there: each metric and each label is one that a service exports."""

import re
from itertools import combinations
from typing import Any

import pytest
import yaml

from tests.support import monitoring

DASHBOARDS = monitoring.dashboards()
every_dashboard = pytest.mark.parametrize("name", DASHBOARDS)


def unknown(expression: str) -> list[str]:
    """What an expression asks for that nobody exports."""
    exported, wrong = monitoring.exported(), []
    for asked in monitoring.asked(expression):
        labels = asked.labels - exported.get(asked.metric, set()) - monitoring.EVERYWHERE
        if asked.metric not in exported or labels:
            wrong.append(f"{asked.metric} {sorted(labels)}")
    return wrong


def test_an_unknown_metric_and_an_unknown_label_are_noticed() -> None:
    assert unknown("sum by (lane) (rate(http_shed_total[5m]))") == []
    assert unknown("rate(no_such_total[5m])") == ["no_such_total []"]
    assert unknown('http_shed_total{colour="red"}') == ["http_shed_total ['colour']"]
    assert unknown("sum by (colour) (rate(http_shed_total[5m])) > 1") == ["http_shed_total ['colour']"]
    assert unknown("http_request_duration_seconds") == ["http_request_duration_seconds []"]


def test_rules_ask_for_what_is_exported() -> None:
    wrong = {rule.get("alert") or rule["record"]: unknown(rule["expr"]) for rule in monitoring.rules()}
    assert {name: found for name, found in wrong.items() if found} == {}


@every_dashboard
def test_panels_ask_for_what_is_exported(name: str) -> None:
    wrong = {expression: unknown(expression) for expression in monitoring.expressions(DASHBOARDS[name])}
    assert len(wrong) > 10
    assert {expression: found for expression, found in wrong.items() if found} == {}


@every_dashboard
def test_legends_name_labels_that_the_answers_have(name: str) -> None:
    for panel in monitoring.panels(DASHBOARDS[name]):
        for target in panel["targets"]:
            named = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            labels = {label for found in monitoring.asked(monitoring.filled(target["expr"])) for label in found.labels}
            labels |= set() if " by (" in target["expr"] else monitoring.EVERYWHERE
            assert named <= labels, (panel["title"], named, labels)


@every_dashboard
def test_panels_have_a_place_a_name_an_explanation_and_the_chosen_data_source(name: str) -> None:
    board = DASHBOARDS[name]
    assert board["uid"] == f"context-{name}"
    (variable,) = board["templating"]["list"]
    assert (variable["name"], variable["type"], variable["query"]) == ("datasource", "datasource", "prometheus")
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in monitoring.panels(board):
        assert panel["title"], panel["id"]
        assert panel["description"], panel["title"]
        for source in (panel, *panel["targets"]):
            assert source["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]
    for one, other in combinations(board["panels"], 2):
        assert not overlap(one["gridPos"], other["gridPos"]), (one["title"], other["title"])


def test_grafana_is_told_of_a_prometheus_and_of_the_dashboards() -> None:
    folder = monitoring.FOLDER / "grafana/provisioning"
    sources = yaml.safe_load((folder / "datasources/prometheus.yml").read_text())["datasources"]
    assert [source["name"] for source in sources if source["type"] == "prometheus" and source["isDefault"]]
    (provider,) = yaml.safe_load((folder / "dashboards/context.yml").read_text())["providers"]
    assert provider["type"] == "file"


def overlap(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two places of a grid of 24 columns share a cell."""
    beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
    apart = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
    return not beside and not apart
