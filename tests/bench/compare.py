"""Ours, the bare limit and the peers on the same documents and questions, in one run: `make bench`.

Prints medians and what they come to against the limit and each peer. All of it runs on this machine, on scratch data,
and ends with the run. Peers are installed once, into an environment of their own.
"""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tests.bench import corpus, engine, peers, recall, rounds
from tests.bench.show import keep, number, say, table
from tests.bench.timing import percentile
from tests.support.stack import Stack

MORE = 0.25  # of the documents come once more, while questions are asked
RECALL_QUESTIONS = 100
SEED_MORE, SEED_DURING, SEED_RECALL = 11, 12, 13


def measure_ours(documents: Sequence[dict[str, Any]], questions: int) -> dict[str, float]:
    """Figures of our stack and of the limit, on one Postgres."""
    with rounds.beside(documents) as both:
        stack, least = both.stack, both.limit
        found = {"ingest.rate": len(documents) / both.ingested, "chunks": float(len(both.texts))}
        found["embed.rate"] = len(documents) / min(least.embed(both.texts), least.embed(both.texts))
        found |= rounds.measure(stack.url, least, questions)
        say("recall against exact search")
        found |= recall.measure(stack.url, stack.database_url, corpus.questions(RECALL_QUESTIONS, SEED_RECALL))
        found |= _during(stack, len(documents), questions)
        found |= {f"memory.{name}": megabytes for name, megabytes in engine.memory(stack).items()}
    return found


def _during(stack: Stack, documents: int, questions: int) -> dict[str, float]:
    """Milliseconds of a question while more documents come in."""
    more = [
        {**item, "source_uri": f"more:{number}"}
        for number, item in enumerate(corpus.items(max(int(documents * MORE), 1), SEED_MORE))
    ]
    say(f"questions while {len(more)} more documents come in")
    asked = corpus.questions(questions, SEED_DURING)
    ms = engine.asked_while(partial(engine.ingest, stack.url, more), engine.asker(stack.url, "search"), asked)
    return {"during.p50": percentile(ms, 0.5), "during.p99": percentile(ms, 0.99), "during.asked": len(ms)}


def show(ours: dict[str, float], others: dict[str, peers.Figures]) -> None:
    """Print it."""
    head = ("", *rounds.COLUMNS.values(), "documents/s in", "MB")
    services = sum(value for name, value in ours.items() if name.startswith("memory."))
    whole = {"limit": (ours["embed.rate"], None), "search": (ours["ingest.rate"], services), "context": (None, None)}
    rows = [[*rounds.row(ours, kind), number(taken), number(megabytes)] for kind, (taken, megabytes) in whole.items()]
    for name, found in others.items():
        if isinstance(found, str):
            rows.append([name, f"did not run: {found}", *["–"] * (len(head) - 2)])
        else:
            rows.append([name, *(number(found.get(column)) for column in (*rounds.COLUMNS, "ingest", "memory"))])
    table(head, rows)
    ratios = [(name, number(value)) for name, value in rounds.ratios(ours).items()]
    ratios.append(("search p99 during ingest / idle", number(ours["during.p99"] / ours["search.p99"])))
    for name, found in others.items():
        if not isinstance(found, str):
            ratios.append((f"search rate / {name}", number(ours["search.rate"] / found["rate"])))
            ratios.append((f"{name} p50 / search", number(found["p50"] / ours["search.p50"])))
            ratios.append((f"ingest / {name}", number(ours["ingest.rate"] / found["ingest"])))
    table(("ratio", ""), ratios)
    shown = [(name.split(".", 1)[1], number(value)) for name, value in ours.items() if name.startswith("memory.")]
    table(("in memory", "MB"), shown)
    shares = [
        (share, *(f"{ours[f'recall.{share}.{kind}']:.3f}" for kind in ("answered", "nearest")))
        for share in recall.SHARES
    ]
    table(("recall@10 by meaning, of documents", "among ten answered", "the nearest of a hundred"), shares)


def main() -> None:
    """Measure, print, keep."""
    read = argparse.ArgumentParser(description=__doc__)
    read.add_argument("--documents", type=int, default=2000)
    read.add_argument("--questions", type=int, default=400, help="asked one by one; twice as many at once")
    read.add_argument("--peers", default=",".join(peers.NAMES), help="of them those to run; empty: none")
    read.add_argument("--peers-python", type=Path, help="an interpreter that has them; else one is made")
    read.add_argument("--out", type=Path, help="where the figures go as JSON")
    given = read.parse_args()
    say("making documents")
    documents = list(corpus.items(given.documents))
    ours = measure_ours(documents, given.questions)
    names = [name for name in given.peers.split(",") if name]
    others = peers.measure(names, given.peers_python, documents, corpus.questions(2 * given.questions, rounds.SEED))
    show(ours, others)
    keep(given.out, {"documents": given.documents, "questions": given.questions, "ours": ours, "peers": others})


if __name__ == "__main__":
    main()
