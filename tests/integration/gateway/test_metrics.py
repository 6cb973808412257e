"""What the gateway counts stays countable, whatever is asked of it; and it says how much it may use."""

import secrets

import pytest
from prometheus_client import REGISTRY

from tests.support.gateway import Gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")

ODD = ("/api/adr/{}", "/{}", "/api/context/domain/{}", "/api/{}/x", "/api/admin/keys/{}", "/api/graph/related/{}?q={}")
METHODS = ("GET", "POST", "PUT", "DELETE", "PROPFIND", "BREW", "OPTIONS", "HEAD")


def series() -> set[tuple[str, str]]:
    """Every series about requests."""
    return {
        (sample.name, str(sorted(sample.labels.items())))
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.name.startswith(("http_", "grpc_client_", "context_", "rate_"))
    }


async def fire(gateway: Gateway, rounds: int) -> None:
    """Requests that nobody has sent before."""
    for _ in range(rounds):
        for path in ODD:
            for method in METHODS:
                word = secrets.token_hex(8)
                headers = {"x-request-id": word, "user-agent": word, "x-context-namespace": word}
                await gateway.http.request(method, path.format(word, word), headers=headers)


async def test_odd_paths_methods_and_headers_make_no_new_series(gateway: Gateway) -> None:
    await fire(gateway, 1)
    before = series()
    await fire(gateway, 3)
    assert series() == before
    assert sum(name.startswith("http_") for name, _ in before) < 2000


async def test_scrapes_find_what_every_process_tells(gateway: Gateway) -> None:
    await gateway.http.get("/livez")
    text = (await gateway.http.get("/metrics")).text
    assert 'context_first_call_seconds{call="GET /livez"}' in text
    for name in ("process_resident_memory_bytes", "process_start_time_seconds", "process_open_fds"):
        value = REGISTRY.get_sample_value(name)
        assert value
        assert f"{name} " in text
    bounds = 'http_request_duration_seconds_bucket{{le="{}",method="GET",route="/livez"}}'
    assert all(bounds.format(bound) in text for bound in ("0.1", "0.2", "1.0"))
