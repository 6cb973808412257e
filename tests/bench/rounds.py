"""Ours and the bare limit in turns: on a shared machine only what is measured side by side can be divided."""

import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from tests.bench import corpus, engine, limit
from tests.bench.limit import Limit
from tests.bench.show import number, say
from tests.bench.timing import Load, at_once, one_by_one, percentile
from tests.support.postgres import scratch_database, scratch_server
from tests.support.stack import Stack, run_stack

ROUNDS = 4
WARM = 60  # questions before the first that counts, of each kind
SEED = 2  # of the questions
NAMES = {"limit": "bare limit", "search": "ours, /api/search", "context": "ours, /api/context/query"}
# What `measure` finds of each, and how a table calls it.
COLUMNS = {
    "p50": "p50 ms",
    "p99": "p99 ms",
    "rate": "answers/s at 16",
    "p50_at_once": "p50 at 16",
    "p99_at_once": "p99 at 16",
}


@dataclass(frozen=True)
class Beside:
    """Our stack, filled, and the limit on the same chunks and the same server."""

    stack: Stack
    limit: Limit
    texts: Sequence[str]  # the chunks
    ingested: float  # seconds


@contextmanager
def beside(documents: Sequence[dict[str, Any]]) -> Iterator[Beside]:
    """Both, over `documents`, for the block."""
    with (
        scratch_server() as server,
        scratch_database(server) as ours,
        scratch_database(server) as bare,
        run_stack(ours) as stack,
    ):
        say(f"taking in {len(documents)} documents")
        ingested = engine.ingest(stack.url, documents)
        texts, vectors = engine.chunks(ours)
        limit.fill(bare, vectors)
        with limit.running(bare) as least:
            say(f"embedding the same {len(texts)} chunks with nothing around")
            yield Beside(stack, least, texts, ingested)


def measure(url: str, least: Limit, questions: int) -> dict[str, float]:
    """Milliseconds and rates of `search`, `context` and the limit, which is `least`.

    `questions` are asked of each one by one, and twice as many at once. No question comes twice, or the cache of query
    vectors would answer instead of the model; the limit, which has none, is asked the same as search.

    Returns:
        `<what>.p50` and `.p99`: milliseconds, one by one; `<what>.rate`: answers a second, the median of the rounds,
        with 16 callers (the limit: one process for each core); `<what>.p50_at_once` and `.p99_at_once`: milliseconds.
    """
    alone: dict[str, list[float]] = defaultdict(list)
    together: dict[str, list[Load]] = defaultdict(list)
    few, many = max(questions // ROUNDS, 1), max(2 * questions // ROUNDS, 1)
    fresh = iter(corpus.questions(2 * WARM + 2 * ROUNDS * (few + many), SEED))
    asks = {kind: engine.asker(url, kind) for kind in engine.PATHS}
    for ask in asks.values():
        one_by_one(ask, _next(fresh, WARM))
    for turn in range(ROUNDS):
        say(f"questions, round {turn + 1} of {ROUNDS}")
        for kind, ask in asks.items():
            asked = _next(fresh, few)
            alone[kind] += one_by_one(ask, asked)
            if kind == "search":
                alone["limit"] += least.one_by_one(asked)
        for kind in asks:
            asked = _next(fresh, many)
            together[kind].append(at_once(partial(engine.asker, url, kind), asked))
            if kind == "search":
                together["limit"].append(least.at_once(asked))
    found: dict[str, float] = {}
    for kind, ms in alone.items():
        found |= {f"{kind}.p50": percentile(ms, 0.5), f"{kind}.p99": percentile(ms, 0.99)}
    for kind, loads in together.items():
        ms = [one for load in loads for one in load.ms]
        found |= {f"{kind}.p50_at_once": percentile(ms, 0.5), f"{kind}.p99_at_once": percentile(ms, 0.99)}
        found[f"{kind}.rate"] = statistics.median(load.rate for load in loads)
    return found


def row(found: dict[str, float], kind: str) -> list[str]:
    """The line of a table for one of NAMES: its name, and its COLUMNS of what `measure` found."""
    return [NAMES[kind], *(number(found[f"{kind}.{column}"]) for column in COLUMNS)]


def ratios(found: dict[str, float]) -> dict[str, float]:
    """What of it means the same on another machine."""
    meant = {
        "search p50 / limit": found["search.p50"] / found["limit.p50"],
        "search p99 / p50": found["search.p99"] / found["search.p50"],
        "search rate / limit": found["search.rate"] / found["limit.rate"],
        "context p50 / search": found["context.p50"] / found["search.p50"],
        "context rate / search": found["context.rate"] / found["search.rate"],
    }
    if "ingest.rate" in found:
        meant["ingest / bare embedding"] = found["ingest.rate"] / found["embed.rate"]
    return meant


def _next(fresh: Iterator[str], count: int) -> list[str]:
    return list(islice(fresh, count))
