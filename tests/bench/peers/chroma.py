"""Chroma: its server in a process of its own; its clients make the vectors and ask over HTTP.

One client asks one by one. At once ask as many as there are cores, each with its share of the callers: the model runs
in the client, and several threads of one process would hold each other up.
"""

import multiprocessing
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.bench.peers import task
from tests.bench.timing import AT_ONCE, CORES, Load, at_once, resident

STARTS_WITHIN = 60.0  # seconds
NAME = "bench"


class Client:
    """The model and a connection to the server."""

    def __init__(self, port: int) -> None:
        self._model = import_module("sentence_transformers").SentenceTransformer(task.model(), device="cpu")
        client = _connect(port)
        self._collection: Any = client.get_or_create_collection(NAME, embedding_function=None)

    def take_in(self, texts: Sequence[str]) -> None:
        """Store `texts`."""
        for at in range(0, len(texts), task.GROUP):
            group = list(texts[at : at + task.GROUP])
            ids = [str(at + number) for number in range(len(group))]
            self._collection.add(ids=ids, documents=group, embeddings=self._model.encode(group))

    def ask(self, question: str) -> object:
        """The ten nearest."""
        return self._collection.query(query_embeddings=self._model.encode([question]), n_results=10)


@contextmanager
def server(place: Path) -> Iterator[tuple[int, int]]:
    """A server that keeps its data in `place`: its port and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(sys.executable).parent / "chroma"
    command = [str(program), "run", "--path", str(place), "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(20)


def many(port: int, questions: Sequence[str]) -> Load:
    """All of `questions`, asked by clients of as many processes as there are cores."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(CORES, context, initializer=_start, initargs=(port,)) as pool:
        parts = [questions[first::CORES] for first in range(CORES)]
        list(pool.map(_ask, [part[: task.WARM] for part in parts]))
        start = time.perf_counter()
        ms = [one for part in pool.map(_ask, parts) for one in part]
        return Load(len(ms) / (time.perf_counter() - start), ms)


_own: list[Client] = []  # this process's, once it is one of those


def _start(port: int) -> None:
    import_module("torch").set_num_threads(1)  # there is one of them for each core
    _own.append(Client(port))


def _ask(questions: Sequence[str]) -> list[float]:
    return at_once(lambda: _own[0].ask, questions, max(AT_ONCE // CORES, 1)).ms


def _connect(port: int) -> Any:
    until = time.monotonic() + STARTS_WITHIN
    while True:
        try:
            return import_module("chromadb").HttpClient(host="127.0.0.1", port=port)
        except Exception:  # whatever its client makes of a refused connection
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def main() -> None:
    """Measure."""
    documents, questions, place = task.read()
    with server(place) as (port, pid):
        client = Client(port)
        task.run(
            documents,
            questions,
            client.take_in,
            client.ask,
            many=lambda asked: many(port, asked),
            memory=lambda: resident(pid),
        )


if __name__ == "__main__":
    main()
