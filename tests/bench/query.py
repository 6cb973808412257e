"""Where the time of one warm question goes, at concurrency 1: `make bench-stages`.

Starts the four services on a scratch database, loads tests/quality's records and our own decisions (and the records in
ADR_CORPUS, where that names a folder), asks every question many times over one connection, and prints medians. The
services say how long each stage took in `Server-Timing`; what is left between two layers is the wire between them.
"""

import json
import os
import statistics
import subprocess
import sys
import time
import tomllib
from collections import defaultdict
from pathlib import Path

import httpx2

from tests.support import loopback
from tests.support.stack import run_stack

ROOT = Path(__file__).parents[2]
QUALITY = ROOT / "tests" / "quality"
ROUNDS = 10


def load(url: str) -> None:
    """Import everything there is to ask about."""
    records = (QUALITY / "records.ndjson").read_bytes()
    headers = {"content-type": "application/x-ndjson", "prefer": "wait=120"}
    loopback.post(f"{url}/api/bulk", content=records, headers=headers, timeout=180).raise_for_status()
    corpora = Path(os.environ.get("ADR_CORPUS", os.devnull))
    folders = [ROOT / "docs" / "adr", *sorted(path for path in corpora.glob("*") if path.is_dir())]
    command = [sys.executable, "-m", "context_client", "--url", url, "import", "adr", *map(str, folders)]
    subprocess.run(command, check=True)


def parse(server_timing: str) -> dict[str, float]:
    """`sql;dur=1.5, packing;dur=0.4` as milliseconds by name."""
    pairs = (part.strip().split(";dur=") for part in server_timing.split(","))
    return {name: float(value) for name, value in pairs}


def ask(client: httpx2.Client, question: str) -> dict[str, float]:
    """Milliseconds of one question, by stage."""
    start = time.perf_counter()
    answer = client.post("/api/context/query", json={"query": question, "max_tokens": 4000})
    total = (time.perf_counter() - start) * 1000
    answer.raise_for_status()
    stages = parse(answer.headers["server-timing"])
    rpc = stages.pop("retrieval")
    return {**stages, "gRPC": rpc - sum(stages.values()), "HTTP": total - rpc, "total": total}


def main() -> None:
    """Load, warm up, measure, print."""
    questions = [row["ask"] for row in tomllib.loads((QUALITY / "questions.toml").read_text())["records"]]
    with run_stack() as stack, httpx2.Client(base_url=stack.url, timeout=30) as client:
        load(stack.url)
        for question in questions:
            ask(client, question)
        samples = defaultdict(list)
        for round_number in range(ROUNDS):
            for question in questions:
                # A new wording each time, or the cache of query vectors would answer instead of the model.
                for stage, ms in ask(client, f"{question} {round_number}").items():
                    samples[stage].append(ms)
    medians = {stage: statistics.median(values) for stage, values in samples.items()}
    whole = medians["total"]
    print(f"{'stage':<12}{'median ms':>10}{'p95 ms':>10}{'share':>8}")
    for stage, median in medians.items():
        p95 = statistics.quantiles(samples[stage], n=20)[-1]
        print(f"{stage:<12}{median:>10.2f}{p95:>10.2f}{median / whole:>8.0%}")
    print(json.dumps({stage: round(value, 3) for stage, value in medians.items()}), file=sys.stderr)


if __name__ == "__main__":
    main()
