"""What rules and dashboards ask Prometheus for, and what there is to ask for."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser
import yaml
from prometheus_client import ProcessCollector

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/monitoring"
RULES = FOLDER / "rules/context.yml"
EVERYWHERE = {"job", "instance"}  # labels that Prometheus adds to each series
VARIABLE = re.compile(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))")


@dataclass(frozen=True)
class Asked:
    """A metric that an expression names, with the labels that it wants of it."""

    metric: str
    labels: frozenset[str]


def rules() -> list[dict[str, Any]]:
    """Every rule, in order."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    """Every rule that raises an alert."""
    return [rule for rule in rules() if "alert" in rule]


def dashboards() -> dict[str, dict[str, Any]]:
    """Every dashboard by the name of its file."""
    return {path.stem: json.loads(path.read_text()) for path in sorted((FOLDER / "grafana/dashboards").glob("*.json"))}


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    """What shows something: rows only part it."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def filled(expression: str) -> str:
    """An expression with Grafana's variables filled in."""
    return VARIABLE.sub(lambda found: "5m" if (found[1] or found[2]) == "__rate_interval" else ".*", expression)


def expressions(dashboard: dict[str, Any]) -> Iterator[str]:
    """What the annotations and the panels of a dashboard ask."""
    yield from (filled(annotation["expr"]) for annotation in dashboard["annotations"]["list"])
    for panel in panels(dashboard):
        yield from (filled(target["expr"]) for target in panel["targets"])


def asked(expression: str) -> Iterator[Asked]:
    """Every metric of an expression, with labels that it matches and those that aggregations around it keep."""
    yield from _asked(promql_parser.parse(expression), frozenset())


def _asked(node: Any, kept: frozenset[str]) -> Iterator[Asked]:
    if isinstance(node, promql_parser.AggregateExpr):
        modifier = node.modifier
        by = modifier is not None and modifier.type == promql_parser.AggModifierType.By
        kept = frozenset(modifier.labels) if modifier is not None and by else kept
    if isinstance(node, promql_parser.VectorSelector):
        matched = {matcher.name for matcher in node.matchers.matchers}
        yield Asked(str(node.name), kept | matched)
    for name in ("lhs", "rhs", "expr", "vector_selector"):
        if (child := getattr(node, name, None)) is not None:
            yield from _asked(child, kept)
    for child in getattr(node, "args", []):
        yield from _asked(child, kept)


def exported() -> dict[str, set[str]]:
    """Every series that there can be, with its labels: what docs/metrics.md lists (a test holds the code to it), what
    prometheus_client says of any process, what our rules record, and what Prometheus adds.
    """
    found: dict[str, set[str]] = {"up": set(), "ALERTS": {"alertname", "alertstate", "severity"}}
    found |= {sample.name: set() for family in ProcessCollector(registry=None).collect() for sample in family.samples}
    found |= {rule["record"]: set() for rule in rules() if "record" in rule}
    for line in (ROOT / "docs/metrics.md").read_text().splitlines():
        if line.startswith("| `"):
            name, kind, labels = (cell.strip() for cell in line.split("|")[1:4])
            found |= _series(name.strip("`"), kind, {label.strip(" `") for label in labels.split(",") if label.strip()})
    return found


def _series(name: str, kind: str, labels: set[str]) -> dict[str, set[str]]:
    if kind != "histogram":
        return {name: labels}
    return {f"{name}_bucket": labels | {"le"}, f"{name}_sum": labels, f"{name}_count": labels}
