"""The four processes over a primary and a replica that is a second late: what was told to be stored is read."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support import loopback
from tests.support.stack import Stack, run_stack
from tests.support.streaming import Streaming, streaming

SECONDS = 1.0  # by which the replica is late
QUIET, BUSY = {"x-context-namespace": "quiet"}, {"x-context-namespace": "busy"}


@pytest.fixture(scope="module")
def servers() -> Iterator[Streaming]:
    with streaming(replicas=1, settings={"max_connections": "150"}) as running:
        yield running


@pytest.fixture(scope="module")
def replicated(servers: Streaming, model_dir: Path) -> Iterator[Stack]:
    """A stack that reads the replica, with something in the namespace `quiet`."""
    (replica,) = servers.replicas
    environ = {"MODEL_DIR": str(model_dir), "DATABASE_REPLICA_1_URL": replica.url, "REPLICA_MAX_LAG": "30"}
    with run_stack(servers.primary.url, POOL_SIZE="20", REPLICA_POOL_SIZE="10", **environ) as running:
        ask(running, "POST", "/api/adr", QUIET, title="Use NATS", decision="Events travel over NATS.")
        servers.caught_up()
        yield running


@pytest.fixture(autouse=True)
def healthy(servers: Streaming) -> Iterator[None]:
    yield
    servers.replicas[0].delay(0)
    servers.caught_up()


def ask(stack: Stack, method: str, path: str, headers: dict[str, str], **body: Any) -> Any:
    answer = loopback.request(method, f"{stack.url}{path}", headers=headers, json=body or None, timeout=30)
    answer.raise_for_status()
    return answer.json()


def read_on_replica(stack: Stack, service: str) -> float:
    """How many reads of a service its replica answered."""
    found = re.search(r'^context_db_reads_total\{target="replica_1"\} (\S+)', stack.metrics(service), re.MULTILINE)
    return float(found[1]) if found else 0.0


def read_all(stack: Stack, headers: dict[str, str]) -> None:
    """Every kind of read that a replica may answer."""
    ask(stack, "GET", "/api/adr", headers)
    ask(stack, "GET", "/api/adr/ADR-001", headers)
    ask(stack, "GET", "/api/graph/related/ADR-001", headers)
    ask(stack, "GET", "/api/context/recent", headers)
    ask(stack, "POST", "/api/search", headers, query="NATS")
    ask(stack, "POST", "/api/context/query", headers, query="what do events travel over?")


def on_replica(stack: Stack, *services: str) -> bool:
    before = [read_on_replica(stack, service) for service in services]
    read_all(stack, QUIET)
    read_all(stack, QUIET)
    return all(read_on_replica(stack, service) > was for service, was in zip(services, before, strict=True))


def test_writers_read_their_writes_and_others_read_the_replica(replicated: Stack, servers: Streaming) -> None:
    servers.replicas[0].delay(SECONDS)
    replicated.wait_until(lambda: on_replica(replicated, "knowledge", "retrieval"))
    before = read_on_replica(replicated, "retrieval")
    for number in range(1, 11):
        word = f"zq{number}x"
        made = ask(replicated, "POST", "/api/adr", BUSY, title=f"Take {word}", decision=f"{word} is what we take.")
        assert made["indexed"]
        path = f"/api/adr/{made['id']}"
        assert ask(replicated, "GET", path, BUSY)["title"] == f"Take {word}"
        assert ask(replicated, "POST", "/api/search", BUSY, query=word)["results"][0]["id"] == made["id"]
        assert word in str(ask(replicated, "POST", "/api/context/query", BUSY, query=f"what of {word}?"))
        assert ask(replicated, "PATCH", path, BUSY, tags=[word])["indexed"]
        assert ask(replicated, "GET", path, BUSY)["tags"] == [word]
        assert ask(replicated, "GET", f"/api/adr?tags={word}", BUSY)["items"][0]["id"] == made["id"]
        assert ask(replicated, "GET", f"/api/context/domain/{word}", BUSY)["items"][0]["id"] == made["id"]
        if number > 1:
            edge = {"from": made["id"], "to": "ADR-001", "type": "related_to"}
            ask(replicated, "POST", "/api/graph/relationships", BUSY, **edge)
            assert ask(replicated, "GET", f"/api/graph/related/{made['id']}", BUSY)["total_related"] >= 1
        read_all(replicated, QUIET)
    ask(replicated, "DELETE", "/api/adr/ADR-002", BUSY)
    assert loopback.get(f"{replicated.url}/api/adr/ADR-002", headers=BUSY).status_code == 404
    assert read_on_replica(replicated, "retrieval") > before + 10
    time.sleep(SECONDS)
    replicated.wait_until(lambda: on_replica(replicated, "knowledge", "retrieval"))
    assert ask(replicated, "GET", "/api/adr", BUSY)["items"][0]["title"] == "Take zq10x"


def test_no_request_fails_where_the_replica_dies_and_it_is_used_when_it_is_back(
    replicated: Stack, servers: Streaming
) -> None:
    replicated.wait_until(lambda: on_replica(replicated, "knowledge", "retrieval"))
    servers.replicas[0].kill()
    for _ in range(20):
        read_all(replicated, QUIET)
    assert not on_replica(replicated, "knowledge")
    assert 'context_db_replica_up{replica="1"} 0.0' in replicated.metrics("retrieval")
    servers.replicas[0].start()
    replicated.wait_until(lambda: on_replica(replicated, "knowledge", "retrieval"))
    assert 'context_db_replica_up{replica="1"} 1.0' in replicated.metrics("retrieval")


def test_the_vector_index_is_there_on_the_replica(replicated: Stack, servers: Streaming) -> None:
    """It is built once, on the primary, and arrives with everything else."""
    assert replicated.url
    (replica,) = servers.replicas
    found = """
        SELECT c.relname, a.amname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
        JOIN pg_am a ON a.oid = c.relam WHERE i.indisvalid AND a.amname IN ('hnsw', 'gin')
    """
    indexes = set(replica.run(found))
    assert indexes == set(servers.primary.run(found))
    assert {("chunks_embedding", "hnsw"), ("documents_lexemes", "gin")} <= indexes
    nearest = """
        EXPLAIN SELECT item_id FROM retrieval.chunks
        ORDER BY embedding <=> array_fill(0.1, ARRAY[384])::halfvec(384) LIMIT 5
    """
    with psycopg.connect(replica.url, options="-c enable_seqscan=off -c enable_sort=off") as connection:
        plan = connection.execute(nearest)
        assert "chunks_embedding" in str(plan.fetchall())
