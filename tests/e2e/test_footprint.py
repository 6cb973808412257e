"""What the services use stays what it is: memory after many requests, connections after callers that left."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.support.postgres import scratch_database
from tests.support.stack import Stack, run_stack

POOL = 20
MIB = 1024 * 1024
MODEL = 60 * MIB  # what a second copy of the model would add at least


@pytest.fixture(scope="module")
def small(postgres_url: str, model_dir: Path) -> Iterator[Stack]:
    """A stack with fewer connections than usual, and a cache that is soon full."""
    with scratch_database(postgres_url) as url:
        environment = {"MODEL_DIR": str(model_dir), "POOL_SIZE": str(POOL), "EMBEDDING_CACHE_SIZE": "100"}
        with run_stack(url, **environment) as stack:
            yield stack


def value(stack: Stack, service: str, series: str) -> float:
    """The value of a series that a service shows."""
    found = re.search(rf"^{re.escape(series)} (\S+)$", stack.metrics(service), re.MULTILINE)
    assert found, f"{service} does not show {series}"
    return float(found[1])


async def embed(stack: Stack, first: int, count: int) -> None:
    """Embed `count` texts that nobody has sent before."""
    async with httpx2.AsyncClient(base_url=stack.url, timeout=60) as http:
        for at in range(first, first + count, 20):
            texts = [f"text {number} about whatever number {number} stands for" for number in range(at, at + 20)]
            answer = await http.post("/v1/embeddings", json={"input": texts, "model": "all-MiniLM-L6-v2"})
            assert answer.status_code == 200


async def test_the_model_is_loaded_once_and_many_requests_leave_no_memory_behind(small: Stack) -> None:
    resident = "process_resident_memory_bytes"
    await embed(small, 0, 400)
    before = value(small, "embedding", resident)
    await embed(small, 400, 2000)
    assert value(small, "embedding", resident) - before < MODEL
    assert value(small, "embedding", 'embedding_cache_total{result="miss"}') == 2400


async def test_callers_that_leave_leave_no_connections_behind_and_twenty_serve_many(small: Stack) -> None:
    async with httpx2.AsyncClient(base_url=small.url, timeout=60) as http:

        async def ask(number: int) -> int:
            body = {"query": f"question {number}", "max_tokens": 300}
            try:
                async with asyncio.timeout(0.02 if number % 3 == 0 else 60):
                    return (await http.post("/api/context/query", json=body)).status_code
            except TimeoutError:
                return 0

        found = await asyncio.gather(*(ask(number) for number in range(150)))
        assert set(found) <= {0, 200, 503}
        assert found.count(200) > 0
        assert (await http.post("/api/context/query", json={"query": "and now?"})).status_code == 200
    for service in ("knowledge", "retrieval"):
        used = f'context_db_pool_in_use{{pool="{service}"}}'
        small.wait_until(lambda service=service, used=used: value(small, service, used) <= 1)  # type: ignore[misc]
        assert value(small, service, f'context_db_pool_connections{{pool="{service}"}}') <= POOL
