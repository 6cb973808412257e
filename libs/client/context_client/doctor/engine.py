"""The engine itself: its services, its answers, its errors, its index."""

from collections.abc import Iterator, Mapping
from typing import Any

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from context_client.doctor.findings import Finding, State

ERRORS = 0.001  # share of answered requests, beyond which the first day is not going well
LAG = 60.0  # seconds
PROBES = ("/health", "/livez", "/readyz", "/metrics")  # say 503 as they should; no user waits for them
SKIPPED = ("/metrics", "/docs", "/openapi.json")  # have lines of their own, or are no JSON
LOGS = "look at the logs of that service, then docs/operations.md"


class Engine:
    """Looks through the gateway, with whatever credential `http` shows."""

    def __init__(self, http: httpx2.Client) -> None:
        self._http = http

    def services(self) -> Iterator[Finding]:
        """A line for each part that /health names, and one for its status."""
        answer = self._http.get("/health")
        body = answer.json()
        for name, state in body["checks"].items():
            well = state == "healthy"
            yield Finding(f"service: {name}", State.OK if well else State.FAILED, state, "" if well else LOGS)
        detail = f"GET /health {answer.status_code}, version {body.get('version', '?')}"
        yield Finding("health endpoint", State.OK if answer.status_code == 200 else State.FAILED, detail)

    def endpoints(self) -> Iterator[Finding]:
        """Every read that takes no id answers, and so do a question and a search."""
        document = self._http.get("/openapi.json").json()
        plain = [path for path, calls in document["paths"].items() if "get" in calls and "{" not in path]
        asked = {path: self._http.get(path).status_code for path in plain if path not in SKIPPED}
        for path in ("/api/context/query", "/api/search"):
            asked[f"POST {path}"] = self._http.post(path, json={"query": "which database do we use?"}).status_code
        yield _judge(asked)

    def errors(self) -> Iterator[Finding]:
        """The share of failed answers since the gateway started."""
        answer = self._http.get("/metrics")
        if answer.status_code != 200:
            yield Finding(
                "error rate",
                State.UNKNOWN,
                f"GET /metrics {answer.status_code}",
                "show an admin's credential, or --prometheus",
            )
            return
        families = text_string_to_metric_families(answer.text)
        counted = [
            sample
            for family in families
            for sample in family.samples
            if sample.name == "http_requests_total" and sample.labels["route"] not in PROBES
        ]
        total = sum(sample.value for sample in counted)
        failed = sum(sample.value for sample in counted if sample.labels["status"].startswith("5"))
        yield error_rate(failed, total, "since the gateway started, this replica")

    def index(self) -> Iterator[Finding]:
        """Whether what is recorded is being indexed."""
        answer = self._http.get("/api/admin/index")
        if answer.status_code != 200:
            yield Finding(
                "index", State.UNKNOWN, f"GET /api/admin/index {answer.status_code}", "show an admin's credential"
            )
            return
        yield _index(answer.json())


def error_rate(failed: float, total: float, over: str) -> Finding:
    """The finding that `failed` of `total` answers are."""
    if not total:
        return Finding("error rate", State.UNKNOWN, f"no requests {over}")
    share = failed / total
    detail = f"{failed:.0f} of {total:.0f} answers were 5xx ({share:.3%}) {over}"
    if share > ERRORS:
        return Finding("error rate", State.FAILED, detail, f"less than {ERRORS:.1%} is wanted; runbook P1")
    return Finding("error rate", State.OK, detail)


def _judge(asked: Mapping[str, int]) -> Finding:
    """One line about all endpoints; a refusal is an answer, but says that not all was seen."""
    broken = [f"{path} {status}" for path, status in asked.items() if status >= 500 or status == 404]
    refused = [path for path, status in asked.items() if status in (401, 403)]
    if broken:
        return Finding("API endpoints", State.FAILED, "; ".join(broken), LOGS)
    if refused:
        detail = f"{len(refused)} of {len(asked)} refuse this credential"
        return Finding("API endpoints", State.UNKNOWN, detail, "set CONTEXT_TOKEN to a key with admin")
    return Finding("API endpoints", State.OK, f"{len(asked)} answered")


def _index(state: Mapping[str, Any]) -> Finding:
    pending, lag, aside = int(state["pending"]), float(state["lag_seconds"]), int(state.get("set_aside") or 0)
    detail = f"{pending} pending, {lag:.0f} s behind, {aside} set aside"
    if lag > LAG:
        return Finding("index", State.FAILED, detail, "is retrieval running, and embedding? contextctl index")
    if aside:
        return Finding("index", State.WARNING, detail, "contextctl set-aside list")
    return Finding("index", State.OK, detail)
