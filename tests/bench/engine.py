"""Our own stack under measurement: filled by its bulk route, asked through its gateway, weighed process by process."""

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import numpy.typing as npt
import psycopg
from pgvector.psycopg import register_vector

from tests.bench.timing import Ask, own_share, resident
from tests.bench.wire import Connection
from tests.support.stack import Stack

GROUP = 2000  # items in one bulk call
POLL = 0.1  # seconds between looks at how far the index is
PATHS: dict[str, tuple[str, dict[str, Any]]] = {
    "search": ("/api/search", {"top_k": 10}),
    "context": ("/api/context/query", {}),
}
# The text as it is embedded, but for the heading that stands over the later chunks of a long document.
CHUNKS = """
SELECT d.title || chr(10) || c.text, c.embedding FROM retrieval.chunks c
JOIN retrieval.documents d USING (namespace, item_id) WHERE c.embedding IS NOT NULL"""


def ingest(url: str, items: Sequence[dict[str, Any]]) -> float:
    """Seconds from the first item sent until every one is indexed and every chunk has its vector."""
    bodies = ["\n".join(json.dumps(item) for item in items[at : at + GROUP]) for at in range(0, len(items), GROUP)]
    start = time.perf_counter()
    with httpx2.Client(base_url=url, timeout=900) as client:
        for body in bodies:
            headers = {"content-type": "application/x-ndjson", "prefer": "wait=120"}
            answer = client.post("/api/bulk", content=body, headers=headers).raise_for_status()
            bad = [line for line in answer.text.splitlines() if json.loads(line)["status"] == "error"]
            if bad:
                raise RuntimeError(f"{len(bad)} items were refused, the first: {bad[0]}")
        while not _settled(client):
            time.sleep(POLL)
    return time.perf_counter() - start


def asker(url: str, kind: str) -> Ask:
    """What asks a question of that kind, over a connection of its own."""
    path, more = PATHS[kind]
    connection = Connection(url)

    def ask(question: str) -> bytes:
        return connection.post(path, {"query": question, **more})

    return ask


def asked_while(work: Callable[[], object], ask: Ask, questions: Sequence[str]) -> list[float]:
    """The milliseconds of each of `questions`, over and over, one by one, asked while `work` is under way."""
    failed: list[Exception] = []

    def run() -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - raised again below, in the thread that waits
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    ms: list[float] = []
    for number, question in enumerate(itertools.cycle(questions)):
        if not thread.is_alive():
            break
        start = time.perf_counter()
        ask(f"{question} {number // len(questions) or ''}".rstrip())  # never the same, or a cache would answer
        ms.append((time.perf_counter() - start) * 1000)
    thread.join()
    if failed:
        raise failed[0]
    return ms


def chunks(database_url: str) -> tuple[list[str], npt.NDArray[np.float32]]:
    """The chunks of the index as they were embedded, and their vectors."""
    with closing(psycopg.connect(database_url)) as connection:
        register_vector(connection)
        rows = connection.execute(CHUNKS, binary=True).fetchall()
    return [text for text, _ in rows], np.array([vector.to_numpy() for _, vector in rows], np.float32)


def memory(stack: Stack) -> dict[str, float]:
    """Megabytes of each service, and of all processes of Postgres together where it runs on this machine."""
    found = {name: resident(process.pid) for name, process in stack._running.items()}
    return {**found, "postgres": postgres_memory(stack.database_url)}


def postgres_memory(database_url: str) -> float:
    """Megabytes of all processes of a server, what they share counted once; 0 where it is not on this machine."""
    with closing(psycopg.connect(database_url)) as connection:
        backend = connection.info.backend_pid
        parent = _parents().get(backend, 0)
        if not parent or "postgres" not in Path(f"/proc/{backend}/comm").read_text():
            return 0.0
        return own_share(parent) + sum(own_share(pid) for pid, its in _parents().items() if its == parent)


def _settled(client: httpx2.Client) -> bool:
    status = json.loads(client.get("/api/admin/index").raise_for_status().text)
    return not status["pending"] and not status["unembedded_chunks"]


def _parents() -> dict[int, int]:
    return dict(_each_parent())


def _each_parent() -> Iterator[tuple[int, int]]:
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        yield int(path.parent.name), int(after_name[1])
